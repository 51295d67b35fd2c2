"""What is secret in the operator's surroundings, and what users wrote into a URL, is in no log line and no metric.

Through the real paths: the process with its variables, a real API server, an MLflow that refuses and says too much.
"""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.contract.engine.operator_process import OperatorProcess

USER, PASSWORD, IN_URL, SIGNATURE = "ann-4711", "hush-4712", "tok-4713", "sig-4714"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, IN_URL, SIGNATURE, BASIC)


READS = {
    "experiments/get-by-name": {"experiment": {"experiment_id": "1", "name": "x", "lifecycle_stage": "active"}},
    "runs/search": {"runs": []},
}


class Angry(http.server.BaseHTTPRequestHandler):
    """An MLflow (or a proxy before it) that refuses every write, and says more than it should: it repeats addresses."""

    credentials: set[str] = set()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.credentials.add(self.headers.get("Authorization", ""))
        name = urlsplit(self.path).path.partition("mlflow/")[2]
        told = json.dumps(READS[name]) if name in READS else self._complaint()
        self.send_response(200 if name in READS else 500)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told.encode())

    def _complaint(self) -> str:
        return f"no access to http://{USER}:{PASSWORD}@{self.headers['Host']}{self.path}?token={IN_URL}"

    do_GET = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def angry_mlflow() -> Iterator[int]:
    """Its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Angry)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()


@pytest.mark.parametrize("format_", ["text", "json"])
@pytest.mark.parametrize("place", ["variables", "address"])
def test_neither_logs_nor_metrics_tell_secrets(
    api_server: ApiServer, namespace: str, angry_mlflow: int, tmp_path: Path, format_: str, place: str
) -> None:
    """The credentials for MLflow come in variables, or in its address."""
    in_address = f"{USER}:{PASSWORD}@" if place == "address" else ""
    variables = {} if in_address else {"MLFLOW_TRACKING_USERNAME": USER, "MLFLOW_TRACKING_PASSWORD": PASSWORD}
    mlflow = f"http://{in_address}127.0.0.1:{angry_mlflow}"
    arguments = ("--namespace", namespace, "--log-format", format_)
    operator = OperatorProcess(api_server.plane.kubeconfig, mlflow, tmp_path, *arguments)
    operator.start(environ=variables)
    try:
        operator.await_ready()
        data = [{"name": "iris", "storageUri": f"https://data.example.com/iris.csv?X-Amz-Signature={SIGNATURE}"}]
        api_server.create(resource("TrainingJob", namespace, "iris", data=data))
        operator.await_that(lambda: "no access to http://127.0.0.1" in operator.log, "what MLflow said is logged")
        metrics, log = operator.metrics(), operator.log
    finally:
        operator.kill()

    assert Angry.credentials == {f"Basic {BASIC}"}, "the secrets are in use"
    assert 'tandem_external_requests_total{endpoint="' in metrics, "and MLflow was asked"
    assert "reconciling" in log
    for secret in (*SECRETS, USER):
        assert secret not in metrics
    for secret in SECRETS:
        assert secret not in log


@pytest.mark.parametrize("format_", ["text", "json"])
def test_an_address_that_is_refused_is_not_repeated(
    api_server: ApiServer, namespace: str, angry_mlflow: int, tmp_path: Path, format_: str
) -> None:
    """The process ends and says why; the password in the address stays out of it."""
    wrong = f"ftp://{USER}:{PASSWORD}@127.0.0.1:{angry_mlflow}"
    with OperatorProcess(
        api_server.plane.kubeconfig, wrong, tmp_path, "--namespace", namespace, "--log-format", format_
    ) as operator:
        assert operator.await_end() != 0
        assert "the address of MLflow must look like" in operator.log
        assert PASSWORD not in operator.log
