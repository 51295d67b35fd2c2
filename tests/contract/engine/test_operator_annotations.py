"""kopf's own annotations, as any tenant can write them: they mean nothing here."""

from __future__ import annotations

from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.contract.engine.operator_process import OperatorProcess


def test_a_tenant_who_writes_kopfs_annotations_stops_nothing_not_even_the_own_resource(
    api_server: ApiServer, operator: OperatorProcess, team: str
) -> None:
    """By default kopf parses them at every event, and drops the event when they are no JSON."""
    training = resource("TrainingJob", team, "careless")
    training["metadata"]["annotations"] = {"kopf.zalando.org/last-handled-configuration": "{no JSON"}
    mark = api_server.plane.audit.mark()
    api_server.create(training)
    operator.await_that(lambda: api_server.read(training).get("status", {}).get("run") is not None, "a run")

    assert operator.writes(mark, team) == {("create", "jobs"): 1, ("patch", "trainingjobs/status"): 1}
    assert "unexpected error" not in operator.log
