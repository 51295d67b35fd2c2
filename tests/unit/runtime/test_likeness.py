"""Two models are the same when every byte is, but for what no two runs can have alike; and that is named."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import joblib  # type: ignore[import-untyped]
import numpy as np
import pytest
import skops.io  # type: ignore[import-untyped]
import yaml
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tandem.runtime.likeness import Compared, compare, first_difference

MLMODEL = {
    "artifact_path": "mlflow-artifacts:/1/models/m-1/artifacts",
    "flavors": {"python_function": {"python_version": "3.12.0"}},
    "mlflow_version": "3.17.2",
    "model_id": "m-1",
    "model_size_bytes": 100,
    "model_uuid": "m-1",
    "run_id": "r1",
    "utc_time_created": "2026-01-01 00:00:00",
}
ANOTHER_RUN = {
    "artifact_path": "mlflow-artifacts:/2/models/m-2/artifacts",
    "model_id": "m-2",
    "model_size_bytes": 104,
    "model_uuid": "m-2",
    "run_id": "r2",
    "utc_time_created": "2026-02-02 00:00:00",
}


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """The folders of two models, each with a file of weights."""
    folders = (tmp_path / "mine", tmp_path / "original")
    for folder in folders:
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "weights.bin").write_bytes(b"\x00\x01" * 50)
    return folders


def metadata(folder: Path, **fields: Any) -> None:
    (folder / "MLmodel").write_text(yaml.safe_dump({**MLMODEL, **fields}))


def difference(two: tuple[Path, Path]) -> str:
    return first_difference(compare(*two))


def test_the_same_bytes_are_the_same_model(two: tuple[Path, Path]) -> None:
    [one] = compare(*two)
    assert (one.path, one.sha256 == one.original_sha256, one.left_out, one.difference) == (
        "data/weights.bin",
        True,
        "",
        "",
    )


def test_one_other_bit_is_another_model(two: tuple[Path, Path]) -> None:
    (two[0] / "data" / "weights.bin").write_bytes(b"\x00\x01" * 49 + b"\x00\x03")
    assert difference(two).startswith("data/weights.bin has other bytes: sha256 ")
    assert difference(two).endswith("(100 bytes, 100 before)")


def test_a_file_that_is_there_in_one_of_them_only_comes_first(two: tuple[Path, Path]) -> None:
    (two[0] / "data" / "weights.bin").write_bytes(b"other")
    (two[1] / "z.txt").write_text("")
    assert difference(two) == "z.txt is missing"
    (two[0] / "y.txt").write_text("")
    assert difference(two) == "y.txt is there, and was not"


def test_what_mlflow_adds_to_a_registered_version_is_no_difference(two: tuple[Path, Path]) -> None:
    (two[1] / "registered_model_meta").write_text("model_name: iris\n")
    assert difference(two) == ""


# --- MLmodel ---------------------------------------------------------------------------------------------------------


def test_ids_times_and_places_are_left_out_and_that_is_told(two: tuple[Path, Path]) -> None:
    metadata(two[0], **ANOTHER_RUN)
    metadata(two[1])
    told = next(one for one in compare(*two) if one.path == "MLmodel")
    assert (told.difference, set(told.left_out.split(", "))) == ("", set(ANOTHER_RUN))


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"mlflow_version": "3.18.0"}, 'MLmodel differs in mlflow_version: "3.18.0", it was "3.17.2"'),
        ({"flavors": {"python_function": {"python_version": "3.13.0"}}}, "MLmodel differs in flavors: {"),
        ({"signature": {"inputs": "[]"}}, 'MLmodel differs in signature: {"inputs": "[]"}, it was nothing'),
    ],
)
def test_everything_else_in_it_counts(two: tuple[Path, Path], fields: dict[str, Any], says: str) -> None:
    metadata(two[0], **ANOTHER_RUN, **fields)
    metadata(two[1])
    assert difference(two).startswith(says)


@pytest.mark.parametrize("text", ["[]", "a: [", "", "no mapping"])
def test_one_that_is_none_is_compared_as_bytes(two: tuple[Path, Path], text: str) -> None:
    metadata(two[1])
    (two[0] / "MLmodel").write_text(text)
    assert "MLmodel has other bytes" in difference(two)


# --- archives --------------------------------------------------------------------------------------------------------


def archive(file: Path, year: int, **members: bytes) -> None:
    with zipfile.ZipFile(file, "w") as made:
        for name, body in members.items():
            made.writestr(zipfile.ZipInfo(name, (year, 1, 1, 0, 0, 0)), body)


def test_the_times_of_an_archives_members_are_left_out(two: tuple[Path, Path]) -> None:
    for folder, year in zip(two, (2025, 2026), strict=True):
        archive(folder / "model.keras", year, weights=b"1", config=b"2")
    told = next(one for one in compare(*two) if one.path == "model.keras")
    assert (told.difference, told.left_out) == ("", "times of members")


@pytest.mark.parametrize("members", [{"weights": b"2"}, {"weights": b"1", "more": b""}, {}])
def test_what_is_in_an_archive_counts(two: tuple[Path, Path], members: dict[str, bytes]) -> None:
    archive(two[0] / "model.keras", 2026, **members)
    archive(two[1] / "model.keras", 2026, weights=b"1")
    assert difference(two).startswith("model.keras differs in ")


# --- scikit-learn's models -------------------------------------------------------------------------------------------


def fitted(c: float = 1.0) -> Any:
    data = load_iris()
    return make_pipeline(StandardScaler(), LogisticRegression(C=c, max_iter=200)).fit(data.data, data.target)


def test_the_addresses_in_a_skops_file_are_left_out(two: tuple[Path, Path]) -> None:
    """Two of the same model are never the same bytes: skops names objects by where they lay in memory."""
    for folder in two:
        skops.io.dump(fitted(), folder / "model.skops")
    told = next(one for one in compare(*two) if one.path == "model.skops")
    assert told.sha256 != told.original_sha256
    assert (told.difference, told.left_out) == ("", "addresses in memory, times")


def test_another_hyperparameter_is_another_model(two: tuple[Path, Path]) -> None:
    skops.io.dump(fitted(1.0), two[0] / "model.skops")
    skops.io.dump(fitted(2.0), two[1] / "model.skops")
    assert difference(two).startswith("model.skops differs in ")


def test_one_bit_of_a_weight_is_another_model(two: tuple[Path, Path]) -> None:
    for folder, far in zip(two, (False, True), strict=True):
        model = fitted()
        if far:
            weights = model[-1].coef_
            weights[0, 0] = np.nextafter(weights[0, 0], 9.0)
        skops.io.dump(model, folder / "model.skops")
    assert difference(two).startswith("model.skops differs in ")


def test_a_skops_file_that_is_none_is_compared_as_bytes(two: tuple[Path, Path]) -> None:
    skops.io.dump(fitted(), two[0] / "model.skops")
    (two[1] / "model.skops").write_bytes(b"no archive")
    assert "model.skops has other bytes" in difference(two)


def test_pickles_are_compared_as_bytes(two: tuple[Path, Path]) -> None:
    joblib.dump(fitted(1.0), two[0] / "model.pkl")
    joblib.dump(fitted(1.0), two[1] / "model.pkl")
    assert difference(two) == ""
    joblib.dump(fitted(2.0), two[1] / "model.pkl")
    assert "model.pkl has other bytes" in difference(two)


def test_a_long_value_is_shown_by_its_beginning(two: tuple[Path, Path]) -> None:
    metadata(two[0], notes="x" * 5000)
    metadata(two[1])
    assert len(difference(two)) < 200


def test_the_record_is_json(two: tuple[Path, Path]) -> None:
    import msgspec

    (two[0] / "new.txt").write_text("")
    told = json.loads(msgspec.json.encode(compare(*two)))
    assert told[0]["difference"] == "is there, and was not"
    assert isinstance(msgspec.convert(told[0], Compared), Compared)
