"""Case 46 of the list: who scales an app. A HorizontalPodAutoscaler does it through ``/scale``, and is not opposed."""

from __future__ import annotations

from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.contract.engine.operator_process import OperatorProcess


def test_case_46_what_an_autoscaler_asks_for_is_carried_out_and_never_taken_back(
    api_server: ApiServer, operator: OperatorProcess, team: str
) -> None:
    """kubectl scale makes the request that a HorizontalPodAutoscaler makes (autoscaling/v1 Scale by PUT)."""
    kubectl = api_server.plane.kubectl
    app = api_server.create(resource("AppDeployment", team, "scaled", replicas=1))
    operator.await_that(lambda: _replicas(api_server, team) == 1, "the first revision")
    mark = api_server.plane.audit.mark()

    kubectl("scale", "appdeployment/scaled", "-n", team, "--replicas=3")
    operator.await_that(lambda: _replicas(api_server, team) == 3, "the Deployment follows")
    operator.await_resyncs(api_server.plane.audit, 2)

    assert api_server.read(app)["spec"]["replicas"] == 3
    written = {r.resource for r in mark.requests(user_agent=operator.user_agent, writes=True, namespace=team)}
    assert "appdeployments" not in written, "a spec is written by others alone"
    names = kubectl("get", "deployments", "-n", team, "-o", "name").split()
    assert names == ["deployment.apps/scaled-1"], "another number of pods is no other revision"


def test_case_46_an_autoscaler_of_the_deployment_itself_is_opposed(
    api_server: ApiServer, operator: OperatorProcess, team: str
) -> None:
    """The Deployment is ours, and the spec says how many: an autoscaler belongs to the AppDeployment."""
    kubectl = api_server.plane.kubectl
    api_server.create(resource("AppDeployment", team, "pulled", replicas=2))
    operator.await_that(lambda: _replicas(api_server, team, "pulled-1") == 2, "the first revision")

    kubectl("scale", "deployment/pulled-1", "-n", team, "--replicas=5")

    operator.await_that(lambda: _replicas(api_server, team, "pulled-1") == 2, "as the spec says")


def _replicas(api_server: ApiServer, namespace: str, name: str = "scaled-1") -> int:
    found = api_server.plane.get(f"/apis/apps/v1/namespaces/{namespace}/deployments")["items"]
    return next((int(one["spec"]["replicas"]) for one in found if one["metadata"]["name"] == name), 0)
