"""Cases 25 and 37 of the list: the API server restarts; a kind goes and comes back. (Control planes of their own.)"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.api_server import ApiServer, running_api_server
from tests.contract.crds.resources import resource
from tests.contract.engine.operator_process import OperatorProcess
from tests.contract.tracking.server import MlflowServer
from tests.crds import FILES


def has_run(api_server: ApiServer, training: dict[str, object]) -> bool:
    return api_server.read(training).get("status", {}).get("run") is not None


@pytest.mark.parametrize("daemon", ["kube-apiserver", "etcd"])
def test_case_37_an_api_server_that_restarts_is_waited_for(
    mlflow_server: MlflowServer, tmp_path: Path, daemon: str
) -> None:
    """The process stays, alive and green; what happens afterwards comes through its watches at once.

    (One that leads by a Lease ends if it cannot be renewed for ten seconds, and is started anew: cases 31 and 32.)
    """
    with running_api_server() as api_server:
        plane = api_server.plane
        namespace = api_server.new_namespace("team")
        arguments = ("--namespace", namespace, "--resync-period", "600")
        with OperatorProcess(plane.kubeconfig, mlflow_server.url, tmp_path, *arguments) as operator:
            operator.await_ready()
            before = api_server.create(resource("TrainingJob", namespace, "before"))
            operator.await_that(lambda: has_run(api_server, before), "a run")

            plane.kill(daemon)
            plane.await_ready()
            after = api_server.create(resource("TrainingJob", namespace, "after"))

            operator.await_that(lambda: has_run(api_server, after), "a run after the restart")
            assert operator.healthz() == "ok"
            assert operator.probe("/readyz") == 200
            jobs = plane.kubectl("get", "jobs", "-n", namespace, "-o", "name").split()
            assert sorted(jobs) == ["job.batch/after-1", "job.batch/before-1"]


def test_case_25_a_kind_that_goes_ends_the_process_and_the_next_one_waits_until_it_is_back(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    with running_api_server() as api_server:
        plane = api_server.plane
        namespace = api_server.new_namespace("team")
        with OperatorProcess(plane.kubeconfig, mlflow_server.url, tmp_path) as operator:
            operator.await_ready()
            operator.await_resyncs(plane.audit, 1)
            plane.kubectl("delete", "crd", "trainingjobs.tandem.dev")
            assert operator.await_end() == 1

            operator.start()  # as the kubelet does
            operator.await_that(lambda: "trainingjobs cannot be listed" in operator.log, "it says what it waits for")
            assert (operator.probe("/readyz"), operator.probe("/healthz")) == (503, 200)

            plane.define(FILES["TrainingJob"])

            operator.await_ready()
            training = api_server.create(resource("TrainingJob", namespace, "iris"))
            operator.await_that(lambda: has_run(api_server, training), "it works")
