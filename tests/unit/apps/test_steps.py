"""A candidate goes its steps: pods first, then traffic, then whatever holds it there."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from tandem.api.plan import Apply, Create
from tandem.apps.analysis import Judgement
from tandem.apps.case import Case
from tandem.apps.revision import Owned
from tests.unit.apps.deployments import CRASH, NEVER, START
from tests.unit.apps.world import World, app

UNTIL_APPROVED: dict[str, object] = {}


def step(percent: int, pause: object = None) -> dict[str, object]:
    return {"trafficPercent": percent} | ({"pause": pause} if pause is not None else {})


def canary(
    *steps: dict[str, object], replicas: int = 4, spec: dict[str, object] | None = None, **rollout: object
) -> World:
    """Revision 1 serves; revision 2 has just been asked for."""
    rollout = {"strategy": "Canary", "steps": list(steps), **rollout} if steps else rollout
    world = app(replicas=replicas, scaleDownDelaySeconds=0, rollout=rollout, **(spec or {}))
    world.say(promote="1")
    world.converge()
    world.say(promote=None)
    world.done.clear()
    world.change(image="shop:2")
    return world


def passes(world: World, count: int) -> World:
    for _ in range(count):
        world.reconcile()
        world.look()
    return world


def waits(world: World, reason: str) -> World:
    """Until it waits for that; time does not pass by itself."""
    for _ in range(20):
        if world.conditions().get("RolledOut") and world.condition("RolledOut").reason == reason:
            return world
        passes(world, 1)
    raise AssertionError(f"{world.condition('RolledOut')} instead of {reason}")


def percent(world: World) -> int | None:
    return world.told.candidate.traffic_percent if world.told.candidate else None


# --- The way up ------------------------------------------------------------------------------------------------------


def test_a_candidate_starts_with_the_pods_of_its_first_step_and_without_traffic() -> None:
    world = canary(step(20, UNTIL_APPROVED))
    world.reconcile()
    assert (world.scale, world.shared) == ({1: 4, 2: 1}, False)


def test_it_shares_the_traffic_when_its_pods_are_ready_and_not_before() -> None:
    world = canary(step(20, UNTIL_APPROVED))
    world.behaviour["shop:2"] = NEVER
    passes(world, 5)
    assert not world.shared
    world.behaviour.clear()
    waits(world, "AwaitingApproval")
    assert (world.shared, world.serving, percent(world)) == (True, 1, 20)


def test_what_serves_keeps_all_its_pods_at_every_step() -> None:
    world = canary(step(20), step(50), step(80))
    seen = []
    while world.serving != 2:
        passes(world, 1)
        if world.shared:
            seen.append(world.scale)
    assert {scale[1] for scale in seen} == {4}
    assert {scale[2] for scale in seen} == {1, 4}


def test_every_growth_is_one_write_with_its_place() -> None:
    world = canary(step(20), step(50))
    world.converge()
    grown = [
        (action.manifest["spec"]["replicas"], "tandem.dev/rollout" in action.manifest["metadata"]["annotations"])
        for action in world.done
        if isinstance(action, (Apply, Create))
        and action.manifest["metadata"]["name"] == "shop-2"
        and action.manifest["kind"] == "Deployment"
    ]
    assert grown[0] == (1, True)
    assert (4, True) in grown
    assert grown[-1] == (4, True)  # what serves has nothing to remember


def test_in_the_end_it_has_all_of_it_alone() -> None:
    world = canary(step(20), step(50)).converge()
    assert (world.serving, world.shared, world.scale) == (2, False, {1: 0, 2: 4})
    assert (world.told.phase, world.told.candidate, world.told.preview_url) == ("Healthy", None, "")
    assert "shop-candidate" not in world.services


def test_a_rolling_update_goes_by_quarters_and_waits_for_nobody() -> None:
    world = canary(strategy="RollingUpdate")
    seen = set()
    while world.serving != 2:
        passes(world, 1)
        seen.add((world.scale.get(2), world.note(2).get("step", 0)) if 2 in world.scale else None)
    assert {(2, 0), (4, 1), (4, 2)} <= seen
    assert world.converge().scale == {1: 0, 2: 4}


def test_the_first_revision_has_nobody_to_share_with() -> None:
    world = app(replicas=3, rollout={"strategy": "Canary", "steps": [step(20, UNTIL_APPROVED)]})
    world.converge()
    assert (world.serving, world.scale, world.told.phase) == (1, {1: 3}, "Healthy")


def test_without_replicas_there_are_no_steps() -> None:
    world = canary(step(20, UNTIL_APPROVED), replicas=0).converge()
    assert world.serving == 2


def test_pods_of_another_revision_would_share_it_too_so_they_go_first() -> None:
    world = canary(step(20, UNTIL_APPROVED), spec={"revisionHistoryLimit": 5})
    world.change(scaleDownDelaySeconds=60)
    waits(world, "AwaitingApproval")
    world.change(image="shop:3")
    waits(world, "WaitsForPods")
    assert (world.shared, world.scale) == (False, {1: 4, 2: 1, 3: 1})
    world.wait(60)
    waits(world, "AwaitingApproval")
    assert (world.shared, world.scale) == (True, {1: 4, 2: 0, 3: 1})


def test_a_preview_shows_the_candidate_alone() -> None:
    world = waits(canary(step(0, UNTIL_APPROVED)), "AwaitingApproval")
    assert world.services["shop-candidate"]["spec"]["selector"]["tandem.dev/revision"] == "2"
    assert world.told.preview_url == "http://shop-candidate.team.svc.cluster.local"
    assert (world.shared, percent(world)) == (False, 0)


# --- What holds it ---------------------------------------------------------------------------------------------------


def test_a_timed_pause_counts_from_when_the_step_is_reached() -> None:
    world = canary(step(20, {"durationSeconds": 300}))
    world.wait(50)
    waits(world, "StepPaused")
    assert "until 2026-03-01 12:05:50Z" in world.told.explain
    assert world.plan().requeue_after == timedelta(seconds=300)
    world.wait(299)
    assert passes(world, 3).serving != 2
    world.wait(1)
    world.converge()
    assert world.serving == 2


def test_a_person_approves_the_step_that_is_named() -> None:
    world = waits(canary(step(20, UNTIL_APPROVED), step(50, UNTIL_APPROVED)), "AwaitingApproval")
    assert world.told.approval is not None
    assert (world.told.approval.step, world.told.approval.state) == ("1", "Awaiting")
    assert "kubectl tandem approve shop -n team" in world.told.explain
    world.say(approved="2/1", **{"decided-by": "ada"})
    passes(world, 1)
    assert (world.told.approval.state, world.told.approval.by) == ("Approved", "ada")
    passes(world, 1)
    waits(world, "AwaitingApproval")
    assert (world.told.approval.step, world.told.phase, world.scale) == ("2", "Paused", {1: 4, 2: 4})


@pytest.mark.parametrize("word", ["1/1", "2/2", "3/1", "2/promotion", "2", "2/1/1", ""])
def test_a_word_for_something_else_lets_nothing_through(word: str) -> None:
    world = canary(step(20, UNTIL_APPROVED), step(50, UNTIL_APPROVED))
    world.say(approved=word)
    waits(world, "AwaitingApproval")
    assert passes(world, 3).condition("RolledOut").reason == "AwaitingApproval"


def test_the_promotion_is_approved_too_where_it_is_required() -> None:
    world = waits(canary(step(50), approval="Required"), "AwaitingApproval")
    assert world.told.approval is not None
    assert (world.told.approval.step, world.scale, world.serving) == ("promotion", {1: 4, 2: 4}, 1)
    world.say(approved="2/promotion")
    assert world.converge().serving == 2


def test_a_blue_green_candidate_waits_for_a_person_at_full_size_and_without_traffic() -> None:
    world = waits(canary(approval="Required"), "AwaitingApproval")
    assert (world.scale, world.serving, world.shared) == ({1: 4, 2: 4}, 1, False)
    assert world.told.preview_url
    world.say(approved="2/promotion")
    assert world.converge().serving == 2


def test_the_first_revision_waits_for_a_person_too() -> None:
    world = waits(app(rollout={"approval": "Required"}), "AwaitingApproval")
    assert world.serving is None
    world.say(approved="1/promotion")
    assert world.converge().serving == 1


@pytest.mark.parametrize("reason", ["StepPaused", "AwaitingApproval", "Paused"])
def test_a_promotion_skips_whatever_is_left(reason: str) -> None:
    pause = {"durationSeconds": 600} if reason == "StepPaused" else UNTIL_APPROVED
    world = canary(step(20, pause), step(50, UNTIL_APPROVED), approval="Required")
    world.say(pause="2" if reason == "Paused" else None)
    waits(world, reason)
    world.say(promote="2")
    passes(world, 1)
    assert (world.serving, world.scale) == (1, {1: 4, 2: 4})  # not before all its pods are ready
    assert world.converge().serving == 2


def test_a_promotion_of_another_revision_promotes_nothing() -> None:
    world = waits(canary(step(20, UNTIL_APPROVED)), "AwaitingApproval")
    world.say(promote="1")
    assert passes(world, 3).serving == 1


def test_a_pause_keeps_it_where_it_is_until_it_is_taken_back() -> None:
    world = canary(step(20), step(50))
    world.say(pause="2", **{"decided-by": "bob"})
    waits(world, "Paused")
    assert (world.scale, world.told.phase) == ({1: 4, 2: 1}, "Paused")
    assert "held by bob" in world.told.explain
    assert "kubectl tandem resume shop -n team" in world.told.explain
    world.say(pause=None)
    assert world.converge().serving == 2


def test_suspended_nothing_moves_and_what_is_shared_stays_so() -> None:
    world = waits(canary(step(20, UNTIL_APPROVED)), "AwaitingApproval")
    world.change(suspend=True)
    world.say(promote="2")
    passes(world, 3)
    assert (world.shared, world.scale) == (True, {1: 4, 2: 1})
    world.change(suspend=False)
    assert world.converge().serving == 2


VERDICTS = {
    "Running": ("AnalysisRunning", False),
    "Inconclusive": ("AnalysisInconclusive", False),
    "Failed": ("AnalysisFailed", True),
}


@pytest.mark.parametrize(("phase", "reason", "gone"), [(p, *of) for p, of in VERDICTS.items()])
def test_a_judgement_holds_or_ends_it(phase: str, reason: str, gone: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    judge(monkeypatch, {"step-1": phase})
    world = waits(canary(step(20)), reason)
    passes(world, 3)
    assert (world.shared, world.scale[2]) == (not gone, 0 if gone else 1)
    assert world.told.phase == {"Running": "Progressing", "Inconclusive": "Paused", "Failed": "Degraded"}[phase]


def test_it_is_judged_at_each_step_and_before_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = judge(monkeypatch, {})
    world = canary(step(20), step(50), approval="Required")
    waits(world, "AwaitingApproval")
    world.say(approved="2/promotion")
    world.converge()
    assert list(dict.fromkeys(asked)) == ["step-1", "step-2", "promotion"]


def judge(monkeypatch: pytest.MonkeyPatch, phases: dict[str, str]) -> list[str]:
    asked: list[str] = []

    def analyse(case: Case, owned: Owned, moment: str, since: datetime) -> Judgement:
        asked.append(moment)
        return Judgement(phases.get(moment, "Successful"), "99 % of the requests failed")  # type: ignore[arg-type]

    monkeypatch.setattr("tandem.apps.steps.analyse", analyse)
    monkeypatch.setattr("tandem.apps.setback.analyse", analyse)
    return asked


# --- What ends it ----------------------------------------------------------------------------------------------------


def test_a_candidate_that_never_becomes_ready_never_has_traffic() -> None:
    world = canary(step(20))
    world.behaviour["shop:2"] = CRASH
    world.converge()
    assert (world.serving, world.shared, world.scale) == (1, False, {1: 4, 2: 0})
    assert world.condition("Stalled").reason == "CrashLoopBackOff"


def test_a_crash_at_a_step_ends_it() -> None:
    world = waits(canary(step(20, UNTIL_APPROVED)), "AwaitingApproval")
    world.wait(5)
    world.crashed["shop:2"] = world.now
    world.reconcile()
    assert world.told.revisions[0].state == "Candidate"  # the verdict is written down first
    world.look()
    world.converge()
    assert (world.shared, world.scale, world.record(2).state) == (False, {1: 4, 2: 0}, "Failed")
    assert "failed after it had been ready: the container exited with code 1" in world.condition("Ready").message


def test_the_traffic_goes_back_before_the_pods_go() -> None:
    world = waits(canary(step(20, UNTIL_APPROVED)), "AwaitingApproval")
    world.done.clear()
    world.say(abort="2")
    world.converge()
    done = [(a.manifest["kind"], a.manifest["spec"].get("replicas")) for a in world.done if isinstance(a, Apply)]
    assert done == [("Deployment", 1), ("Service", None), ("Deployment", 0)]


def test_a_crash_from_before_the_step_was_reached_does_not_count() -> None:
    world = canary(step(20, UNTIL_APPROVED))
    world.crashed["shop:2"] = START - timedelta(seconds=1)
    waits(world, "AwaitingApproval")
    assert passes(world, 3).shared


def grows(world: World) -> World:
    """The pods of the next place are asked for, and nobody has made them yet."""
    world.wait(60)
    world.reconcile()
    world.wait(1)
    return world


@pytest.mark.parametrize(
    "growing",
    [
        lambda: grows(waits(canary(step(20, {"durationSeconds": 60}), step(50)), "StepPaused")),
        lambda: grows(waits(canary(step(20, {"durationSeconds": 60})), "StepPaused")),
    ],
    ids=["for the next step", "for the switch"],
)
def test_growth_forgives_no_crash_of_what_has_traffic_already(growing: Callable[[], World]) -> None:
    world = growing()
    world.crashed["shop:2"] = world.now
    world.look()
    assert (world.converge().serving, world.told.revisions[0].reason) == (1, "CrashLoopBackOff")


def test_a_promotion_forgives_no_crash_either() -> None:
    world = waits(canary(step(20, UNTIL_APPROVED)), "AwaitingApproval")
    world.wait(60)
    world.crashed["shop:2"] = world.now
    world.say(promote="2")
    assert (world.converge().serving, world.told.revisions[0].reason) == (1, "CrashLoopBackOff")


def test_a_note_from_before_that_was_remembered_counts_from_where_it_was_reached() -> None:
    world = waits(canary(step(20, UNTIL_APPROVED)), "AwaitingApproval")
    notes = world.deployments["shop-2"]["metadata"]["annotations"]
    notes["tandem.dev/rollout"] = json.dumps({k: v for k, v in world.note(2).items() if k != "exposed"})
    assert passes(world, 3).condition("RolledOut").reason == "AwaitingApproval"
    world.wait(60)
    world.crashed["shop:2"] = world.now
    assert world.converge().record(2).state == "Failed"


def test_a_pause_that_begins_while_it_grows_for_the_switch_holds_it_until_it_is_taken_back() -> None:
    world = grows(waits(canary(step(20, {"durationSeconds": 60})), "StepPaused"))
    world.say(pause="2")
    waits(world, "Paused")
    assert (world.serving, world.told.phase) == (1, "Paused")
    assert "kubectl tandem resume shop -n team" in world.told.explain
    world.say(pause=None)
    assert world.converge().serving == 2


def test_a_promotion_passes_a_pause_that_is_still_there() -> None:
    world = grows(waits(canary(step(20, {"durationSeconds": 60})), "StepPaused"))
    world.say(pause="2")
    waits(world, "Paused")
    world.say(promote="2")
    assert world.converge().serving == 2


def test_a_pod_that_is_not_ready_for_too_long_ends_it_and_one_that_comes_back_does_not() -> None:
    world = waits(canary(step(50, UNTIL_APPROVED), spec={"progressDeadlineSeconds": 60}), "AwaitingApproval")
    world.wait(3600)
    world.unready["shop:2"] = world.now
    world.look()
    passes(world, 2)
    assert (world.shared, world.scale[2]) == (True, 4)
    del world.unready["shop:2"]
    world.look()
    waits(world, "AwaitingApproval")
    world.unready["shop:2"] = world.now
    world.look()
    passes(world, 2)
    world.wait(60)
    world.converge()
    assert (world.shared, world.record(2).state, world.record(2).reason) == (False, "Failed", "NotReady")


def test_an_abort_gives_it_up_for_good() -> None:
    world = waits(canary(step(20, UNTIL_APPROVED)), "AwaitingApproval")
    world.say(abort="2", **{"decided-by": "ada"})
    world.converge()
    assert (world.scale, world.record(2).reason) == ({1: 4, 2: 0}, "Aborted")
    assert "revision 2 was aborted by ada" in world.condition("Stalled").message
    world.wait(86400)
    world.lose_status()
    world.converge()
    assert world.scale == {1: 4, 2: 0}


def test_a_spec_that_goes_back_ends_it_without_a_verdict() -> None:
    world = waits(canary(step(20, UNTIL_APPROVED)), "AwaitingApproval")
    world.change(image="shop:1")
    world.converge()
    assert (world.serving, world.shared, world.scale) == (1, False, {1: 4, 2: 0})
    assert (world.record(2).state, world.told.phase) == ("Retired", "Healthy")


def test_another_revision_starts_only_when_the_traffic_is_back() -> None:
    world = waits(canary(step(20, UNTIL_APPROVED)), "AwaitingApproval")
    world.change(image="shop:3")
    world.reconcile()
    assert (world.shared, 3 in world.scale) == (False, False)
    waits(world, "AwaitingApproval")
    assert (world.shared, world.scale) == (True, {1: 4, 2: 0, 3: 1})


def test_one_that_comes_back_begins_with_its_first_step() -> None:
    world = waits(canary(step(20), step(50, UNTIL_APPROVED)), "AwaitingApproval")
    world.change(image="shop:1")
    world.converge()
    world.change(image="shop:2", rollout={"strategy": "Canary", "steps": [step(20, UNTIL_APPROVED)]})
    waits(world, "AwaitingApproval")
    assert (world.note(2).get("phase", "Step"), world.scale) == ("Step", {1: 4, 2: 1})


def test_a_rollback_skips_all_of_it() -> None:
    world = canary(step(20), approval="Required")
    world.say(promote="2")
    world.converge()
    world.change(rollback={"toRevision": 1})
    world.converge()
    assert (world.serving, world.scale, world.condition("RolledOut").reason) == (1, {1: 4, 2: 0}, "RolledBack")


# --- A lost memory ---------------------------------------------------------------------------------------------------


def test_a_lost_status_loses_no_step() -> None:
    world = waits(canary(step(20), step(50, UNTIL_APPROVED)), "AwaitingApproval")
    before = (world.shared, world.scale, world.note(2))
    world.lose_status()
    passes(world, 3)
    assert (world.shared, world.scale, world.note(2)) == before
    assert (world.serving, percent(world), world.condition("RolledOut").reason) == (1, 50, "AwaitingApproval")


def test_a_lost_note_begins_anew() -> None:
    world = waits(canary(step(20), step(50, UNTIL_APPROVED)), "AwaitingApproval")
    del world.deployments["shop-2"]["metadata"]["annotations"]["tandem.dev/rollout"]
    waits(passes(world, 1), "AwaitingApproval")
    assert (world.shared, world.scale, world.note(2)["step"]) == (True, {1: 4, 2: 4}, 1)


def test_steps_that_are_taken_out_of_the_spec_are_over() -> None:
    world = waits(canary(step(20), step(50, UNTIL_APPROVED)), "AwaitingApproval")
    world.change(rollout={"strategy": "BlueGreen"})
    assert world.converge().serving == 2


def test_at_rest_in_the_middle_of_a_step_there_is_nothing_to_do() -> None:
    world = waits(canary(step(20, UNTIL_APPROVED)), "AwaitingApproval")
    passes(world, 2)
    writes = world.status_writes
    for _ in range(3):
        world.wait(600)
        made = world.reconcile()
        assert (made.actions, made.events) == ((), ())
    assert world.status_writes == writes
