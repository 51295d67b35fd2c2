"""What the plan of an AppDeployment takes for granted about Deployments, asked of the real controllers.

There is no node: pods are created, and stay pending. So no revision ever becomes ready here, which is what is asked.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

from cluster.control_plane import ControlPlane
from cluster.errors import ClusterError
from tests.contract.apps.real import Json, Real, eventually, named
from tests.unit.apps.deployments import IMAGE_DIGEST
from tests.unit.apps.world import World, app, model


def progressing(deployment: Json) -> tuple[str, str]:
    conditions = deployment.get("status", {}).get("conditions", [])
    found = next((condition for condition in conditions if condition["type"] == "Progressing"), None)
    return (found["status"], found["reason"]) if found else ("", "")


WORLDS = {
    "an app": lambda: World({"image": "shop:1", "replicas": 2, "healthPath": "/ok"}, name="app"),
    "a model": lambda: named(model("2"), "model"),
    "both": lambda: named(model("2", image="shop:1", env=[{"name": "A", "value": "1"}]), "both"),
    "with limits": lambda: named(app(resources={"limits": {"cpu": 1, "memory": "64Mi"}}), "limits"),
}


@pytest.mark.parametrize("make", WORLDS.values(), ids=WORLDS)
def test_pods_are_created_where_only_restricted_ones_are_allowed(
    plane: ControlPlane, make: Callable[[], World]
) -> None:
    real = Real(plane, make())
    real.reconcile()
    name = f"{real.world.name}-1"
    eventually(lambda: real.deployment(name).get("status", {}).get("replicas", 0) > 0)
    refused = [c for c in real.deployment(name)["status"]["conditions"] if c["type"] == "ReplicaFailure"]
    assert refused == []


def test_an_apply_of_a_few_fields_keeps_the_pod_template(plane: ControlPlane) -> None:
    real = Real(plane, named(app(), "scaled"))
    real.reconcile()
    before = real.deployment("scaled-1")["spec"]
    real.world.look()
    real.reconcile()  # ready, as far as the world knows: the Service comes
    real.world.change(replicas=3)
    real.reconcile()
    after = real.deployment("scaled-1")["spec"]
    assert after == {**before, "replicas": 3}


def test_a_revision_is_pinned_without_losing_the_rest_of_its_container(plane: ControlPlane) -> None:
    """Containers are merged by name, also those of a Deployment that was made by a POST."""
    real = Real(plane, named(app(healthPath="/ok"), "pinned"))
    real.world.image_ids["shop:1"] = f"docker.io/library/shop@{IMAGE_DIGEST}"
    real.reconcile()
    (before,) = real.deployment("pinned-1")["spec"]["template"]["spec"]["containers"]
    real.world.look()
    for change in ({"image": "shop:2", "scaleDownDelaySeconds": 0}, {"rollback": {"toRevision": 1}}):
        real.world.change(**change)
        for _ in range(5):
            real.reconcile()
            real.world.look()
        (after,) = real.deployment("pinned-1")["spec"]["template"]["spec"]["containers"]
        assert after == {**before, "image": f"shop@{IMAGE_DIGEST}"}
    assert real.deployment("pinned-1")["spec"]["replicas"] == 1


def test_what_guards_the_pods_is_accepted_as_written_and_goes_when_it_is_turned_off(plane: ControlPlane) -> None:
    real = Real(plane, named(app(replicas=2, terminationGracePeriodSeconds=2), "guarded"))
    for _ in range(4):
        real.reconcile()
        real.world.look()
    for kind, known in (("pdb", real.world.budgets), ("networkpolicy", real.world.network_policies)):
        stored = json.loads(plane.kubectl("get", kind, "guarded", "-n", "team", "-o", "json"))
        (owner,) = stored["metadata"]["ownerReferences"]
        assert owner["uid"] == real.uid
        assert stored["spec"] == known["guarded"]["spec"]
    real.world.change(image="shop:2")
    for _ in range(5):
        real.reconcile()
        real.world.look()
    moved = json.loads(plane.kubectl("get", "pdb", "guarded", "-n", "team", "-o", "json"))
    assert moved["spec"]["selector"]["matchLabels"]["tandem.dev/revision"] == "2"
    real.world.change(safeDefaults={"podDisruptionBudget": False, "networkPolicy": False})
    real.reconcile()
    left = plane.kubectl("get", "pdb,networkpolicy", "-n", "team", "-o", "name").split()
    assert [name for name in left if name.endswith("/guarded")] == []


def test_an_apply_that_comes_too_late_brings_nothing_back(plane: ControlPlane) -> None:
    real = Real(plane, named(app(), "late"))
    real.reconcile()
    plane.kubectl("delete", "deployment", "late-1", "-n", "team")
    real.world.deployments["late-1"]["spec"]["replicas"] = 7
    with pytest.raises(ClusterError, match="selector"):
        real.reconcile()


def test_a_deployment_that_failed_and_is_tried_again_is_nobodys_to_judge_but_ours(plane: ControlPlane) -> None:
    """Scaled to zero it counts as complete, and then Kubernetes gives it no deadline any more."""
    world = named(app(progressDeadlineSeconds=2), "judged")
    real = Real(plane, world)
    real.reconcile()
    eventually(lambda: progressing(real.deployment("judged-1")) == ("False", "ProgressDeadlineExceeded"))
    real.observe()
    world.wait(3600)
    real.reconcile()  # judges
    real.reconcile()  # and sees the verdict on the Deployment
    assert (world.record(1).state, world.scale) == ("Failed", {1: 0})
    eventually(lambda: progressing(real.deployment("judged-1")) == ("True", "NewReplicaSetAvailable"))
    world.annotations["tandem.dev/requestedAt"] = "now"
    real.observe()
    real.reconcile()
    assert "tandem.dev/failed" not in real.deployment("judged-1")["metadata"]["annotations"]
    eventually(lambda: real.deployment("judged-1").get("status", {}).get("replicas") == 1)
    time.sleep(4)  # twice the deadline: that nothing happens can only be waited for
    assert progressing(real.deployment("judged-1")) == ("True", "NewReplicaSetAvailable")
    real.observe()
    world.wait(3)
    real.reconcile()
    real.reconcile()
    assert (world.record(1).state, world.scale) == ("Failed", {1: 0})
