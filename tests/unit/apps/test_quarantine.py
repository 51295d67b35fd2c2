"""A revision that does not become ready is set aside, with the reason, and comes back only when it is asked for."""

from __future__ import annotations

import pytest

from tandem.api import names
from tests.unit.apps.deployments import CRASH, NEVER, NO_ROOM, OUT_OF_MEMORY, PULL, QUOTA, READY, SILENT
from tests.unit.apps.world import World, app, model

BROKEN = {
    CRASH: ("CrashLoopBackOff", "exited with code 3; its last lines: Traceback | KeyError: 'PORT'"),
    PULL: ("ImagePullBackOff", "image 'shop:2' cannot be pulled: not found"),
    NEVER: ("NotReady", "its readiness probe has not passed yet"),
    QUOTA: ("FailedCreate", "exceeded quota: compute"),
    OUT_OF_MEMORY: ("OOMKilled", "raise spec.resources.limits.memory"),
    NO_ROOM: ("Unschedulable", "0/3 nodes are available"),
}


def broken(behaviour: str = CRASH, **spec: object) -> World:
    """Revision 1 serves; revision 2 does not become ready."""
    world = app("shop:1", **spec).converge()
    world.behaviour["shop:2"] = behaviour
    world.change(image="shop:2")
    return world


@pytest.mark.parametrize(("behaviour", "told"), BROKEN.items(), ids=BROKEN)
def test_within_the_deadline_it_works_on_and_says_what_is_seen_now(behaviour: str, told: tuple[str, str]) -> None:
    world = broken(behaviour)
    for _ in range(3):
        world.reconcile()
        world.look()
    ready = world.condition("Ready")
    assert (ready.status, ready.reason) == ("Unknown", told[0])
    assert told[1] in ready.message
    assert (world.told.phase, world.scale) == ("Progressing", {1: 1, 2: 1})


@pytest.mark.parametrize(("behaviour", "told"), BROKEN.items(), ids=BROKEN)
def test_after_the_deadline_it_is_set_aside_and_the_old_one_keeps_serving(
    behaviour: str, told: tuple[str, str]
) -> None:
    world = broken(behaviour).converge()
    assert (world.serving, world.scale) == (1, {1: 1, 2: 0})
    stalled = world.condition("Stalled")
    assert stalled.reason == told[0]
    for words in (told[1], "not ready within 600 seconds", "revision 1 keeps serving", "kubectl -n team annotate"):
        assert words in stalled.message
    assert (world.record(2).state, world.record(2).reason) == ("Failed", told[0])
    assert world.told.candidate is None
    assert {"Ready": "False", "Stalled": "True", "Available": "True"}.items() <= dict(world.conditions()).items()
    assert world.told.phase == "Degraded"


def test_a_first_revision_that_fails_serves_nothing_and_says_so() -> None:
    world = app("bad")
    world.behaviour["bad"] = CRASH
    world.converge()
    assert (world.scale, world.services) == ({1: 0}, {})
    assert {"Stalled": "True", "Available": "False"}.items() <= dict(world.conditions()).items()


def another_is_tried_again(world: World, token: str = "now") -> None:
    """Revision 3 fails, and a person asks for another try of it; then the spec asks for revision 2."""
    world.behaviour["shop:3"] = CRASH
    world.change(image="shop:3")
    world.converge()
    world.annotations[names.REQUESTED_AT_ANNOTATION] = token
    world.converge()
    assert world.reasons().count("RevisionRetried") == 1
    world.change(image="shop:2")


def nothing_else_was_tried(world: World) -> None:
    """A request while what serves is all that the spec asks for: nothing is left of it for what comes later."""
    world.change(image="shop:1")
    world.converge()
    world.annotations[names.REQUESTED_AT_ANNOTATION] = "now"
    world.converge()
    world.change(image="shop:2")


STICKS = {
    "time": lambda world: world.wait(86_400),
    "a lost status": World.lose_status,
    "a new number of replicas": lambda world: world.change(replicas=3),
    "the same spec applied again": lambda world: world.change(),
    "away and back again": lambda world: (world.change(image="shop:1"), world.converge(), world.change(image="shop:2")),
    "less patience": lambda world: world.change(progressDeadlineSeconds=10),
    "another try of another revision": another_is_tried_again,
    "another try of another revision, by its number": lambda world: another_is_tried_again(world, "3/now"),
    "a request while another one served": nothing_else_was_tried,
    "a request that names another": lambda world: world.annotations.update({names.REQUESTED_AT_ANNOTATION: "1/now"}),
}


@pytest.mark.parametrize("happens", STICKS.values(), ids=STICKS)
def test_what_failed_is_not_tried_again_by(happens: object) -> None:
    world = broken().converge()
    world.behaviour["shop:2"] = READY
    happens(world)  # type: ignore[operator]
    world.converge()
    assert (world.serving, world.scale[2], world.record(2).state) == (1, 0, "Failed")


LIFTS = {
    "a request": lambda world: world.annotations.update({names.REQUESTED_AT_ANNOTATION: "now"}),
    "a request that names it": lambda world: world.annotations.update({names.REQUESTED_AT_ANNOTATION: "2/now"}),
    "a date with strokes": lambda world: world.annotations.update({names.REQUESTED_AT_ANNOTATION: "1/3/2026 12:00"}),
    "more time": lambda world: world.change(progressDeadlineSeconds=900),
}


@pytest.mark.parametrize("happens", LIFTS.values(), ids=LIFTS)
def test_what_failed_is_tried_again_after(happens: object) -> None:
    world = broken().converge()
    world.behaviour["shop:2"] = READY
    happens(world)  # type: ignore[operator]
    world.converge()
    assert (world.serving, world.told.phase) == (2, "Healthy")


def test_a_rollback_does_not_bring_back_what_failed_because_another_was_tried_again() -> None:
    world = broken().converge()
    another_is_tried_again(world)
    world.change(image="shop:3", rollback={"toRevision": 2})
    world.behaviour["shop:2"] = READY
    world.converge()
    assert (world.serving, world.scale[2], world.record(2).state) == (1, 0, "Failed")


def test_what_a_request_names_is_tried_when_the_spec_asks_for_it() -> None:
    world = broken().converge()
    world.behaviour.clear()
    world.change(image="shop:1")
    world.annotations[names.REQUESTED_AT_ANNOTATION] = "2/now"
    assert world.converge().record(2).state == "Failed"
    world.change(image="shop:2")
    assert world.converge().serving == 2


def test_a_request_lifts_nothing_while_nobody_knows_what_the_spec_asks_for() -> None:
    world = model("1").converge()
    world.behaviour["iris/2"] = CRASH
    assert world.aliases is not None
    world.aliases["challenger"] = "2"
    world.converge()
    world.behaviour.clear()
    del world.aliases["challenger"]
    world.annotations[names.REQUESTED_AT_ANNOTATION] = "now"
    world.converge()
    assert world.record(2).state == "Failed"
    world.aliases["challenger"] = "2"
    assert world.converge().serving == 2


def test_an_alias_that_moves_back_finds_what_failed_in_quarantine_although_another_was_tried_again() -> None:
    world = model("1").converge()
    world.behaviour |= {"iris/2": CRASH, "iris/3": CRASH}
    assert world.aliases is not None
    for version in ("2", "3"):
        world.aliases["challenger"] = version
        world.converge()
    world.annotations[names.REQUESTED_AT_ANNOTATION] = "now"
    world.converge()
    world.behaviour.clear()
    world.aliases["challenger"] = "2"
    world.converge()
    assert (world.serving, world.record(2).state) == (1, "Failed")


def test_one_request_is_one_try_and_the_second_try_has_a_deadline_too() -> None:
    world = broken().converge()
    world.annotations[names.REQUESTED_AT_ANNOTATION] = "now"
    began = world.now
    world.converge()
    assert (world.record(2).state, world.scale[2]) == ("Failed", 0)
    assert 600 <= (world.now - began).total_seconds() < 700
    assert world.reasons().count("RevisionFailed") == 2


def test_a_request_from_before_the_failure_is_no_request_to_try_again() -> None:
    world = broken()
    world.annotations[names.REQUESTED_AT_ANNOTATION] = "earlier"
    world.converge()
    assert world.reasons().count("RevisionFailed") == 1


def test_taking_the_request_away_is_no_request() -> None:
    world = broken()
    world.annotations[names.REQUESTED_AT_ANNOTATION] = "earlier"
    world.converge()
    world.annotations.clear()
    world.converge()
    assert world.record(2).state == "Failed"


def test_another_spec_is_another_revision_and_is_tried() -> None:
    world = broken().converge()
    world.change(image="shop:3")
    world.converge()
    assert (world.serving, world.told.phase) == (3, "Healthy")


def test_going_back_to_what_serves_heals_the_status() -> None:
    world = broken().converge()
    world.change(image="shop:1")
    world.converge()
    assert (world.serving, world.told.phase, world.conditions()["Ready"]) == (1, "Healthy", "True")
    assert "Stalled" not in world.conditions()


def test_an_alias_that_moves_back_and_forth_does_not_bring_a_failed_version_back() -> None:
    world = model("1").converge()
    world.behaviour["iris/2"] = CRASH
    assert world.aliases is not None
    for version in ("2", "1", "2"):
        world.aliases["challenger"] = version
        world.converge()
    assert (world.serving, world.reasons().count("RevisionFailed")) == (1, 1)


def test_an_old_revision_that_no_longer_starts_gets_a_deadline_of_ours() -> None:
    """Kubernetes gives none to the scale-up of a Deployment that was complete once."""
    world = app("shop:1").converge()
    world.change(image="shop:2")
    world.converge()
    world.behaviour["shop:1"] = PULL
    world.change(image="shop:1")
    began = world.now
    world.converge()
    assert (world.serving, world.scale, world.record(1).state) == (2, {1: 0, 2: 1}, "Failed")
    assert 600 <= (world.now - began).total_seconds() < 700


def test_a_revision_that_left_long_ago_and_has_pods_still_gets_its_time_again() -> None:
    world = app("shop:1", scaleDownDelaySeconds=7000).converge()
    world.change(image="shop:2")
    for _ in range(4):
        world.reconcile()
        world.look()
    world.wait(5000)
    world.behaviour["shop:1"] = NEVER
    world.change(image="shop:1")
    for _ in range(3):
        world.look()
        world.reconcile()
    assert (world.record(1).state, world.scale[1]) == ("Candidate", 1)


def test_what_failed_is_kept_for_as_long_as_the_spec_asks_for_it() -> None:
    world = broken(revisionHistoryLimit=0).converge()
    assert world.scale == {1: 1, 2: 0}


def test_a_revision_that_comes_back_after_the_status_was_lost_gets_its_time_too() -> None:
    world = app("shop:1").converge()
    world.change(image="shop:2")
    world.converge()
    world.wait(5000)
    world.lose_status()
    world.behaviour["shop:1"] = NEVER
    world.change(image="shop:1")
    for _ in range(3):
        world.reconcile()
        world.look()
    assert (world.record(1).state, world.scale[1]) == ("Candidate", 1)


def test_a_deadline_that_was_exceeded_before_says_nothing_about_the_second_try() -> None:
    """The Deployment controller has seen the new scale, and not yet made up its mind anew."""
    world = broken().converge()
    old = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    old["lastTransitionTime"] = world.now.isoformat()
    world.wait(60)
    world.annotations[names.REQUESTED_AT_ANNOTATION] = "now"
    world.reconcile()
    world.look()
    world.deployments["shop-2"]["status"]["conditions"] = [old]
    world.reconcile()
    assert (world.record(2).state, world.scale[2]) == ("Candidate", 1)


def test_a_revision_that_no_pod_tells_anything_of_is_set_aside_for_the_deadline_alone() -> None:
    world = broken(SILENT).converge()
    assert world.condition("Stalled").reason == "ProgressDeadlineExceeded"
    assert "its pods did not become ready" in world.condition("Stalled").message
    assert world.scale[1] == 1
