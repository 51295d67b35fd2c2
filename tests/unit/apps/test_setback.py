"""After the switch: a revision that fails while it is watched gives the traffic back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.unit.apps.deployments import NEVER
from tests.unit.apps.test_steps import judge, passes, waits
from tests.unit.apps.world import World, app, model


def switched(registry: bool = False, /, **spec: object) -> World:
    """Revision 2 has just taken the traffic from revision 1, whose pods are still there."""
    if registry:
        world = model("1", promote_to="champion")
        world.change(replicas=2, **spec)
        world.converge()
        assert world.aliases is not None
        world.aliases["challenger"] = "2"
    else:
        world = app(replicas=2, **spec).converge()
        world.change(image="shop:2")
    for _ in range(10):
        passes(world, 1)
        if world.serving == 2:
            return passes(world, 1)
    raise AssertionError("revision 2 never serves")


def crash(world: World, image: str = "shop:2") -> None:
    world.wait(1)
    world.crashed[image] = world.now


def down(world: World) -> None:
    world.behaviour["shop:2"] = NEVER
    world.look()


# --- It fails --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fails", [crash, down])
@pytest.mark.parametrize("spec", [{}, {"rollout": {"watchSeconds": 600}}], ids=["by default", "asked for"])
def test_one_that_fails_gives_the_traffic_back(fails: Callable[[World], None], spec: dict[str, object]) -> None:
    world = switched(**spec)
    fails(world)
    world.converge()
    assert (world.serving, world.scale) == (1, {1: 2, 2: 0})
    assert (world.record(2).state, world.told.phase) == ("Failed", "Degraded")
    assert "RevisionFailed" in world.reasons()
    assert "failed after it had taken the traffic" in world.condition("Stalled").message


def test_it_stays_failed_whatever_is_forgotten() -> None:
    world = switched()
    crash(world)
    world.converge()
    world.lose_status()
    world.wait(86400)
    world.converge()
    assert (world.serving, world.scale, world.record(2).state) == (1, {1: 2, 2: 0}, "Failed")


def test_it_is_tried_again_when_a_person_asks() -> None:
    world = switched()
    crash(world)
    world.converge()
    world.crashed.clear()
    world.say(requestedAt="again")
    world.converge()
    assert (world.serving, world.record(2).state) == (2, "Stable")


def test_the_pods_of_the_one_before_are_there_until_it_is_over() -> None:
    world = switched(rollout={"watchSeconds": 600}, scaleDownDelaySeconds=30)
    world.wait(599)
    passes(world, 2)
    assert (world.scale, world.condition("RolledOut").reason) == ({1: 2, 2: 2}, "Watching")
    crash(world)
    world.now -= timedelta(seconds=1)
    world.converge()
    assert world.serving == 1


def test_when_it_is_over_nobody_looks_any_more() -> None:
    world = switched(rollout={"watchSeconds": 600})
    world.converge()
    assert (world.told.phase, world.scale) == ("Healthy", {1: 0, 2: 2})
    crash(world)
    world.converge()
    assert world.serving == 2


def test_while_it_is_watched_ready_says_so_only_where_that_was_asked_for() -> None:
    assert switched(rollout={"watchSeconds": 600}).condition("Ready").reason == "Watching"
    assert switched().condition("Ready").status == "True"


def test_nothing_is_watched_where_nothing_is_wanted() -> None:
    world = switched(rollout={"watchSeconds": 0})
    crash(world)
    world.converge()
    assert world.serving == 2


def test_without_automatic_rollback_it_only_tells() -> None:
    world = switched(rollout={"watchSeconds": 600, "autoRollback": False})
    crash(world)
    passes(world, 3)
    assert (world.serving, world.told.phase) == (2, "Degraded")
    assert "spec.rollback.toRevision: 1" in world.condition("Ready").message


def test_a_crash_from_before_the_switch_does_not_count() -> None:
    world = switched()
    world.crashed["shop:2"] = world.now - timedelta(seconds=60)
    world.converge()
    assert world.serving == 2


def test_the_first_revision_has_nothing_to_go_back_to() -> None:
    world = passes(app(replicas=2), 4)
    crash(world, "shop:1")
    world.converge()
    assert (world.serving, world.told.phase) == (1, "Healthy")


def test_a_rollback_is_not_rolled_back() -> None:
    world = switched(scaleDownDelaySeconds=600)
    world.change(rollback={"toRevision": 1})
    passes(world, 3)
    crash(world, "shop:1")
    passes(world, 3)
    assert world.serving == 1


def test_an_abort_in_the_watch_gives_the_traffic_back() -> None:
    world = switched(rollout={"watchSeconds": 600})
    world.say(abort="2")
    world.converge()
    assert (world.serving, world.record(2).reason) == (1, "Aborted")


def test_an_abort_after_it_means_nothing() -> None:
    world = switched().converge()
    world.say(abort="2")
    assert world.converge().serving == 2


# --- It is judged once more ------------------------------------------------------------------------------------------


def test_a_judgement_in_the_watch_gives_the_traffic_back(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = judge(monkeypatch, {"watch": "Failed"})
    world = switched(rollout={"watchSeconds": 600})
    world.converge()
    assert (world.serving, world.record(2).reason, asked[-1]) == (1, "AnalysisFailed", "watch")


def test_while_it_is_judged_the_watch_is_not_over(monkeypatch: pytest.MonkeyPatch) -> None:
    judge(monkeypatch, {"watch": "Running"})
    world = switched(rollout={"watchSeconds": 60})
    world.wait(600)
    passes(world, 2)
    assert (world.scale, world.condition("RolledOut").reason) == ({1: 2, 2: 2}, "Watching")
    judge(monkeypatch, {})
    world.converge()
    assert (world.scale, world.told.phase) == ({1: 0, 2: 2}, "Healthy")


def test_no_verdict_takes_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    judge(monkeypatch, {"watch": "Inconclusive"})
    assert switched(rollout={"watchSeconds": 60}).converge().serving == 2


# --- The way back ----------------------------------------------------------------------------------------------------


def test_the_traffic_waits_until_the_one_before_is_ready() -> None:
    world = switched(rollout={"watchSeconds": 600})
    crash(world)
    passes(world, 1)
    world.deployments["shop-1"]["spec"]["replicas"] = 0  # somebody was quick
    world.look()
    passes(world, 1)
    assert (world.serving, world.scale) == (2, {1: 2, 2: 2})
    world.converge()
    assert world.serving == 1


def test_the_alias_goes_back_with_the_traffic() -> None:
    world = switched(True, rollout={"watchSeconds": 600})
    passes(world, 2)
    assert world.aliases is not None
    assert world.aliases["champion"] == "2"
    world.wait(1)
    world.say(abort="2")
    world.converge()
    assert (world.serving, world.aliases["champion"]) == (1, "1")


def test_the_next_revision_comes_after_the_way_back() -> None:
    world = switched(rollout={"watchSeconds": 600})
    crash(world)
    passes(world, 1)
    world.change(image="shop:3")
    seen = set()
    for _ in range(8):
        passes(world, 1)
        seen.add(world.serving)
    assert seen == {1, 3}


def test_what_is_watched_waits_for_no_person() -> None:
    world = waits(switched(rollout={"watchSeconds": 600}), "Watching")
    assert "it is watched until" in world.told.explain
    assert "revision 1 takes the traffic back if it fails" in world.told.explain
