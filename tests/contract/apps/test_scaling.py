"""What the plan takes for granted about HorizontalPodAutoscalers, asked of Kubernetes' own controller of them.

There is no node, so no pod ever runs, and no metrics: what can be asked is who writes which number where.
"""

from __future__ import annotations

import json

from cluster.control_plane import ControlPlane
from tests.contract.apps.real import Json
from tests.contract.apps.scaled import Scaled, path

QUEUE: Json = {"type": "External", "external": {"metric": {"name": "queue"}, "target": {"averageValue": 30}}}
CPU: Json = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 70}}}


def test_the_real_autoscaler_finds_the_app_and_writes_replicas_through_scale(plane: ControlPlane) -> None:
    scaled = Scaled(plane, "grown", metrics=[CPU])
    scaled.settle()

    scaled.until(lambda: scaled.get("appdeployment")["spec"]["replicas"] == 2)

    assert scaled.condition("AbleToScale")[0] == "True"
    stored = scaled.get("hpa")
    assert stored["metadata"]["ownerReferences"][0]["uid"] == scaled.real.uid
    wanted = scaled.world.autoscalers["grown"]["spec"]
    assert {field: stored["spec"][field] for field in wanted} == wanted, "nothing is defaulted over it"
    fields = json.loads(plane.kubectl("get", "appd", "grown", "-n", "team", "--show-managed-fields", "-o", "json"))
    (writer,) = [f for f in fields["metadata"]["managedFields"] if "f:replicas" in f["fieldsV1"].get("f:spec", {})]
    assert (writer["manager"], writer["subresource"]) == ("kube-controller-manager", "scale")


def test_scale_tells_of_the_stable_revision_alone(plane: ControlPlane) -> None:
    scaled = Scaled(plane, "alone", metrics=[CPU])
    scaled.settle()
    scaled.world.behaviour["shop:2"] = "crash"
    scaled.world.change(image="shop:2")
    scaled.settle()

    scale = plane.get(path("alone", "scale"))

    assert scaled.world.scale == {1: 2, 2: 2}, "a candidate is there"
    assert scale["status"] == {"replicas": 2, "selector": scaled.world.told.selector}
    assert scale["status"]["selector"].endswith("=1")


def test_without_metrics_it_is_told_and_is_nobodys_fault(plane: ControlPlane) -> None:
    scaled = Scaled(plane, "blind", metrics=[CPU])
    scaled.settle()
    scaled.until(lambda: scaled.condition("ScalingActive")[0] == "False")

    assert scaled.told() == ("Unknown", "FailedGetResourceMetric")
    assert scaled.world.condition("Ready").status == "True"


def test_two_autoscalers_of_the_same_pods_are_found_out(plane: ControlPlane) -> None:
    scaled = Scaled(plane, "torn", metrics=[CPU])
    scaled.settle()
    second = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "torn-own", "namespace": "team"},
        "spec": scaled.get("hpa")["spec"],
    }
    plane.kubectl("create", "-f", "-", stdin=json.dumps(second))
    scaled.until(lambda: scaled.condition("ScalingActive")[1] == "AmbiguousSelector")

    assert scaled.told() == ("False", "AmbiguousSelector")
    assert scaled.world.conditions()["Stalled"] == "True"


def test_a_number_outside_of_the_bounds_is_corrected_by_both_to_the_same(plane: ControlPlane) -> None:
    """A manifest that says replicas: 9. The pods are right at once, and the spec as soon as the autoscaler looks."""
    scaled = Scaled(plane, "much", metrics=[CPU])
    scaled.settle()
    scaled.until(lambda: scaled.get("appdeployment")["spec"]["replicas"] == 2)
    plane.kubectl("scale", "appdeployment/much", "-n", "team", "--replicas=9")
    scaled.world.change(replicas=9)
    scaled.settle()
    assert scaled.real.deployment("much-1")["spec"]["replicas"] == 4

    scaled.until(lambda: scaled.get("appdeployment")["spec"]["replicas"] == 4)


def test_every_kind_of_metric_and_no_pods_at_all_are_accepted(plane: ControlPlane) -> None:
    metrics = [
        QUEUE,
        {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"averageValue": "1k"}}},
        {
            "type": "Object",
            "object": {
                "describedObject": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "shop"},
                "metric": {"name": "rps", "selector": {"matchLabels": {"a": "b"}}},
                "target": {"value": 100},
            },
        },
        {"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1Gi"}}},
    ]
    behavior = {"scaleUp": {"policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}]}}
    scaled = Scaled(plane, "any", minReplicas=0, metrics=metrics, behavior=behavior)
    scaled.settle()

    assert len(scaled.get("hpa")["spec"]["metrics"]) == 4


def test_what_is_applied_while_revisions_share_the_traffic_is_accepted_and_taken_back(plane: ControlPlane) -> None:
    scaled = Scaled(plane, "shared", metrics=[CPU])
    scaled.settle()
    assert policy_down(scaled) == "Max"
    scaled.world.change(image="shop:2", rollout={"strategy": "Canary", "steps": [{"trafficPercent": 20, "pause": {}}]})
    scaled.settle()
    assert policy_down(scaled) == "Disabled"
    scaled.world.change(image="shop:1")
    scaled.settle(passes=8)
    assert policy_down(scaled) == "Max"


def policy_down(scaled: Scaled) -> str:
    return str(scaled.get("hpa")["spec"].get("behavior", {}).get("scaleDown", {}).get("selectPolicy", "Max"))
