"""Cases 4 and 30 of the list: a schema, a status and an operator that are not of the same age.

An API server of its own: the schema is everybody's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count

import pytest

from tests.contract.api_server import ApiServer, Rejected, running_api_server
from tests.contract.crds.resources import Json, resource
from tests.contract.engine.operator_process import OperatorProcess
from tests.contract.tracking.server import MlflowServer
from tests.crds import FILES

pytestmark = pytest.mark.slow

STATUS = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties"


_numbers = count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with running_api_server() as server:
        yield server


@pytest.fixture(autouse=True)
def the_schema_is_ours_again(server: ApiServer) -> Iterator[None]:
    yield
    the_schema_is_whole(server)


@pytest.fixture
def training(server: ApiServer) -> Json:
    """Not created yet, in a namespace of its own."""
    return resource("TrainingJob", server.new_namespace(f"team-{next(_numbers)}"), "iris")


@pytest.fixture(scope="module")
def operator(
    server: ApiServer, mlflow_server: MlflowServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    folder = tmp_path_factory.mktemp("operator")
    with OperatorProcess(server.plane.kubeconfig, mlflow_server.url, folder) as operator:
        operator.await_ready()
        yield operator


def the_schema_is_whole(server: ApiServer) -> None:
    server.plane.kubectl("replace", f"--filename={FILES['TrainingJob']}")


def change_schema(server: ApiServer, *patches: Json) -> None:
    server.plane.kubectl("patch", "crd", "trainingjobs.tandem.dev", "--type=json", "-p", json.dumps(patches))


def refuses(server: ApiServer, training: Json, status: Json) -> bool:
    """Whether the schema refuses it. (A changed schema takes a moment.)"""
    try:
        server.merge(training, {"status": status}, "/status")
    except Rejected:
        return True
    return False


def started(server: ApiServer, operator: OperatorProcess, training: Json) -> Json:
    """Its first run has a Job."""
    training = server.create(training)
    operator.await_that(lambda: status_of(server, training).get("phase") == "Running", "the first run")
    return training


def status_of(server: ApiServer, of: Json) -> Json:
    status: Json = server.read(of).get("status", {})
    return status


def test_case_04_a_status_that_the_schema_refuses_is_told_in_the_log_and_written_when_it_fits(
    server: ApiServer, operator: OperatorProcess, training: Json
) -> None:
    """As after an upgrade of the operator alone: its CRDs are the older ones."""
    training["spec"]["suspend"] = True
    training = server.create(training)
    operator.await_that(lambda: status_of(server, training).get("phase") == "Suspended", "it waits")
    change_schema(server, {"op": "replace", "path": f"{STATUS}/phase/enum", "value": ["Suspended"]})
    operator.await_that(lambda: refuses(server, training, {"phase": "Running"}), "the older schema")
    mark = server.plane.audit.mark()
    server.merge(training, {"spec": {"suspend": False}})
    operator.await_that(lambda: "the status was refused" in operator.log, "a line in the log")
    operator.await_resyncs(server.plane.audit, 2)

    assert status_of(server, training)["phase"] == "Suspended"
    made = mark.count(user_agent=operator.user_agent, verb="create", resource="jobs", succeeded=True)
    assert made == 1, "without a status the Job is found again"

    the_schema_is_whole(server)
    operator.await_that(lambda: status_of(server, training).get("phase") == "Running", "recovery by itself")


def test_case_30_what_a_newer_operator_wrote_beside_our_status_stays(
    server: ApiServer, operator: OperatorProcess, training: Json
) -> None:
    field = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    change_schema(server, {"op": "add", "path": f"{STATUS}/fromTheFuture", "value": field})
    training = started(server, operator, training)
    newer = {"status": {"fromTheFuture": {"known": "later"}}}
    operator.await_that(
        lambda: "fromTheFuture" in server.merge(training, newer, "/status")["status"], "the newer schema"
    )

    server.merge(training, {"spec": {"parameters": {"depth": "3"}}})
    operator.await_that(lambda: status_of(server, training).get("observedGeneration") == 2, "a status of the new spec")

    assert status_of(server, training)["fromTheFuture"] == {"known": "later"}


def test_case_30_a_status_with_a_word_that_an_older_operator_does_not_know_is_derived_anew(
    server: ApiServer, operator: OperatorProcess, training: Json
) -> None:
    """After a rollback: a resource must not be lost over it, nor train twice."""
    trigger = f"{STATUS}/run/properties/trigger/properties/type/enum/-"
    change_schema(server, {"op": "add", "path": trigger, "value": "FromTheFuture"})
    training = started(server, operator, training)
    before = status_of(server, training)

    newer = {"status": {"run": {"trigger": {"type": "FromTheFuture"}}}}
    operator.await_that(lambda: not refuses(server, training, newer["status"]), "the newer schema")

    operator.await_that(lambda: _trigger(server, training) == "Created", "the run is told again")
    assert "the status cannot be read and is derived anew" in operator.log
    assert status_of(server, training)["run"]["number"] == before["run"]["number"]
    jobs = server.plane.kubectl("get", "jobs", "-n", training["metadata"]["namespace"], "-o", "name").split()
    assert jobs == ["job.batch/iris-1"]


def test_case_30_a_field_that_an_older_schema_drops_is_no_reason_for_a_hot_loop(
    server: ApiServer, operator: OperatorProcess, training: Json
) -> None:
    """The operator is newer than its CRDs: what it writes does not come back, and is not written for ever."""
    change_schema(server, {"op": "remove", "path": f"{STATUS}/run/properties/startTime"})
    training = server.create(training)
    operator.await_that(lambda: "run" in status_of(server, training), "the first run")
    operator.await_that(lambda: "startTime" not in status_of(server, training)["run"], "it is dropped")
    mark = server.plane.audit.mark()
    operator.await_resyncs(server.plane.audit, 3)

    version = server.read(training)["metadata"]["resourceVersion"]
    patches = mark.count(user_agent=operator.user_agent, verb="patch", resource="trainingjobs/status")
    comparisons = mark.count(user_agent=operator.user_agent, verb="list", resource="trainingjobs")
    assert patches <= comparisons + 1, "at most one for each, and none of them changes anything"
    operator.await_resyncs(server.plane.audit, 1)
    assert server.read(training)["metadata"]["resourceVersion"] == version


def _trigger(server: ApiServer, training: Json) -> str:
    return str(status_of(server, training).get("run", {}).get("trigger", {}).get("type"))
