"""The step that checks data, as the process that runs in the pod, with a real MLflow that keeps what is compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tests.contract.runtime.conftest import Finished, free_port, pod_environment, run_module

_numbers = count(1)
BEFORE = "sepal,species\n" + "5.1,setosa\n4.9,virginica\n" * 50
MOVED = "sepal,species\n" + "9.1,setosa\n9.9,setosa\n" * 50
COMPARED = {
    "baseline": "Previous",
    "columns": [
        {"name": "sepal", "type": "Float", "drift": {"kolmogorovSmirnov": "0.2"}},
        {"name": "species", "values": ["setosa", "virginica"], "drift": {"lInfinity": "0.1"}},
    ],
}


@dataclass
class Pod:
    """What one validating container sees and leaves behind, in an MLflow run of its own."""

    folder: Path
    uri: str
    run_id: str = ""

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri)

    def new_run(self) -> str:
        """As the operator makes one."""
        self.run_id = self.client.create_run(self.client.create_experiment(f"ml/{next(_numbers)}")).info.run_id
        return self.run_id

    def validate(
        self, text: str, checks: Mapping[str, Any], baseline: Mapping[str, Any] | None = None, **env: str
    ) -> Finished:
        data = self.folder / "workspace" / "data" / "iris"
        data.mkdir(parents=True, exist_ok=True)
        (data / "iris.csv").write_text(text)
        told = {
            "data": [{"name": "iris", "checks": checks}],
            "baseline": baseline,
            "workspace": str(self.folder / "workspace"),
        }
        variables = {
            "TANDEM_VALIDATE": json.dumps(told),
            "TANDEM_TERMINATION_LOG": str(self.folder / "log"),
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_RUN_ID": self.run_id,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            **env,
        }
        return run_module("tandem.runtime.validate", cwd=self.folder, env=pod_environment(self.folder, **variables))

    @property
    def judged(self) -> dict[str, str]:
        [told] = json.loads((self.folder / "log").read_bytes())["data"]
        return dict(told)

    def kept(self, name: str) -> dict[str, Any]:
        path = self.client.download_artifacts(self.run_id, f"tandem/data/iris/{name}.json")
        kept: dict[str, Any] = json.loads(Path(path).read_text())
        return kept


@pytest.fixture
def pod(tmp_path: Path, mlflow_server: str) -> Pod:
    made = Pod(tmp_path, mlflow_server)
    made.new_run()
    return made


def test_data_are_compared_with_what_an_earlier_run_kept(pod: Pod) -> None:
    # given a first run, which has nothing to compare with
    done = pod.validate(BEFORE, COMPARED)
    assert (done.code, done.err) == (0, "")
    said = "100 rows; nothing to compare with: no run has passed the gate yet"
    assert pod.judged == {"name": "iris", "verdict": "NoBaseline", "message": said}
    assert pod.kept("statistics")["columns"]["species"]["values"] == {"setosa": 50, "virginica": 50}
    first = {"run": 1, "mlflowRunId": pod.run_id}

    # when the data of a second run have moved
    pod.new_run()
    done = pod.validate(MOVED, COMPARED, first)

    # then it stops, and says what has moved and how far
    assert done.code == 10
    for words in ("column sepal: has moved: kolmogorovSmirnov 1, at most 0.2 passes", "lInfinity 0.5", "most: "):
        assert words in done.message
        assert words in pod.judged["message"]
    assert pod.judged["verdict"] == "Failed"
    kinds = {finding["kind"] for finding in pod.kept("checks")["findings"]}
    assert kinds == {"COMPARATOR_KOLMOGOROV_SMIRNOV_HIGH", "COMPARATOR_L_INFTY_HIGH"}

    # and data that are as they were pass
    pod.new_run()
    assert pod.validate(BEFORE, COMPARED, first).code == 0
    assert pod.judged == {"name": "iris", "verdict": "Passed", "message": "100 rows"}
    assert pod.kept("checks") == {"findings": []}


def test_a_run_that_kept_nothing_is_no_baseline(pod: Pod) -> None:
    earlier = pod.run_id
    pod.new_run()
    assert pod.validate(BEFORE, COMPARED, {"run": 4, "mlflowRunId": earlier}).code == 0
    assert pod.judged["verdict"] == "NoBaseline"
    assert "run 4 kept no statistics of this data set" in pod.judged["message"]


def test_mlflow_that_does_not_answer_is_not_a_baseline_that_is_not_there(pod: Pod) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    env = {"MLFLOW_TRACKING_URI": away, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    done = pod.validate(BEFORE, COMPARED, {"run": 1, "mlflowRunId": pod.run_id}, **env)
    assert done.code == 9
    assert "MLflow did not answer, and data that cannot be compared are not trained on" in done.message
    assert not (pod.folder / "log").exists()


@pytest.mark.parametrize(
    ("checks", "says"),
    [
        (
            {"columns": [{"name": "sepal", "type": "String", "pattern": "["}]},
            "the pattern of column sepal is no regular",
        ),
        ({"colums": []}, "unknown field `colums`"),
    ],
)
def test_checks_that_are_none_end_with_exit_code_2(pod: Pod, checks: Mapping[str, Any], says: str) -> None:
    done = pod.validate(BEFORE, checks)
    assert done.code == 2
    assert says in done.message
