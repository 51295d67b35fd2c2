"""Two replicas and one Lease: one writes, the other is ready to."""

from __future__ import annotations

import time

from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.contract.engine.conftest import StartOperator
from tests.contract.engine.operator_process import OperatorProcess


def holder(api_server: ApiServer) -> str:
    """Nobody, as long as there is no Lease."""
    leases = api_server.plane.get("/apis/coordination.k8s.io/v1/namespaces/default/leases")["items"]
    ours = (lease["spec"] for lease in leases if lease["metadata"]["name"] == "tandem-operator")
    return next((str(spec.get("holderIdentity") or "") for spec in ours), "")


def await_leader(api_server: ApiServer, operator: OperatorProcess) -> float:
    """Seconds until this replica holds the Lease."""
    started = time.monotonic()
    operator.await_that(lambda: holder(api_server) == operator.name, f"{operator.name} leads")
    return time.monotonic() - started


def test_replicas_take_over_from_one_another(
    api_server: ApiServer, namespace: str, start_operator: StartOperator
) -> None:
    first = start_operator("--namespace", namespace, name="first", lease=True)
    await_leader(api_server, first)
    second = start_operator("--namespace", namespace, name="second", lease=True)
    second.await_ready()
    assert holder(api_server) == "first", "a replica that waits is ready, or a rolling update would never go on"

    # One that dies: its Lease (8 s here) runs out. What it has made is known to the next.
    mark = api_server.plane.audit.mark()
    training = api_server.create(resource("TrainingJob", namespace, "iris"))
    first.await_that(lambda: api_server.read(training)["status"].get("run") is not None, "a run")
    assert second.writes(mark, namespace) == {}, "who does not lead writes nothing"
    first.kill()
    await_leader(api_server, second)
    second.await_resyncs(api_server.plane.audit, 1)
    assert second.writes(mark, namespace) == {}, "nothing was left to do"

    # One that is told to end: it hands over at once.
    third = start_operator("--namespace", namespace, name="third", lease=True)
    third.await_ready()
    code, seconds = second.terminate()
    taken_after = await_leader(api_server, third)
    assert (code, holder(api_server)) == (0, "third")
    assert seconds < 5
    assert taken_after < 3
    other = api_server.create(resource("TrainingJob", namespace, "other"))
    third.await_that(lambda: api_server.read(other)["status"].get("run") is not None, "the next one works")
