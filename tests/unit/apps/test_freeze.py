"""In a freeze window no revision gets traffic that it does not have already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.apps.deployments import START
from tests.unit.apps.test_steps import UNTIL_APPROVED, passes, step, waits
from tests.unit.apps.world import World, app

NIGHT = {"schedule": "0 22 * * *", "durationSeconds": 8 * 3600, "timeZone": "Europe/Berlin", "reason": "nobody is up"}
NOW = {"schedule": "0 12 * * *", "durationSeconds": 3600}  # the world begins at 12:00


def frozen(*windows: object, **rollout: object) -> World:
    world = app(replicas=2, scaleDownDelaySeconds=0).converge()
    world.change(image="shop:2", rollout={**rollout, "freeze": list(windows)})
    return world


def test_a_candidate_is_ready_and_waits_for_the_end_of_the_window() -> None:
    world = waits(frozen(NOW), "Frozen")
    assert (world.serving, world.scale) == (1, {1: 2, 2: 2})
    assert "waits until 2026-03-01 13:00:00Z" in world.told.explain
    assert world.plan().requeue_after == timedelta(hours=1)
    world.wait(3600)
    assert world.converge().serving == 2


def test_a_step_of_a_canary_waits_too() -> None:
    world = waits(frozen(NOW, strategy="Canary", steps=[step(20)]), "Frozen")
    assert (world.shared, world.scale) == (False, {1: 2, 2: 1})


def test_what_has_begun_stays_where_it_is() -> None:
    world = frozen(strategy="Canary", steps=[step(20, {"durationSeconds": 60})])
    waits(world, "StepPaused")
    world.change(rollout={**world.spec["rollout"], "freeze": [NOW]})
    world.wait(60)
    waits(world, "Frozen")
    assert (world.shared, world.serving, world.scale) == (True, 1, {1: 2, 2: 1})


def test_one_that_opens_while_it_grows_for_the_switch_holds_it() -> None:
    world = waits(frozen(strategy="Canary", steps=[step(20, {"durationSeconds": 60})]), "StepPaused")
    world.wait(60)
    world.reconcile()
    world.change(rollout={**world.spec["rollout"], "freeze": [NOW]})
    waits(world, "Frozen")
    assert (world.shared, world.serving) == (True, 1)
    world.wait(3600)
    assert world.converge().serving == 2


def test_a_rollback_is_never_frozen() -> None:
    world = app(replicas=2, scaleDownDelaySeconds=0).converge()
    world.change(image="shop:2")
    world.converge()
    world.change(rollback={"toRevision": 1}, rollout={"freeze": [NOW]})
    assert world.converge(60).serving == 1


def test_nor_is_the_end_of_a_candidate() -> None:
    world = frozen(strategy="Canary", steps=[step(20, UNTIL_APPROVED)])
    waits(world, "AwaitingApproval")
    world.change(rollout={**world.spec["rollout"], "freeze": [NOW]})
    world.say(abort="2")
    world.converge(60)
    assert (world.shared, world.scale[2]) == (False, 0)


def test_a_person_may_promote_all_the_same() -> None:
    world = waits(frozen(NOW), "Frozen")
    world.say(promote="2")
    assert passes(world, 3).serving == 2


@pytest.mark.parametrize(
    ("window", "at", "closed"),
    [
        (NIGHT, "2026-03-02T20:59:59", True),  # 21:59:59 in Berlin
        (NIGHT, "2026-03-02T21:00:00", False),
        (NIGHT, "2026-03-03T04:59:59", False),
        (NIGHT, "2026-03-03T05:00:00", True),
        (NIGHT, "2026-07-02T20:00:00", False),  # summer
        ({"schedule": "0 0 * * SAT", "durationSeconds": 172800}, "2026-03-08T23:59:59", False),
        ({"schedule": "0 0 * * SAT", "durationSeconds": 172800}, "2026-03-09T00:00:00", True),
        ({"schedule": "*/30 * * * *", "durationSeconds": 3600}, "2026-03-09T00:10:00", False),  # one after the other
    ],
)
def test_windows(window: object, at: str, closed: bool) -> None:
    world = app(replicas=2, rollout={"freeze": [window]})
    world.now = datetime.fromisoformat(at).replace(tzinfo=UTC)
    passes(world, 4)
    assert (world.serving == 1) == closed


@pytest.mark.parametrize(
    ("window", "reason"),
    [
        ({"schedule": "61 * * * *"}, "InvalidSchedule"),
        ({"schedule": "@daily", "timeZone": "Nowhere"}, "UnknownTimeZone"),
    ],
)
def test_one_that_cannot_be_read_lets_nothing_through_and_says_so(window: dict[str, object], reason: str) -> None:
    world = frozen({**window, "durationSeconds": 60})
    waits(world, reason)
    assert (world.serving, world.told.phase) == (1, "Degraded")
    assert "spec.rollout.freeze[0]" in world.condition("Stalled").message


def test_the_world_begins_at_noon() -> None:
    assert START.hour == 12
