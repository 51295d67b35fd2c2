"""The example of a gate with every kind of rule: what its script logs is what its rules ask for, on a real MLflow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
import yaml
from mlflow import MlflowClient

from tandem.api import names
from tandem.api.trainingjob import TrainingJobSpec
from tandem.api.trainingjob_status import GateVerdict
from tandem.runtime import compare
from tandem.training.change import BaselineFound, Measured, NoBaseline
from tandem.training.environment import settings
from tandem.training.rules import verdicts
from tests.contract.runtime.conftest import Iris, pod_environment, registered, run_module, run_script
from tests.crds import ROOT

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "examples/iris-gate"
SPEC = msgspec.convert(yaml.safe_load((EXAMPLE / "trainingjob.yaml").read_text())["spec"], TrainingJobSpec)


@pytest.fixture(scope="module")
def runs(mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two runs of the example: before there is a champion, and after the first one has become it."""
    client = MlflowClient(mlflow_server)
    experiment = client.create_experiment("default/iris-gate")
    first = _run(client, mlflow_server, experiment, tmp_path_factory.mktemp("first"))
    version = registered(client, "iris-gate", first, experiment)
    client.set_registered_model_alias("iris-gate", "champion", version)
    second = _run(client, mlflow_server, experiment, tmp_path_factory.mktemp("second"))
    return first, second


@pytest.fixture(scope="module")
def logged(runs: tuple[str, str], mlflow_server: str) -> tuple[dict[str, float], dict[str, float]]:
    """The metrics of the two."""
    client = MlflowClient(mlflow_server)
    first, second = (client.get_run(run).data.metrics for run in runs)
    return first, second


def _run(client: MlflowClient, server: str, experiment: str, folder: Path) -> str:
    run_id = str(client.create_run(experiment).info.run_id)
    variables = {"MLFLOW_TRACKING_URI": server, "MLFLOW_EXPERIMENT_ID": experiment, "MLFLOW_RUN_ID": run_id}
    variables |= {**settings(SPEC.steps[0].resources), **SPEC.parameters, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = run_script(EXAMPLE / "train_and_compare.py", cwd=folder, env=pod_environment(folder, **variables))
    assert done.code == 0, done.err
    return run_id


def judged(metrics: Mapping[str, float], found: BaselineFound) -> list[GateVerdict]:
    return list(verdicts(SPEC.gate, metrics, found))


def test_the_first_model_passes_and_has_nothing_to_be_compared_with(
    logged: tuple[dict[str, float], dict[str, float]],
) -> None:
    given = judged(logged[0], NoBaseline("models:/iris-gate@champion"))
    assert [verdict.result for verdict in given] == ["Passed"] * 4 + ["Skipped"], given


def test_the_second_is_compared_with_the_first_on_the_same_flowers(
    logged: tuple[dict[str, float], dict[str, float]],
) -> None:
    given = judged(logged[1], Measured("1", logged[0], "nobody recorded on which data"))
    assert [verdict.result for verdict in given] == ["Passed"] * 5, given
    assert given[-1].baseline == repr(logged[0]["accuracy"])


@pytest.mark.parametrize(
    "lost", ["accuracy", "test_rows", "recall/species:setosa", "recall/species:versicolor", "champion_accuracy"]
)
def test_whatever_the_script_stops_logging_stops_the_model(
    logged: tuple[dict[str, float], dict[str, float]], lost: str
) -> None:
    metrics = {name: value for name, value in logged[1].items() if name != lost}
    results = {verdict.result for verdict in judged(metrics, Measured("1", logged[0]))}
    assert results & {"Failed", "Unknown"}, lost


# --- the same twice --------------------------------------------------------------------------------------------------


def test_the_same_flowers_give_the_same_model_bit_for_bit(
    runs: tuple[str, str], mlflow_server: str, tmp_path: Path
) -> None:
    """As the process that runs in the pod."""
    first, second = runs
    variables = {"MLFLOW_TRACKING_URI": mlflow_server, "MLFLOW_RUN_ID": second}
    variables["TANDEM_REPRODUCTION"] = json.dumps({"original": first})
    done = run_module("tandem.runtime.compare", cwd=tmp_path, env=pod_environment(tmp_path, **variables))
    assert done.code == 0, done.err
    client = MlflowClient(mlflow_server)
    found = json.loads(client.get_run(second).data.tags[names.TAG_REPRODUCTION])
    assert (found["same"], found["difference"]) == (True, "")
    files = json.loads(Path(client.download_artifacts(second, compare.ARTIFACT, str(tmp_path))).read_text())["files"]
    assert len(files) == found["files"]
    assert {file["path"] for file in files if file.get("leftOut")} == {"MLmodel", "model.skops"}


def test_another_script_gives_another_and_the_first_difference_is_told(
    runs: tuple[str, str], iris: Iris, mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    found, _ = compare.reproduced(MlflowClient(mlflow_server), runs[1], iris.run_id, tmp_path)
    assert not found.same
    assert " has other bytes: sha256 " in found.difference or " differs in " in found.difference


def test_a_run_without_a_model_is_no_reproduction(runs: tuple[str, str], mlflow_server: str, tmp_path: Path) -> None:
    client = MlflowClient(mlflow_server)
    empty = client.create_run(client.get_run(runs[0]).info.experiment_id).info.run_id
    found, files = compare.reproduced(client, empty, runs[0], tmp_path)
    assert (found.same, files) == (False, ())
    assert f"this run, {empty}, has no model" in found.difference
