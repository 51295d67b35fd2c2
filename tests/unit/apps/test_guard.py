"""What has failed loses its traffic also while nobody knows what to run; nothing begins and nothing goes on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tandem.api.facts import Unavailable
from tests.unit.apps.deployments import CRASH
from tests.unit.apps.test_steps import UNTIL_APPROVED, passes, step, waits
from tests.unit.apps.world import World, model


def canary(**rollout: object) -> World:
    """Version 1 serves, and version 2 has a quarter of the traffic since a minute."""
    steps: dict[str, object] = {"strategy": "Canary", "steps": [step(25, UNTIL_APPROVED)], "watchSeconds": 600}
    world = model(replicas=3, scaleDownDelaySeconds=0, rollout=steps | rollout, promote_to="champion")
    world.say(promote="1")
    world.converge()
    world.say(promote=None)
    assert world.aliases is not None
    world.aliases["challenger"] = "2"
    waits(world, "AwaitingApproval")
    world.wait(60)
    return world


def watched() -> World:
    world = canary()
    world.say(promote="2")
    waits(world, "Watching")
    world.wait(60)
    return world


def _is_away(world: World) -> None:
    world.outage = Unavailable(world.now, "TrackingUnavailable", "cannot connect")


def _lacks_its_alias(world: World) -> None:
    world.aliases = {"champion": "1"}


def _lacks_its_version(world: World) -> None:
    world.versions = {"1": "READY"}


def _names_another(world: World) -> None:
    """The alias has moved, and what it names now has not been told yet."""
    world.answering = False


UNKNOWN = (_is_away, _lacks_its_alias, _lacks_its_version, _names_another)
unknown = pytest.mark.parametrize("becomes_unknown", UNKNOWN, ids=lambda of: of.__name__.strip("_"))


def crashes(world: World) -> World:
    """A container of version 2 ends, which the world tells by its command."""
    world.behaviour["iris/2"] = CRASH
    world.wait(1)
    for name, deployment in world.deployments.items():
        if name == "shop-2":
            world.crashed[deployment["written"]] = world.now
    world.look()
    return world


def gone(world: World) -> bool:
    return (world.shared, world.serving, world.scale[2]) == (False, 1, 0)


@unknown
def test_a_candidate_that_crashes_loses_its_share(becomes_unknown: Callable[[World], None]) -> None:
    world = canary()
    becomes_unknown(world)
    passes(world, 3)
    assert (world.shared, world.scale) == (True, {1: 3, 2: 1})  # where it was
    assert gone(passes(crashes(world), 6))


@unknown
def test_an_abort_is_heard(becomes_unknown: Callable[[World], None]) -> None:
    world = canary()
    becomes_unknown(world)
    world.say(abort="2")
    assert gone(passes(world, 6))


@unknown
def test_what_crashes_while_it_is_watched_gives_the_traffic_back(becomes_unknown: Callable[[World], None]) -> None:
    world = watched()
    becomes_unknown(world)
    passes(world, 3)
    assert world.serving == 2
    assert gone(passes(crashes(world), 8))


@pytest.mark.parametrize("lost", ["status", "preview", "note", "all of them"])
def test_the_candidate_is_found_by_whatever_is_left_of_it(lost: str) -> None:
    world = canary()
    _is_away(world)
    if lost in {"status", "all of them"}:
        world.lose_status()
    if lost in {"preview", "all of them"}:
        del world.services["shop-candidate"]
    if lost in {"note", "all of them"}:
        del world.deployments["shop-2"]["metadata"]["annotations"]["tandem.dev/rollout"]
    world.say(abort="2")
    assert gone(passes(world, 6))


def test_it_is_told_when_it_is_done_and_what_is_waited_for_afterwards() -> None:
    world = canary()
    _is_away(world)
    world.say(abort="2")
    passes(world, 1)
    assert world.condition("RolledOut").reason == "Aborted"
    passes(world, 6)
    assert (world.record(2).state, world.record(2).reason, world.told.candidate) == ("Failed", "Aborted", None)
    assert world.condition("RolledOut").reason == "WaitsForModel"
    assert not world.plan().actions
    world.outage = None
    assert world.converge().condition("RolledOut").reason == "Aborted"


def test_a_watch_goes_on_and_says_so() -> None:
    world = watched()
    _is_away(world)
    passes(world, 2)
    assert world.condition("RolledOut").reason == "Watching"
    assert world.plan().requeue_after == timedelta(seconds=540)
    world.wait(540)
    passes(world, 2)
    assert world.condition("RolledOut").reason == "WaitsForModel"


def test_a_rollback_is_insisted_on_also_before_anybody_has_answered() -> None:
    """Its alias is asked for, and until that is known nobody takes back what a person has chosen."""
    world = crashes(watched())
    world.reconcile()
    assert "tandem.dev/failed" in world.deployments["shop-2"]["metadata"]["annotations"]
    world.change(rollback={"toRevision": 2})
    world.answering = False
    assert passes(world, 4).serving == 2


def test_nothing_of_a_candidate_grows_while_it_is_not_known_what_to_run() -> None:
    world = canary()
    _is_away(world)
    world.say(approved="2/1", promote="2")
    world.change(replicas=9)
    passes(world, 6)
    assert (world.shared, world.serving, world.scale) == (True, 1, {1: 9, 2: 1})
