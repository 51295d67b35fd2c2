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
    Serve,
    free_port,
    pod_environment,
    registered,
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


def test_the_script_joins_the_run_that_was_made_for_it(iris: Iris, mlflow_server: str) -> None:
    assert iris.finished.code == 0, iris.finished.err
    client = MlflowClient(mlflow_server)
    runs = client.search_runs([iris.experiment_id])
    assert [run.info.run_id for run in runs] == [iris.run_id]
    assert runs[0].info.status == "FINISHED"
    assert runs[0].data.tags["tandem.dev/run"] == "1"
    assert runs[0].data.params["max_iter"] == "200"
    assert runs[0].data.metrics["accuracy"] >= 0.9


def test_the_logged_model_is_found_by_its_run(iris: Iris, mlflow_server: str) -> None:
    [model] = MlflowClient(mlflow_server).search_logged_models([iris.experiment_id], f"source_run_id = '{iris.run_id}'")
    assert (model.name, str(model.status)) == ("model", "READY")


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


def test_when_petals_grow_the_old_model_fails_and_one_trained_on_new_flowers_recovers(
    script: Run, serve: Serve, mlflow_server: str, tmp_path: Path
) -> None:
    """Publish, fetch, train, serve, visit, monitor; then the petals grow; then all of it again."""
    client = MlflowClient(mlflow_server)
    uri = f"{mlflow_server}/api/2.0/mlflow-artifacts/artifacts/datasets/iris/iris.csv"

    def train() -> tuple[str, float]:
        """As the pod does it: fetch, then train; the registered version and its accuracy."""
        instruction = f'{{"data": [{{"name": "iris", "storageUri": "{uri}"}}], "workspace": "{tmp_path}"}}'
        variables = {"TANDEM_FETCH": instruction, "TANDEM_TERMINATION_LOG": str(tmp_path / "log")}
        fetched = run_module("tandem.runtime.fetch", cwd=tmp_path, env=pod_environment(tmp_path, **variables))
        assert fetched.code == 0, fetched.err
        experiment = client.create_experiment(f"loop/{len(client.search_experiments())}")
        run_id = client.create_run(experiment).info.run_id
        data = str(tmp_path / "data/iris/iris.csv")
        script("train.py", MLFLOW_RUN_ID=run_id, MLFLOW_EXPERIMENT_ID=experiment, IRIS_CSV=data)
        return registered(client, "garden", run_id, experiment), client.get_run(run_id).data.metrics["accuracy"]

    def accuracies(version: str) -> list[float]:
        """What the drift controller would read: the points of this version's one monitoring run, oldest first."""
        script("monitor.py")
        experiment = client.get_experiment_by_name("tandem-monitoring")
        assert experiment
        where = f"tags.`tandem.dev/model` = 'garden' AND tags.`tandem.dev/model-version` = '{version}'"
        [run] = client.search_runs([experiment.experiment_id], where)
        points = client.get_metric_history(run.info.run_id, "accuracy")
        counts = client.get_metric_history(run.info.run_id, "n")
        assert [point.value for point in counts] == [200.0] * len(points)
        assert [point.step for point in counts] == sorted({point.step for point in points}), "a window logged twice"
        assert run.data.tags["tandem.dev/role"] == "monitor"
        assert run.data.metrics["eval_ts"] > 1.7e9
        return [point.value for point in sorted(points, key=lambda point: point.step)]

    # Given a model of today's flowers, which passes the gate and does well,
    script("garden.py", "publish")
    old, gate = train()
    assert gate >= 0.9
    server = serve(f"models:/garden/{old}")
    script("garden.py", "visit", "--windows", "3", "--model-url", server.url)
    assert min(accuracies(old)) >= 0.9

    # when the petals grow, it falls below the bound and below what the change tolerates,
    script("garden.py", "visit", "--windows", "3", "--grown", "--model-url", server.url)
    healthy, drifted = accuracies(old)[:3], accuracies(old)[3:]
    assert len(drifted) == 3
    assert max(drifted) < min(0.9, gate - 0.05)
    assert min(healthy) > max(drifted)
    server.stop()

    # and one trained on the grown flowers passes the gate and does well again.
    script("garden.py", "publish", "--grown")
    new, gate = train()
    assert (new, gate >= 0.9) == (str(int(old) + 1), True)
    server = serve(f"models:/garden/{new}")
    script("garden.py", "visit", "--windows", "3", "--grown", "--model-url", server.url)
    assert min(accuracies(new)) >= 0.9
    assert len(accuracies(old)) == 6


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
