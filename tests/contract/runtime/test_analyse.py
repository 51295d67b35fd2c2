"""An analysis as its pod runs it, and every source that it may ask: a real Prometheus, MLflow, model server."""

from __future__ import annotations

import json
import math
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from tandem.api import names
from tests.contract.runtime.conftest import (
    Finished,
    HttpServer,
    Iris,
    Server,
    free_port,
    pod_environment,
    run_module,
    serving,
    until,
)
from tests.contract.runtime.prometheus import scraping

pytestmark = pytest.mark.slow

GOOD = {
    "dataframe_split": {
        "columns": ["sepal_length", "sepal_width", "petal_length", "petal_width"],
        "data": [[5.1, 3.5, 1.4, 0.2]],
    }
}
NONSENSE = {"nonsense": 1}
REQUESTS = 'tandem_model_requests_total{model="$(NAME)",path="/invocations"'
ERROR_RATE = f'sum({REQUESTS},status!="200"}}) / sum({REQUESTS}}})'

Analyse = Callable[..., dict[str, Any]]


def ask(server: Server, question: object) -> None:
    body = json.dumps(question).encode()
    request = urllib.request.Request(f"{server.url}/invocations", body, {"Content-Type": "application/json"})
    try:
        urllib.request.urlopen(request, timeout=60).close()
    except urllib.error.HTTPError as error:
        error.close()


@contextmanager
def asking(server: Server) -> Iterator[None]:
    """Somebody asks all the time."""
    enough = threading.Event()

    def go_on() -> None:
        while not enough.wait(0.02):
            ask(server, GOOD)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def counted(prometheus: str, query: str) -> float:
    url = f"{prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=10) as response:
        result = json.load(response)["data"]["result"]
    return float(result[0]["value"][1]) if result else math.nan


@pytest.fixture(scope="module")
def server(iris: Iris, mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The model server that is judged."""
    with serving(tmp_path_factory.mktemp("serve"), mlflow_server) as start:
        yield start(f"models:/iris/{iris.version}")


@pytest.fixture
def analyse(mlflow_server: str, tmp_path: Path) -> Analyse:
    """Runs an analysis to its end: each metric by its name, and the verdict as ``phase``."""

    def run(*metrics: dict[str, object], since: datetime | None = None) -> dict[str, Any]:
        told = {
            "metrics": [{"interval": 1, "min": "0", **metric} for metric in metrics],
            "placeholders": {"NAME": "iris", "REVISION": "1"},
            "since": (since or datetime.now(UTC)).isoformat(),
            "deadlineSeconds": 60,
        }
        log = tmp_path / "termination-log"
        environment = pod_environment(
            tmp_path,
            TANDEM_ANALYSIS=json.dumps(told),
            TANDEM_TERMINATION_LOG=str(log),
            MLFLOW_TRACKING_URI=mlflow_server,
        )
        finished: Finished = run_module("tandem.runtime.analyse", cwd=tmp_path, env=environment)
        assert finished.code == 0, finished.err
        report = json.loads(log.read_bytes())
        return {"phase": report["phase"], **{metric["name"]: metric for metric in report["metrics"]}}

    return run


def test_what_a_model_server_counts_is_measured_by_prometheus_and_from_the_pod_itself(
    server: Server, analyse: Analyse, tmp_path: Path
) -> None:
    host = server.url.removeprefix("http://")
    pods = {"host": "127.0.0.1", "port": int(host.rpartition(":")[2])}
    with scraping(tmp_path, host) as prometheus:
        nobody = analyse(
            {"name": "rate", "prometheus": {"address": prometheus, "query": ERROR_RATE}},
            {"name": "errors", "pods": {"metric": "requestErrorRate", **pods}},
            {"name": "requests", "max": "0", "pods": {"metric": "requests", **pods}},
        )
        # Nobody has asked anything yet: a held canary, not one that passes by accident.
        assert nobody["phase"] == "Inconclusive"
        assert {name: nobody[name]["phase"] for name in ("rate", "errors", "requests")} == {
            "rate": "Inconclusive",
            "errors": "Inconclusive",
            "requests": "Successful",
        }

        for _ in range(3):
            ask(server, GOOD)
        ask(server, NONSENSE)
        # Each counter, by its own time of scraping.
        until(lambda: counted(prometheus, "sum(tandem_model_requests_total)") >= 4, "Prometheus to have seen it")
        some = analyse(
            {"name": "rate", "max": "0.1", "dryRun": True, "prometheus": {"address": prometheus, "query": ERROR_RATE}},
            {
                "name": "series",
                "consecutiveErrorLimit": 0,
                "prometheus": {"address": prometheus, "query": "up or vector(1)"},
            },
            {"name": "scalar", "max": "42", "prometheus": {"address": prometheus, "query": "scalar(vector(42))"}},
            {"name": "nan", "onNoData": "Pass", "prometheus": {"address": prometheus, "query": "vector(0) / 0"}},
            {"name": "inf", "onNoData": "Pass", "prometheus": {"address": prometheus, "query": "vector(1) / 0"}},
            {"name": "none", "onNoData": "Pass", "prometheus": {"address": prometheus, "query": "no_such_series"}},
            {
                "name": "wrong",
                "consecutiveErrorLimit": 0,
                "prometheus": {"address": prometheus, "query": "sum(("},
            },
            {
                "name": "away",
                "consecutiveErrorLimit": 0,
                "prometheus": {"address": f"http://127.0.0.1:{free_port()}", "query": "up"},
            },
        )
    assert (some["rate"]["phase"], some["rate"]["message"]) == ("Failed", "0.25 is above max 0.1")
    assert {name: some[name]["phase"] for name in ("scalar", "nan", "inf", "none", "wrong", "away")} == {
        "scalar": "Successful",
        "nan": "Successful",
        "inf": "Inconclusive",
        "none": "Successful",
        "wrong": "Inconclusive",
        "away": "Inconclusive",
    }
    assert "2 series; sum or narrow it to one" in some["series"]["message"]
    assert "answered 400" in some["wrong"]["message"]
    assert "parse error" in some["wrong"]["message"]
    assert some["phase"] == "Inconclusive"  # what nobody knows holds, and the one that failed is a dry run


def test_the_pods_own_counters_tell_errors_and_latency_since_the_analysis_began(
    server: Server, analyse: Analyse
) -> None:
    pods = {"host": "127.0.0.1", "port": int(server.url.rpartition(":")[2])}
    ask(server, NONSENSE)  # before it began: not its business
    with asking(server):
        found = analyse(
            {"name": "requests", "min": "1", "pods": {"metric": "requests", **pods}},
            {"name": "errors", "max": "0", "pods": {"metric": "requestErrorRate", **pods}},
            {"name": "median", "max": "30", "pods": {"metric": "requestLatencyP50", **pods}},
            {"name": "slowest", "max": "30", "pods": {"metric": "requestLatencyP99", **pods}},
        )
    assert found["phase"] == "Successful", found
    assert 0 < float(found["median"]["value"]) <= float(found["slowest"]["value"])


def test_mlflow_tells_the_metric_of_the_version_and_of_what_monitors_it(
    iris: Iris, mlflow_server: str, analyse: Analyse
) -> None:
    client, now = MlflowClient(mlflow_server), datetime.now(UTC)
    expected = client.get_run(iris.run_id).data.metrics["accuracy"]
    monitored = {"model": "iris", "version": iris.version}
    unknown = analyse(
        {"name": "live", "mlflow": {"metric": "accuracy", **monitored}},
        {"name": "trained", "min": str(expected), "mlflow": {"metric": "accuracy", "runId": iris.run_id}},
        {"name": "missing", "onNoData": "Pass", "mlflow": {"metric": "no such metric", "runId": iris.run_id}},
    )
    assert {name: unknown[name]["phase"] for name in ("live", "trained", "missing")} == {
        "live": "Inconclusive",
        "trained": "Successful",
        "missing": "Successful",
    }
    assert float(unknown["trained"]["value"]) == pytest.approx(expected, rel=1e-5)

    found = client.get_experiment_by_name(names.MONITORING_EXPERIMENT)
    experiment = found.experiment_id if found else client.create_experiment(names.MONITORING_EXPERIMENT)
    tags = {
        names.TAG_ROLE: names.ROLE_MONITOR,
        names.TAG_MODEL: "iris",
        names.TAG_MODEL_VERSION: iris.version,
    }
    run = client.create_run(experiment, tags=tags).info.run_id
    client.log_batch(run, metrics=[Metric("accuracy", 0.25, int(now.timestamp() * 1000), 1)])
    live = {"name": "live", "min": "0.5", "mlflow": {"metric": "accuracy", **monitored}}
    assert analyse(live, since=now - timedelta(minutes=1))["live"]["message"] == "0.25 is below min 0.5"
    assert analyse(live, since=now + timedelta(minutes=1))["phase"] == "Inconclusive"  # logged before it was asked for


def test_a_json_document_tells_a_number(http: HttpServer, analyse: Analyse) -> None:
    http.files["/score/1"] = (200, b'{"data": [{"score": 7}]}')
    told = {
        "name": "score",
        "min": "7",
        "web": {"url": f"{http.url}/score/$(REVISION)", "jsonPointer": "/data/0/score"},
    }
    assert analyse(told)["phase"] == "Successful"


def test_an_instruction_that_nobody_understands_is_no_verdict(tmp_path: Path) -> None:
    log = tmp_path / "termination-log"
    environment = pod_environment(tmp_path, TANDEM_ANALYSIS="{}", TANDEM_TERMINATION_LOG=str(log))
    finished = run_module("tandem.runtime.analyse", cwd=tmp_path, env=environment)
    assert (finished.code, log.exists()) == (2, False)
    assert "TANDEM_ANALYSIS is not a valid instruction" in finished.message
