"""One Event for each thing that happened, once."""

from __future__ import annotations

from tests.unit.apps.deployments import CRASH
from tests.unit.apps.world import World, app, model


def told_since(world: World, count: int) -> list[str]:
    return world.reasons()[count:]


def test_the_story_of_an_app() -> None:
    world = app("shop:1").converge()
    assert world.reasons() == ["RevisionCreated", "TrafficSwitched"]
    world.change(image="shop:2")
    world.converge()
    assert told_since(world, 2) == ["RevisionCreated", "TrafficSwitched", "RevisionRetired"]
    world.change(image="shop:1")
    world.converge()
    assert told_since(world, 5) == ["RevisionRetried", "TrafficSwitched", "RevisionRetired"]


def test_the_story_of_a_model_ends_with_its_alias() -> None:
    world = model("1", promote_to="champion").converge()
    assert world.reasons() == ["RevisionCreated", "TrafficSwitched", "AliasPromoted"]
    assert world.events[1].message == "revision 1 (model iris version 1) takes all the traffic"


def test_a_failure_is_a_warning_with_the_whole_story_in_it() -> None:
    world = app("shop:1").converge()
    world.behaviour["shop:2"] = CRASH
    world.change(image="shop:2")
    world.converge()
    failed = world.events[-1]
    assert (failed.type, failed.reason) == ("Warning", "RevisionFailed")
    assert "exited with code 3" in failed.message
    assert "revision 1 keeps serving" in failed.message


def test_a_lost_status_repeats_nothing_that_is_past() -> None:
    world = app("shop:1").converge()
    world.change(image="shop:2")
    world.converge()
    before = len(world.events)
    world.lose_status()
    world.converge()
    assert told_since(world, before) == []


def test_scaling_is_no_event() -> None:
    world = app().converge()
    before = len(world.events)
    world.change(replicas=3)
    world.converge()
    assert told_since(world, before) == []
