"""The model server as a process, on models of a real registry."""

from __future__ import annotations

import json
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import mlflow
import pytest
from mlflow import MlflowClient

from tests.contract.runtime.conftest import Iris, Serve, Server, answers, pod_environment, run_module, until

COLUMNS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
SETOSA, VIRGINICA = [5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]

# Answers only once the file that it is asked with is there: a request that stays open for as long as a test wants.
WAITING_MODEL = """
import time
from pathlib import Path
import mlflow

class Waiting(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        folder = Path(model_input["folder"].iloc[0])
        (folder / "asked").touch()
        while not (folder / "go").exists():
            time.sleep(0.02)
        return ["done"]

mlflow.models.set_model(Waiting())
"""


@dataclass
class Answer:
    status: int
    headers: Message
    body: bytes


def ask(server: Server, path: str, question: object = None) -> Answer:
    body = None if question is None else json.dumps(question).encode()
    request = urllib.request.Request(server.url + path, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return Answer(response.status, response.headers, response.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


def told(answer: Answer) -> tuple[str | None, ...]:
    return tuple(answer.headers.get(name) for name in ("X-Model-Name", "X-Model-Version", "X-Model-Run-Id"))


@pytest.mark.slow
def test_a_registered_model_answers_and_every_answer_says_who_it_was(iris: Iris, serve: Serve) -> None:
    server = serve(f"models:/iris/{iris.version}")
    answer = ask(server, "/invocations", {"dataframe_split": {"columns": COLUMNS, "data": [SETOSA, VIRGINICA]}})
    assert json.loads(answer.body) == {"predictions": ["setosa", "virginica"]}
    assert told(answer) == ("iris", iris.version, iris.run_id)

    refused = ask(server, "/invocations", {"nonsense": 1})
    assert refused.status == 400
    assert told(refused) == told(answer)

    metrics = ask(server, "/metrics").body.decode()
    labels = f'model="iris",model_version="{iris.version}",path="/invocations"'
    assert f'tandem_model_requests_total{{{labels},status="200"}} 1.0' in metrics
    assert f'tandem_model_requests_total{{{labels},status="400"}} 1.0' in metrics


@pytest.mark.slow
def test_flags_say_who_answers_where_the_uri_does_not(iris: Iris, serve: Serve, mlflow_server: str) -> None:
    MlflowClient(mlflow_server).set_registered_model_alias("iris", "challenger", iris.version)
    server = serve("models:/iris@challenger", "--name", "rose", "--version", "9", "--run-id", "r-1")
    assert told(ask(server, "/version")) == ("rose", "9", "r-1")


def test_sigterm_finishes_the_open_request_and_accepts_no_other(
    serve: Serve, mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = tmp_path / "waiting.py"
    code.write_text(WAITING_MODEL)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server)
    with mlflow.start_run(experiment_id=MlflowClient(mlflow_server).create_experiment("waiting")):
        logged = mlflow.pyfunc.log_model(name="model", python_model=code, pip_requirements=[])
    server = serve(logged.model_uri)
    answered: list[Answer] = []
    question = {"dataframe_records": [{"folder": str(tmp_path)}]}
    client = threading.Thread(target=lambda: answered.append(ask(server, "/invocations", question)))
    client.start()
    until((tmp_path / "asked").exists, "the open request")

    server.process.terminate()
    until(lambda: not answers(f"{server.url}/health"), "the closed door")
    assert server.process.poll() is None, "it left with a request open"
    (tmp_path / "go").touch()

    client.join()
    assert (answered[0].status, json.loads(answered[0].body)) == (200, {"predictions": ["done"]})
    assert server.process.wait(30) == 143  # 128 + SIGTERM: stopped because it was told to


@pytest.fixture(scope="module")
def empty(mlflow_server: str) -> None:
    """A registered model without versions."""
    MlflowClient(mlflow_server).create_registered_model("empty")


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("models:/empty/999", "could not load the model models:/empty/999: "),
        ("models:/nosuch/1", "nosuch"),
        ("nothing-there", "could not load the model nothing-there: "),
    ],
)
def test_a_model_that_cannot_be_loaded_ends_with_one_clear_last_line(
    empty: None, mlflow_server: str, tmp_path: Path, model: str, says: str
) -> None:
    environment = pod_environment(tmp_path, MLFLOW_TRACKING_URI=mlflow_server)
    done = run_module("tandem.runtime.serve", "--model", model, "--port", "1", cwd=tmp_path, env=environment)
    assert done.code == 4
    assert done.message.startswith("could not load the model ")
    assert says in done.message
