"""Liveness and logs of the real process, before a real API server."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.contract.engine.conftest import StartOperator
from tests.contract.engine.middleman import Middleman
from tests.contract.engine.operator_process import OperatorProcess
from tests.contract.tracking.server import MlflowServer


def run_of(api_server: ApiServer, training: dict[str, object]) -> object:
    return api_server.read(training).get("status", {}).get("run")


# --- watches ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def middleman(api_server: ApiServer, tmp_path: Path) -> Iterator[Middleman]:
    with Middleman(api_server.plane.kubeconfig, tmp_path) as middleman:
        yield middleman


def test_a_watch_that_falls_silent_while_there_is_something_to_tell_turns_healthz_red(
    api_server: ApiServer, mlflow_server: MlflowServer, namespace: str, middleman: Middleman, tmp_path: Path
) -> None:
    """Operators elsewhere have been deaf behind a green probe. (Case 17, on the real API server and the real kopf.)"""
    arguments = ("--namespace", namespace, "--watch-patience", "3")
    with OperatorProcess(middleman.kubeconfig, mlflow_server.url, tmp_path, *arguments) as operator:
        operator.await_ready()
        first = api_server.create(resource("TrainingJob", namespace, "heard"))
        operator.await_that(lambda: run_of(api_server, first) is not None, "a run")
        operator.await_resyncs(api_server.plane.audit, 5)
        assert operator.healthz() == "ok", "idle for longer than its patience"

        middleman.silent.add("jobs")
        second = api_server.create(resource("TrainingJob", namespace, "unheard"))

        operator.await_that(lambda: operator.healthz() != "ok", "it is found out")
        assert operator.healthz().startswith("the watch of jobs is deaf: ")
        assert f"{namespace}/unheard-1" in operator.healthz()
        assert 'tandem_watch_deaf{resource="jobs"} 1.0' in operator.metrics()
        assert run_of(api_server, second) is not None, "comparing goes on"

        middleman.silent.clear()
        third = api_server.create(resource("TrainingJob", namespace, "heard-again"))
        operator.await_that(lambda: operator.healthz() == "ok", "it hears again")
        operator.await_that(lambda: run_of(api_server, third) is not None, "and works")


# --- logs ------------------------------------------------------------------------------------------------------------


def works(api_server: ApiServer, operator: OperatorProcess, namespace: str) -> None:
    """It lists, leads, makes a run, answers its probes, and ends when it is told to."""
    operator.await_ready()
    training = api_server.create(resource("TrainingJob", namespace, "iris"))
    operator.await_that(lambda: run_of(api_server, training) is not None, "a run")
    assert operator.healthz() == "ok"


def test_case_50_a_log_that_nobody_reads_stops_nothing(
    api_server: ApiServer, namespace: str, start_operator: StartOperator
) -> None:
    operator = start_operator("--namespace", namespace)
    operator.kill()
    read, write = os.pipe()
    os.set_blocking(write, False)
    while True:
        try:
            os.write(write, b"x" * 65536)
        except BlockingIOError:
            break
    os.set_blocking(write, True)
    operator.start(stderr=write)

    works(api_server, operator, namespace)
    assert fcntl.fcntl(write, fcntl.F_GETFL) & os.O_NONBLOCK == 0, "the pipe would make any writer wait"
    code, seconds = operator.terminate()

    assert (code, seconds < 8) == (0, True), f"exit code {code} after {seconds:.1f} s"
    os.close(read)
    os.close(write)


def test_case_50_a_full_disk_under_the_log_stops_nothing_and_is_counted(
    api_server: ApiServer, namespace: str, start_operator: StartOperator
) -> None:
    operator = start_operator("--namespace", namespace)
    operator.kill()
    full = os.open("/dev/full", os.O_WRONLY)
    operator.start(stderr=full)
    os.close(full)

    works(api_server, operator, namespace)
    (lost,) = [line for line in operator.metrics().splitlines() if line.startswith("tandem_log_lines_lost_total")]

    assert float(lost.split()[1]) >= 1
    assert operator.terminate()[0] == 0
