"""The digest of a model is one that anybody can compute of what they have been given."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tandem.runtime.digest import digest_of

# As the documentation says it.
COMMAND = (
    r"find . -type f ! -name registered_model_meta -printf '%P\n' "
    r"| LC_ALL=C sort | xargs -d '\n' sha256sum | sha256sum"
)


def model(folder: Path, **files: str) -> Path:
    for name, text in {"MLmodel": "flavors: {}\n", "data/model.skops": "0" * 100, "Z": "z", "a": "a", **files}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_it_is_what_the_documented_command_prints(tmp_path: Path) -> None:
    folder = model(tmp_path / "m", registered_model_meta="model_name: iris\n")
    printed = subprocess.run(COMMAND, shell=True, check=True, cwd=folder, capture_output=True, text=True).stdout
    assert digest_of(folder) == f"sha256:{printed.split()[0]}"


def test_what_mlflow_adds_to_a_download_is_not_part_of_it(tmp_path: Path) -> None:
    logged = digest_of(model(tmp_path / "logged"))
    assert digest_of(model(tmp_path / "downloaded", registered_model_meta="model_version: '3'\n")) == logged


def test_another_byte_or_another_name_is_another_model(tmp_path: Path) -> None:
    first, byte, name = (
        digest_of(model(tmp_path / "first")),
        digest_of(model(tmp_path / "byte", a="b")),
        digest_of(model(tmp_path / "name", b="a")),
    )
    assert len({first, byte, name}) == 3
