"""Kubernetes' own autoscaler and a metric from outside, and what KEDA does with an AppDeployment.

What KEDA does is taken from its source (2.21: controllers/keda/hpa.go, pkg/scaling/executor/scale_scaledobjects.go): it
makes a HorizontalPodAutoscaler of an External metric, and between none and one it writes /scale itself.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from cluster.control_plane import ControlPlane
from tests.contract.apps import queue
from tests.contract.apps.real import Json
from tests.contract.apps.scaled import Scaled, path
from tests.crds import ROOT

pytestmark = pytest.mark.slow

# Kubernetes' own would be four pods every 15 seconds, and five minutes until there are fewer.
AT_ONCE: Json = {
    "scaleUp": {"policies": [{"type": "Pods", "value": 100, "periodSeconds": 1}]},
    "scaleDown": {"stabilizationWindowSeconds": 0},
}
CANARY: Json = {"strategy": "Canary", "steps": [{"trafficPercent": 50, "pause": {}}]}


def length_of(name: str, per_pod: int) -> Json:
    """30 mails for each pod, for example."""
    metric = {"name": queue.METRIC, "selector": {"matchLabels": {"scaledobject.keda.sh/name": name}}}
    return {"type": "External", "external": {"metric": metric, "target": {"averageValue": per_pod}}}


@pytest.fixture(scope="module", autouse=True)
def metrics_api(plane: ControlPlane) -> None:
    queue.served(plane)


def says(scaled: Scaled, length: int) -> None:
    queue.says(scaled.plane, length, **{"scaledobject.keda.sh/name": scaled.world.name})


def writers_of_replicas(scaled: Scaled) -> set[str]:
    words = ("appdeployment", scaled.world.name, "-n", "team", "--show-managed-fields", "-o", "json")
    fields = json.loads(scaled.plane.kubectl("get", *words))["metadata"]["managedFields"]
    return {one["manager"] for one in fields if "f:replicas" in one["fieldsV1"].get("f:spec", {})}


def test_by_a_metric_from_outside_there_are_as_many_pods_as_it_takes_and_a_canary_does_not_run_away(
    plane: ControlPlane,
) -> None:
    scaled = Scaled(plane, "fed", maxReplicas=8, metrics=[length_of("fed", 30)], behavior=AT_ONCE)
    says(scaled, 100)
    scaled.settle()
    scaled.until_it_asks_for(4)
    assert scaled.real.deployment("fed-1")["spec"]["replicas"] == 4
    scaled.until(lambda: scaled.told() == ("True", "Autoscaled"))

    # as many pods again, which no autoscaler may count: it would want twice as many, and twice as many again
    scaled.world.change(image="shop:2", rollout=CANARY)
    scaled.settle(passes=8)
    looked = scaled.get("hpa")["metadata"]["resourceVersion"]
    says(scaled, 99)  # is seen in the autoscaler's status when it has looked again
    scaled.until(lambda: scaled.get("hpa")["metadata"]["resourceVersion"] != looked and current(scaled) == "24750m")
    assert scaled.follow() == 4
    assert set(scaled.world.scale.values()) == {4}

    # more work: more of both; less work: only when one of them has all the traffic again
    says(scaled, 180)
    scaled.until_it_asks_for(6)
    assert set(scaled.world.scale.values()) == {6}
    says(scaled, 12)
    scaled.until(lambda: current(scaled) == "2")
    assert scaled.follow() == 6
    scaled.world.say(promote="2")
    scaled.settle(passes=8)
    scaled.until_it_asks_for(2)
    assert writers_of_replicas(scaled) == {"kube-controller-manager"}


def current(scaled: Scaled) -> str:
    """What the autoscaler has measured, for each pod."""
    (metric,) = scaled.get("hpa")["status"].get("currentMetrics") or [{}]
    return str(metric.get("external", {}).get("current", {}).get("averageValue", ""))


def documented() -> Json:
    """The ScaledObject that docs/spec/appdeployment.md shows."""
    page = (ROOT / "docs/spec/appdeployment.md").read_text()
    (block,) = [b for b in re.findall(r"^```yml\n(.*?)^```", page, re.S | re.M) if "keda.sh/" in b]
    found: Json = yaml.safe_load(block)
    return found


def as_keda_makes_it(scaled_object: Json) -> Json:
    spec, name = scaled_object["spec"], scaled_object["metadata"]["name"]
    (trigger,) = spec["triggers"]
    metric = length_of(name, int(trigger["metadata"]["value"]))
    metric["external"]["target"]["type"] = "AverageValue"
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {
            "name": f"keda-hpa-{name}",
            "namespace": "team",
            "labels": {"app.kubernetes.io/managed-by": "keda-operator"},
        },
        "spec": {
            "scaleTargetRef": spec["scaleTargetRef"],
            "minReplicas": max(1, spec["minReplicaCount"]),
            "maxReplicas": spec["maxReplicaCount"],
            "metrics": [metric],
            "behavior": spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] | AT_ONCE,
        },
    }


def keda_scales(scaled: Scaled, replicas: int) -> None:
    """From none to one and back it does so itself: it reads /scale and puts it back with another number."""
    where = path(scaled.world.name, "scale")
    scale = scaled.plane.get(where)
    scale["spec"]["replicas"] = replicas
    scaled.plane.kubectl("replace", "--raw", where, "-f", "-", stdin=json.dumps(scale))


def test_keda_scales_an_app_from_none_and_back(plane: ControlPlane) -> None:
    plane.define(Path(__file__).parent / "keda/scaledobjects.yaml")
    scaled_object = documented()
    plane.kubectl("apply", "-n", "team", "-f", "-", stdin=json.dumps(scaled_object))
    scaled = Scaled(plane, scaled_object["metadata"]["name"])
    scaled.settle()
    says(scaled, 0)

    keda_scales(scaled, 0)
    assert scaled.follow() == 0
    assert scaled.world.scale == {1: 0}
    assert scaled.world.condition("Available").reason == "ScaledToZero"
    assert scaled.world.conditions().get("Stalled") is None

    says(scaled, 100)
    plane.kubectl("create", "-f", "-", stdin=json.dumps(as_keda_makes_it(scaled_object)))
    keda_scales(scaled, 1)
    scaled.until_it_asks_for(4)
    assert scaled.real.deployment("mailer-1")["spec"]["replicas"] == 4
    assert scaled.condition("AbleToScale", "keda-hpa-mailer")[0] == "True"
    assert "Autoscaled" not in scaled.world.conditions(), "it is KEDA's affair"

    says(scaled, 0)
    scaled.until_it_asks_for(1)
    keda_scales(scaled, 0)
    scaled.until(lambda: scaled.condition("ScalingActive", "keda-hpa-mailer") == ("False", "ScalingDisabled"))
    assert scaled.follow() == 0
    assert scaled.world.scale == {1: 0}
