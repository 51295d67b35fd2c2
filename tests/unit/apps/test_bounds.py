"""Whose autoscaling is in force: that of the revision that serves, unless a person has said something else since."""

from __future__ import annotations

import pytest

from tandem.api.meta import Json
from tests.unit.apps.deployments import CRASH
from tests.unit.apps.world import World, app

OLD: Json = {"minReplicas": 2, "maxReplicas": 6}
NEW: Json = {"minReplicas": 4, "maxReplicas": 8}
OTHER: Json = {"minReplicas": 3, "maxReplicas": 20}


def in_force(world: World) -> Json | None:
    made = world.autoscalers.get("shop")
    return {"minReplicas": made["spec"]["minReplicas"], "maxReplicas": made["spec"]["maxReplicas"]} if made else None


def first(**spec: object) -> World:
    """Revision 1 serves with the old bounds."""
    return app(autoscaling=OLD, scaleDownDelaySeconds=0, **spec).converge()


def second(autoscaling: Json | None = NEW) -> World:
    """Revision 2 has taken over, with the new ones."""
    world = first()
    world.change(image="shop:2", autoscaling=autoscaling)
    return world.converge()


def test_other_bounds_restart_nothing_and_are_in_force_at_once() -> None:
    world = first()
    world.change(autoscaling=NEW)
    world.reconcile()
    assert (in_force(world), world.converge().scale) == (NEW, {1: 4})


def test_together_with_an_image_they_come_when_its_revision_serves() -> None:
    world = first()
    world.change(image="shop:2", autoscaling=NEW)
    while world.serving == 1:
        assert in_force(world) == OLD
        world.reconcile()
        world.look()
    assert in_force(world.converge()) == NEW


def test_a_candidate_that_fails_changes_nothing_for_what_serves() -> None:
    world = first()
    world.behaviour["shop:2"] = CRASH
    world.change(image="shop:2", autoscaling=NEW)
    world.converge()
    assert (world.serving, in_force(world), world.scale[1]) == (1, OLD, 2)
    assert "what the spec says comes with revision 2" in world.condition("Autoscaled").message


@pytest.mark.parametrize("until", [60, 7200], ids=["while it is tried", "when it has failed"])
def test_a_person_who_changes_them_meanwhile_is_heard_at_once(until: float) -> None:
    world = first()
    world.behaviour["shop:2"] = CRASH
    world.change(image="shop:2", autoscaling=NEW)
    for _ in range(2):
        for _ in range(4):
            world.reconcile()
            world.look()
        world.wait(until / 2)
    world.change(autoscaling=OTHER)
    for _ in range(3):
        world.reconcile()
        world.look()
    assert (world.serving, in_force(world), world.scale[1]) == (1, OTHER, 3)


def test_a_rollback_brings_them_back_with_the_revision() -> None:
    world = second()
    assert in_force(world) == NEW
    world.change(rollback={"toRevision": 1})
    world.converge()
    assert (world.serving, in_force(world)) == (1, OLD)
    assert "spec.rollback restores it" in world.condition("Autoscaled").message


def test_what_a_rollback_brings_back_is_what_the_revision_served_with_last() -> None:
    world = first()
    world.change(autoscaling=OTHER)  # and no other revision
    world.converge()
    world.change(image="shop:2", autoscaling=NEW)
    world.converge()
    world.change(rollback={"toRevision": 1})
    assert in_force(world.converge()) == OTHER


def test_a_person_who_changes_them_while_a_rollback_holds_is_heard_at_once_and_for_good() -> None:
    world = second()
    world.change(rollback={"toRevision": 1})
    world.converge()
    world.change(autoscaling=OTHER)
    assert in_force(world.converge()) == OTHER
    world.lose_status()
    assert in_force(world.converge()) == OTHER
    world.change(replicas=5)
    assert (in_force(world.converge()), world.serving) == (OTHER, 1)


def test_without_the_rollback_the_spec_decides_again() -> None:
    world = second()
    world.change(rollback={"toRevision": 1})
    world.converge()
    world.change(rollback=None)
    assert (in_force(world.converge()), world.serving) == (NEW, 2)


def test_a_rollback_to_a_revision_that_had_none_takes_no_autoscaler_away() -> None:
    world = app(scaleDownDelaySeconds=0).converge()
    world.change(image="shop:2", autoscaling=NEW)
    world.converge()
    world.change(rollback={"toRevision": 1})
    assert (in_force(world.converge()), world.serving) == (NEW, 1)


def test_a_rollback_brings_an_autoscaler_back_that_the_spec_has_no_more() -> None:
    world = second(autoscaling=None)
    assert in_force(world) is None
    world.change(rollback={"toRevision": 1})
    assert (in_force(world.converge()), world.serving) == (OLD, 1)


def test_what_is_suspended_can_be_scaled_otherwise() -> None:
    world = first()
    world.change(suspend=True, image="shop:2", autoscaling=OTHER)
    assert (in_force(world.converge()), world.serving) == (OTHER, 1)


def test_an_app_without_autoscaling_has_the_notes_that_it_had_before_there_was_any() -> None:
    """Or every Deployment would be written once when the operator is updated."""
    (deployment,) = app().converge().deployments.values()
    assert "autoscaling" not in deployment["metadata"]["annotations"]["tandem.dev/revision-content"]
