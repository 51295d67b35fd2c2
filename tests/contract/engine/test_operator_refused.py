"""What the API server refuses becomes a condition, and heals by itself when the cause is gone."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from cluster.errors import ClusterError
from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import Json, resource
from tests.contract.engine.conftest import StartOperator
from tests.contract.engine.operator_process import OperatorProcess


@pytest.fixture
def condition(api_server: ApiServer) -> Callable[[Json, str], Json]:
    def read(body: Json, type_: str) -> Json:
        conditions = api_server.read(body).get("status", {}).get("conditions", [])
        return next((one for one in conditions if one["type"] == type_), {})

    return read


def job_of(uid: str, namespace: str, name: str) -> str:
    """A Job of somebody, as JSON: the labels of ours, another owner."""
    owner = {"apiVersion": "tandem.dev/v1alpha1", "kind": "TrainingJob", "name": "x", "uid": uid, "controller": True}
    container = {"name": "c", "image": "busybox"}
    return json.dumps(
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": name,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "tandem"},
                "ownerReferences": [owner],
            },
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
        }
    )


def test_a_job_of_somebody_else_is_told_not_adopted_and_not_touched(
    api_server: ApiServer, operator: OperatorProcess, team: str, condition: Callable[[Json, str], Json]
) -> None:
    kubectl = api_server.plane.kubectl
    kubectl("apply", "-f", "-", stdin=job_of("11111111-0000-0000-0000-000000000000", team, "taken-1"))
    version = kubectl("get", "job", "taken-1", "-n", team, "-o", "jsonpath={.metadata.resourceVersion}")

    training = api_server.create(resource("TrainingJob", team, "taken"))
    operator.await_that(lambda: condition(training, "Ready").get("reason") == "AlreadyExists", "the condition")

    assert "Job taken-1 is there already" in condition(training, "Ready")["message"]
    after = kubectl("get", "job", "taken-1", "-n", team, "-o", "jsonpath={.metadata.resourceVersion}")
    assert after == version

    kubectl("delete", "job", "taken-1", "-n", team)
    operator.await_that(lambda: condition(training, "Ready").get("reason") == "JobRunning", "recovery by itself")


def test_a_quota_is_told_without_a_hot_loop_and_recovers_when_it_is_lifted(
    api_server: ApiServer, operator: OperatorProcess, team: str, condition: Callable[[Json, str], Json]
) -> None:
    kubectl = api_server.plane.kubectl
    kubectl("create", "quota", "none", "-n", team, "--hard=count/jobs.batch=0")
    # The controller that counts does not run here; what it would write is what admission reads.
    status = {"status": {"hard": {"count/jobs.batch": "0"}, "used": {"count/jobs.batch": "0"}}}
    kubectl("patch", "quota", "none", "-n", team, "--subresource=status", "--type=merge", "-p", json.dumps(status))
    mark = api_server.plane.audit.mark()

    training = api_server.create(resource("TrainingJob", team, "quota"))
    operator.await_that(lambda: condition(training, "Ready").get("reason") == "Forbidden", "the condition")
    operator.await_resyncs(api_server.plane.audit, 3)

    assert "exceeded quota" in condition(training, "Ready")["message"]
    refused = mark.count(user_agent=operator.user_agent, verb="create", resource="jobs", succeeded=False)
    assert 1 <= refused <= 4, "after 1, 2, 4 … seconds, whatever wakes it"
    assert mark.count(user_agent=operator.user_agent, verb="patch", resource="trainingjobs/status") == 1

    kubectl("delete", "quota", "none", "-n", team)
    operator.await_that(lambda: condition(training, "Ready").get("reason") == "JobRunning", "recovery by itself")


def test_case_09_a_namespace_that_is_going_is_told(
    api_server: ApiServer, start_operator: StartOperator, namespace: str, condition: Callable[[Json, str], Json]
) -> None:
    """(No namespace controller runs here, so it stays in that state.)"""
    kubectl = api_server.plane.kubectl
    training = api_server.create(resource("TrainingJob", namespace, "late", suspend=True))
    operator = start_operator("--namespace", namespace)
    operator.await_that(lambda: condition(training, "Ready").get("reason") == "Suspended", "it waits")
    kubectl("delete", "namespace", namespace, "--wait=false")
    mark = api_server.plane.audit.mark()

    api_server.merge(training, {"spec": {"suspend": False}})
    operator.await_that(lambda: condition(training, "Ready").get("reason") == "Forbidden", "the condition")
    operator.await_resyncs(api_server.plane.audit, 3)

    assert "is being terminated" in condition(training, "Ready")["message"]
    refused = mark.count(user_agent=operator.user_agent, verb="create", resource="jobs", succeeded=False)
    assert 1 <= refused <= 4, "after 1, 2, 4 … seconds, whatever wakes it"
    assert kubectl("get", "jobs", "-n", namespace, "-o", "name") == ""


def test_a_resource_that_was_made_anew_does_not_take_the_former_ones_job_for_its_own(
    api_server: ApiServer, operator: OperatorProcess, team: str, condition: Callable[[Json, str], Json]
) -> None:
    former = api_server.create(resource("TrainingJob", team, "anew"))
    operator.await_that(lambda: condition(former, "Ready").get("reason") == "JobRunning", "the former one runs")

    # No garbage collector runs here: whatever is deleted, the operator deletes.
    api_server.plane.kubectl("delete", "trainingjob", "anew", "-n", team)
    now = api_server.create(resource("TrainingJob", team, "anew"))

    operator.await_that(lambda: condition(now, "Ready").get("reason") == "JobRunning", "a Job of its own")
    owner = api_server.plane.kubectl(
        "get", "job", "anew-1", "-n", team, "-o", "jsonpath={.metadata.ownerReferences[0].uid}"
    )
    assert owner == api_server.read(now)["metadata"]["uid"]


def test_kubectl_wait_is_answered(api_server: ApiServer, operator: OperatorProcess, team: str) -> None:
    kubectl = api_server.plane.kubectl
    api_server.create(resource("TrainingJob", team, "waited-for"))

    kubectl("wait", "trainingjob/waited-for", "-n", team, "--for=condition=Reconciling", "--timeout=30s")
    with pytest.raises(ClusterError, match="timed out"):
        kubectl("wait", "trainingjob/waited-for", "-n", team, "--for=condition=Ready", "--timeout=1s")
