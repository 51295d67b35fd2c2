"""A PodDisruptionBudget and a NetworkPolicy are there by default, and neither is ever what hurts."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tandem.api import names
from tandem.api.meta import Json
from tandem.api.plan import Refusal
from tests.unit.apps.deployments import CRASH
from tests.unit.apps.world import World, app, model

OFF: Json = {"podDisruptionBudget": False, "networkPolicy": False}


def budget(world: World) -> Json:
    spec: Json = world.budgets["shop"]["spec"]
    return spec


def guarded(world: World) -> int:
    """The revision whose pods the budget counts."""
    return int(budget(world)["selector"]["matchLabels"][names.REVISION_LABEL])


def test_the_network_policy_is_there_before_any_pod() -> None:
    first, second, *_ = app().plan().actions
    assert (first.id, second.id) == ("create NetworkPolicy/shop", "create Deployment/shop-1")


def test_the_network_policy_opens_the_declared_port_to_everybody_and_limits_nothing_else() -> None:
    (policy,) = app(port=9000).converge().network_policies.values()
    assert policy["spec"] == {
        "podSelector": {"matchLabels": {names.APP_LABEL: "shop"}},
        "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": "http", "protocol": "TCP"}]}],
    }


def test_revisions_with_different_ports_need_one_network_policy() -> None:
    """It names the port, and each pod says which number that is: while two revisions run, both are reached."""
    world = app(port=8080).converge()
    world.done.clear()
    world.change(port=9000)
    world.converge()
    assert [action.id for action in world.done if "NetworkPolicy" in action.id] == []


@pytest.mark.parametrize("replicas", [0, 1])
def test_a_single_pod_has_no_budget_because_a_drain_would_wait_for_ever(replicas: int) -> None:
    world = app(replicas=replicas).converge()
    assert world.budgets == {}
    assert "with a second replica" in world.condition("Protected").message


@pytest.mark.parametrize("replicas", [2, 3, 100])
def test_of_several_pods_a_drain_may_always_take_one(replicas: int) -> None:
    spec = budget(app(replicas=replicas).converge())
    assert (spec["maxUnavailable"], spec["unhealthyPodEvictionPolicy"]) == ("25%", "AlwaysAllow")


def test_a_budget_comes_and_goes_with_the_second_replica() -> None:
    world = app(replicas=1).converge()
    world.change(replicas=2)
    assert list(world.converge().budgets) == ["shop"]
    world.change(replicas=1)
    assert world.converge().budgets == {}


def test_a_budget_stays_while_nobody_sees_what_serves() -> None:
    """Service and Deployments may be seen late: pods are guarded meanwhile. Found by the sieve, on a busy machine."""
    world = app(replicas=2).converge()
    world.services.clear()
    world.deployments.clear()
    assert not [action.id for action in world.plan().actions if "PodDisruptionBudget" in action.id]


def test_the_budget_follows_the_traffic() -> None:
    world = app(replicas=2).converge()
    world.change(image="shop:2")
    assert guarded(world) == 1
    assert guarded(world.converge()) == 2


def test_a_revision_that_does_not_come_up_is_not_in_the_budget() -> None:
    """Its pods would count as missing ones, and hold back the drain of a node on which only good ones run."""
    world = app(replicas=2).converge()
    world.behaviour["shop:2"] = CRASH
    world.change(image="shop:2")
    assert guarded(world.converge()) == 1


@pytest.mark.parametrize("world", [app(replicas=2), model(replicas=2)], ids=["an app", "a model"])
def test_what_is_turned_off_is_removed(world: World) -> None:
    world.converge()
    assert (list(world.budgets), list(world.network_policies)) == (["shop"], ["shop"])
    world.change(safeDefaults=OFF)
    world.converge()
    assert (world.budgets, world.network_policies) == ({}, {})
    assert "Protected" not in world.conditions()
    assert world.serving == 1


def test_what_somebody_deleted_or_changed_is_put_back() -> None:
    world = app(replicas=2).converge()
    del world.network_policies["shop"]
    world.budgets["shop"]["metadata"]["annotations"].clear()
    assert [action.id for action in world.plan().actions] == [
        "create NetworkPolicy/shop",
        "apply PodDisruptionBudget/shop",
    ]


def test_children_are_owned_and_seen_by_the_operators_watch() -> None:
    world = app(replicas=2).converge()
    for one in (world.budgets["shop"], world.network_policies["shop"]):
        (owner,) = one["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == ("app-uid", True)
        assert one["metadata"]["labels"][names.MANAGED_BY_LABEL] == names.MANAGED_BY


@pytest.mark.parametrize("what", ["NetworkPolicy", "PodDisruptionBudget"])
def test_a_refused_guard_is_told_and_stops_no_rollout(what: str) -> None:
    world = app(replicas=2)
    later = world.now + timedelta(minutes=5)
    world.refusals[f"create {what}/shop"] = Refusal("Forbidden", "not allowed", world.now, later, 1)
    for _ in range(4):
        world.reconcile()
        world.look()
    assert world.serving == 1
    condition = world.condition("Protected")
    assert (condition.status, condition.reason) == ("False", "Forbidden")
    assert what in condition.message
    assert world.condition("Ready").reason == "Forbidden"
