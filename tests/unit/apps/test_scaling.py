"""A HorizontalPodAutoscaler of the AppDeployment: nobody fights it, and no canary makes it run away."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from tandem.api import names
from tandem.api.meta import Json
from tandem.api.plan import Refusal
from tests.unit.apps.deployments import CRASH
from tests.unit.apps.world import World, app

CPU: Json = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 70}}}
SERVES = f"{names.APP_LABEL}=shop,{names.REVISION_LABEL}=1"  # what /scale selects


def scaled(**spec: object) -> World:
    return app(autoscaling={"minReplicas": 2, "maxReplicas": 10, "metrics": [CPU]}, **spec)


def autoscaler(world: World) -> Json:
    spec: Json = world.autoscalers["shop"]["spec"]
    return spec


def says(world: World, type_: str, status: str, reason: str, message: str = "…") -> None:
    """What the real one writes into its status."""
    conditions = world.autoscalers["shop"].setdefault("status", {}).setdefault("conditions", [])
    conditions[:] = [c for c in conditions if c["type"] != type_]
    conditions.append({"type": type_, "status": status, "reason": reason, "message": message})


def soon(world: World) -> None:
    """As much as is done without waiting."""
    for _ in range(6):
        world.reconcile()
        world.look()


def works(world: World) -> None:
    says(world, "AbleToScale", "True", "ReadyForNewScale")
    says(world, "ScalingActive", "True", "ValidMetricFound")
    says(world, "ScalingLimited", "False", "DesiredWithinRange")


def test_the_autoscaler_scales_the_app_deployment_and_says_all_that_autoscaling_v2_wants() -> None:
    assert autoscaler(scaled().converge()) == {
        "scaleTargetRef": {"apiVersion": "tandem.dev/v1alpha1", "kind": "AppDeployment", "name": "shop"},
        "minReplicas": 2,
        "maxReplicas": 10,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
            }
        ],
    }


QUEUE: Json = {"name": "queue_length", "selector": {"matchLabels": {"queue": "mail"}}}
INGRESS: Json = {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "name": "shop"}


@pytest.mark.parametrize(
    ("metric", "type_"),
    [
        ({"type": "Resource", "resource": {"name": "memory", "target": {"averageValue": "1Gi"}}}, "AverageValue"),
        ({"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"averageValue": 100}}}, "AverageValue"),
        ({"type": "External", "external": {"metric": QUEUE, "target": {"averageValue": 30}}}, "AverageValue"),
        ({"type": "External", "external": {"metric": QUEUE, "target": {"value": "3k"}}}, "Value"),
        (
            {
                "type": "Object",
                "object": {"describedObject": INGRESS, "metric": {"name": "rps"}, "target": {"value": 9}},
            },
            "Value",
        ),
    ],
)
def test_a_metric_goes_through_as_it_is_with_the_type_of_its_target(metric: Json, type_: str) -> None:
    world = app(autoscaling={"maxReplicas": 3, "metrics": [metric]}).converge()
    (made,) = autoscaler(world)["metrics"]
    block = str(metric["type"]).lower()
    assert made[block]["target"].pop("type") == type_
    assert made == metric


def test_without_metrics_kubernetes_chooses_and_behaviour_goes_through() -> None:
    behavior = {"scaleUp": {"policies": [{"type": "Pods", "value": 4, "periodSeconds": 15}]}}
    spec = autoscaler(app(autoscaling={"maxReplicas": 3, "behavior": behavior}).converge())
    assert "metrics" not in spec
    assert spec["behavior"] == behavior


def test_it_is_owned_and_seen_by_the_operators_watch() -> None:
    meta = scaled().converge().autoscalers["shop"]["metadata"]
    (owner,) = meta["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == ("app-uid", True)
    assert meta["labels"][names.MANAGED_BY_LABEL] == names.MANAGED_BY


def test_it_comes_when_a_revision_serves_whose_pods_can_be_measured() -> None:
    """Before that its target has no selector, and it would complain at every look."""
    world = scaled()
    world.behaviour["shop:1"] = CRASH
    soon(world)
    assert world.autoscalers == {}
    condition = world.condition("Autoscaled")
    assert (condition.status, condition.reason) == ("Unknown", "WaitsForRevision")
    world.behaviour.clear()
    assert list(world.converge().autoscalers) == ["shop"]


def test_it_goes_when_nobody_asks_for_it_any_more_and_the_pods_stay() -> None:
    world = scaled(replicas=5).converge()
    world.change(autoscaling=None)
    world.converge()
    assert (world.autoscalers, world.scale) == ({}, {1: 5})
    assert "Autoscaled" not in world.conditions()


def test_at_rest_nothing_is_done() -> None:
    world = scaled().converge()
    works(world)
    world.converge()
    writes = world.status_writes
    assert (world.reconcile().actions, world.status_writes) == ((), writes)


# --- How many pods ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "pods"),
    [(None, 2), (1, 2), (2, 2), (7, 7), (10, 10), (50, 10), (0, 0)],
    ids=["the default of 1", "below", "the least", "within", "the most", "above", "zero is a person's word"],
)
def test_whatever_a_manifest_says_the_pods_stay_within_the_bounds(replicas: int | None, pods: int) -> None:
    """A manifest that gives replicas, or one from which they were taken, moves the app back to a bound at most."""
    assert scaled(**({} if replicas is None else {"replicas": replicas})).converge().scale == {1: pods}


def test_what_the_autoscaler_asks_for_is_carried_out_and_never_taken_back() -> None:
    world = scaled().converge()
    world.change(replicas=6)  # through /scale
    world.converge()
    assert (world.scale, world.app.spec.replicas) == ({1: 6}, 6)
    assert (world.told.replicas, world.told.selector) == (6, SERVES)


def test_a_candidate_is_as_large_as_what_serves_and_is_not_counted() -> None:
    world = scaled(replicas=6).converge()
    world.behaviour["shop:2"] = CRASH
    world.change(image="shop:2")
    soon(world)
    assert world.scale == {1: 6, 2: 6}
    assert (world.told.replicas, world.told.selector) == (6, SERVES)


def test_the_budget_counts_what_the_autoscaler_keeps() -> None:
    assert list(scaled(replicas=1).converge().budgets) == ["shop"]


@dataclass
class RealAutoscaler:
    """The arithmetic of Kubernetes' controller for a resource metric, on what /scale tells, and on nothing else.

    ``load`` is what all clients ask for, in pods that work exactly at their target.
    """

    world: World
    load: float
    chosen: list[int] = field(default_factory=list)

    def look(self) -> None:
        world = self.world
        bounds = world.autoscalers.get("shop", {}).get("spec")
        told, replicas = world.told, world.app.spec.replicas
        if bounds is None or not told.selector:
            return
        measured = self._pods(told.selector)
        per_pod = self.load / self._answering() if measured and self._serves(told.selector) else 0.0
        wanted = replicas if abs(per_pod - 1) <= 0.1 else math.ceil(per_pod * measured)
        wanted = max(bounds["minReplicas"], min(wanted, bounds["maxReplicas"]))
        down = bounds.get("behavior", {}).get("scaleDown", {}).get("selectPolicy") != "Disabled"
        if wanted > replicas or (wanted < replicas and down):
            world.change(replicas=wanted)
        self.chosen.append(world.app.spec.replicas)

    def _pods(self, selector: str) -> int:
        labels = dict(part.split("=") for part in selector.split(","))
        return sum(
            deployment.get("status", {}).get("availableReplicas", 0)
            for deployment in self.world.deployments.values()
            if labels.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
        )

    def _answering(self) -> int:
        selector = self.world.services["shop"]["spec"]["selector"]
        return self._pods(",".join(f"{name}={value}" for name, value in selector.items()))

    def _serves(self, selector: str) -> bool:
        labels = dict(part.split("=") for part in selector.split(","))
        return bool(self.world.services["shop"]["spec"]["selector"].items() <= labels.items())


STRATEGIES: dict[str, Json] = {
    "BlueGreen": {},
    "RollingUpdate": {"rollout": {"strategy": "RollingUpdate"}},
    "Canary": {
        "rollout": {
            "strategy": "Canary",
            "steps": [{"trafficPercent": percent, "pause": {"durationSeconds": 60}} for percent in (10, 50, 80)],
        }
    },
}


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
@pytest.mark.parametrize("ends", ["shop:2", "shop:broken"])
def test_under_a_steady_load_a_rollout_changes_no_number(strategy: Json, ends: str) -> None:
    """Neither up without end (argo-rollouts#2857), nor down while another revision takes part of the load."""
    world = scaled(**strategy)
    world.behaviour["shop:broken"] = CRASH
    hpa = RealAutoscaler(world, load=6.0)
    for _ in range(10):
        let_pass(world, hpa)
    assert world.app.spec.replicas == 6
    hpa.chosen.clear()
    world.change(image=ends)
    for _ in range(120):
        let_pass(world, hpa)
    assert set(hpa.chosen) == {6}
    assert world.serving == (2 if ends == "shop:2" else 1)
    assert autoscaler(world).get("behavior") is None, "when it is over, it scales down again"


def let_pass(world: World, hpa: RealAutoscaler, seconds: float = 15) -> None:
    soon(world)
    hpa.look()
    world.wait(seconds)


def test_more_load_in_the_middle_of_a_rollout_is_answered_for_both_revisions() -> None:
    world = scaled(replicas=4).converge()
    hpa = RealAutoscaler(world, load=4.0)
    world.behaviour["shop:2"] = CRASH
    world.change(image="shop:2")
    let_pass(world, hpa)
    hpa.load = 8.0
    let_pass(world, hpa)
    let_pass(world, hpa)
    assert world.scale == {1: 8, 2: 8}


# --- What is told ----------------------------------------------------------------------------------------------------


def test_the_condition_says_between_what_and_by_what() -> None:
    world = scaled().converge()
    assert world.condition("Autoscaled").reason == "WaitsForMetrics"
    works(world)
    condition = world.converge().condition("Autoscaled")
    assert (condition.status, condition.reason, condition.message) == ("True", "Autoscaled", "2 to 10 pods, by cpu")


def test_at_the_maximum_a_person_is_told() -> None:
    world = scaled().converge()
    works(world)
    says(world, "ScalingLimited", "True", "TooManyReplicas")
    condition = world.converge().condition("Autoscaled")
    assert (condition.status, condition.reason) == ("True", "AtMaximum")


@pytest.mark.parametrize(
    ("type_", "reason"),
    [
        ("ScalingActive", "FailedGetResourceMetric"),
        ("ScalingActive", "FailedGetExternalMetric"),
        ("AbleToScale", "FailedUpdateScale"),
    ],
)
def test_metrics_that_are_away_are_told_and_are_not_the_apps_fault(type_: str, reason: str) -> None:
    world = scaled(replicas=3).converge()
    works(world)
    says(world, type_, "False", reason, "no metrics returned from resource metrics API")
    condition = world.converge().condition("Autoscaled")
    assert (condition.status, condition.reason) == ("Unknown", reason)
    assert "no metrics returned" in condition.message
    assert "there are 3 pods" in condition.message
    assert world.condition("Ready").status == "True"
    assert "Stalled" not in world.conditions()


def test_two_autoscalers_of_the_same_pods_need_a_person() -> None:
    """Somebody's own, or KEDA's: then neither of them scales."""
    world = scaled().converge()
    says(world, "ScalingActive", "False", "AmbiguousSelector", "pods by selector are controlled by multiple HPAs")
    world.converge()
    assert (world.condition("Autoscaled").status, world.condition("Ready").reason) == ("False", "AmbiguousSelector")
    assert world.conditions()["Stalled"] == "True"
    assert world.conditions()["Available"] == "True"


def test_a_cause_that_names_another_pod_at_every_look_is_written_once() -> None:
    world = scaled().converge()
    for pod in ("shop-1-a", "shop-1-b"):
        said = f"missing request for memory in container app of Pod {pod}"
        says(world, "ScalingActive", "False", "FailedGetResourceMetric", said)
        if pod == "shop-1-a":
            world.converge()
            writes = world.status_writes
    world.converge()
    assert world.status_writes == writes


def test_zero_replicas_stop_the_app_and_the_autoscaler_and_the_way_back_is_told() -> None:
    world = scaled().converge()
    works(world)
    world.change(replicas=0)
    says(world, "ScalingActive", "False", "ScalingDisabled")
    condition = world.converge().condition("Autoscaled")
    assert (condition.status, condition.reason) == ("Unknown", "ScalingDisabled")
    assert "kubectl scale appd/shop --replicas=2" in condition.message
    assert world.condition("Ready").status == "True"


@pytest.mark.parametrize("verb", ["create", "apply"])
def test_a_refused_autoscaler_is_told_and_stops_no_rollout(verb: str) -> None:
    world = scaled()
    if verb == "apply":
        world.converge()
        world.change(autoscaling={"maxReplicas": 3}, image="shop:2")
    later = world.now + timedelta(minutes=5)
    world.refusals[f"{verb} HorizontalPodAutoscaler/shop"] = Refusal("Invalid", "no such thing", world.now, later, 1)
    soon(world)
    assert world.serving == (1 if verb == "create" else 2)
    condition = world.condition("Autoscaled")
    assert (condition.status, condition.reason) == ("False", "Invalid")
    assert "HorizontalPodAutoscaler" in condition.message


def test_what_somebody_deleted_or_changed_is_put_back() -> None:
    world = scaled().converge()
    world.autoscalers["shop"]["metadata"]["annotations"].clear()
    assert [action.id for action in world.plan().actions] == ["apply HorizontalPodAutoscaler/shop"]
    del world.autoscalers["shop"]
    assert [action.id for action in world.plan().actions] == ["create HorizontalPodAutoscaler/shop"]
