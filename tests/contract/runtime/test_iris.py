"""The iris example, on a real MLflow server: the loop that the README shows, without a cluster."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts

from tandem.runtime import digest
from tests.contract.runtime.conftest import (
    IRIS,
    Finished,
    Iris,
    free_port,
    pod_environment,
    run_module,
    run_script,
)

Run = Callable[..., Finished]


@pytest.fixture
def script(mlflow_server: str, tmp_path: Path) -> Run:
    """Run a script of the example; it has to succeed."""

    def run(name: str, *arguments: str, **variables: str) -> Finished:
        environment = pod_environment(
            tmp_path, MLFLOW_TRACKING_URI=mlflow_server, MLFLOW_DISABLE_TELEMETRY="true", **variables
        )
        done = run_script(IRIS / name, *arguments, cwd=tmp_path, env=environment)
        assert done.code == 0, done.err
        return done

    return run


@pytest.mark.slow
def test_the_script_joins_the_run_that_was_made_for_it(iris: Iris, mlflow_server: str) -> None:
    assert iris.finished.code == 0, iris.finished.err
    client = MlflowClient(mlflow_server)
    runs = client.search_runs([iris.experiment_id])
    assert [run.info.run_id for run in runs] == [iris.run_id]
    assert runs[0].info.status == "FINISHED"
    assert runs[0].data.tags["tandem.dev/run"] == "1"
    assert runs[0].data.params["max_iter"] == "200"
    assert runs[0].data.metrics["accuracy"] >= 0.9


@pytest.mark.slow
def test_the_logged_model_is_found_by_its_run(iris: Iris, mlflow_server: str) -> None:
    [model] = MlflowClient(mlflow_server).search_logged_models([iris.experiment_id], f"source_run_id = '{iris.run_id}'")
    assert (model.name, str(model.status)) == ("model", "READY")


@pytest.mark.slow
def test_the_digest_that_a_run_gets_is_that_of_what_a_registered_version_brings(
    iris: Iris, mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the last container of the pod."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    environment = pod_environment(tmp_path, MLFLOW_TRACKING_URI=mlflow_server, MLFLOW_RUN_ID=iris.run_id)
    done = run_module("tandem.runtime.digest", cwd=tmp_path, env=environment)
    assert done.code == 0, done.err

    client = MlflowClient(mlflow_server)
    [model] = client.search_logged_models([iris.experiment_id], f"source_run_id = '{iris.run_id}'")
    tagged = client.get_run(iris.run_id).data.tags[f"tandem.dev/model-digest.{model.model_id}"]
    (tmp_path / "served").mkdir()
    served = download_artifacts(f"models:/iris/{iris.version}", dst_path=str(tmp_path / "served"))
    assert (Path(served) / "registered_model_meta").exists()
    assert tagged == digest.digest_of(Path(served))


def test_a_digest_that_mlflow_does_not_take_does_not_make_a_training_fail(tmp_path: Path) -> None:
    away = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{free_port()}", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = run_module("tandem.runtime.digest", cwd=tmp_path, env=pod_environment(tmp_path, MLFLOW_RUN_ID="a", **away))
    assert done.code == 0
    assert "the version will have no tandem.dev/model-digest" in done.err


def test_the_scripts_know_nothing_of_tandem() -> None:
    for name in ("train.py", "flowers.py", "garden.py", "monitor.py"):
        assert "import tandem" not in (IRIS / name).read_text()
        assert "from tandem" not in (IRIS / name).read_text()


@pytest.fixture
def flowers(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("flowers", IRIS / "flowers.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "flowers", module)
    spec.loader.exec_module(module)
    return module


def test_a_seed_determines_every_flower(flowers: ModuleType) -> None:
    assert flowers.sample(50, 1) == flowers.sample(50, 1)
    assert flowers.sample(50, 1) != flowers.sample(50, 2)


def test_growth_changes_petals_alone(flowers: ModuleType) -> None:
    usual, grown = flowers.sample(50, 1), flowers.sample(50, 1, growth=2.0)
    assert usual.species == grown.species
    for before, after in zip(usual.measurements, grown.measurements, strict=True):
        assert after[:2] == before[:2]
        assert after[2:] == pytest.approx([2 * size for size in before[2:]], abs=0.16)
