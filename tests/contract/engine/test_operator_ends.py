"""How the process starts and ends, and what it says while it does."""

from __future__ import annotations

import json
from pathlib import Path

from tests.contract.api_server import ApiServer, running_api_server
from tests.contract.crds.resources import resource
from tests.contract.engine.conftest import StartOperator
from tests.contract.engine.operator_process import OperatorProcess


def test_sigterm_ends_it_within_five_seconds_quietly_and_well(namespace: str, start_operator: StartOperator) -> None:
    operator = start_operator("--namespace", namespace, "--log-format", "json")
    operator.await_ready()
    assert operator.probe("/healthz") == 200

    code, seconds = operator.terminate()

    assert (code, seconds < 5) == (0, True), f"exit code {code} after {seconds:.1f} s"
    lines = [json.loads(line) for line in operator.log.splitlines()]
    assert {line["level"] for line in lines} == {"INFO"}, "nothing to worry about in an orderly end"
    assert lines[-1]["message"] == "told to end"


def test_a_line_about_a_resource_names_it(api_server: ApiServer, namespace: str, start_operator: StartOperator) -> None:
    operator = start_operator("--namespace", namespace, "--log-format", "json")
    kubectl = api_server.plane.kubectl
    kubectl("create", "job", "iris-1", "-n", namespace, "--image=busybox")
    api_server.create(resource("TrainingJob", namespace, "iris"))

    operator.await_that(lambda: "refused" in operator.log, "a refusal in the log")

    (line,) = [json.loads(line) for line in operator.log.splitlines() if "refused" in line][:1]
    assert line["key"] == f"TrainingJob/{namespace}/iris"
    assert line["level"] == "WARNING"


def test_a_watch_that_cannot_go_on_ends_the_process_and_says_why(tmp_path: Path) -> None:
    """A process that watches no more must not look alive. (An API server of its own: one of the kinds is removed.)"""
    with running_api_server() as api_server:
        plane = api_server.plane
        with OperatorProcess(plane.kubeconfig, "http://127.0.0.1:1", tmp_path) as operator:
            operator.await_ready()
            operator.await_resyncs(plane.audit, 1)
            plane.kubectl("delete", "crd", "appdeployments.tandem.dev")

            assert operator.await_end() == 1
            assert operator.log.splitlines()[-1].endswith("watching ended: 404 page not found")
            assert "Traceback" not in operator.log
