"""What people say of a rollout is in the status and an Event: once, with who, why and when."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from tandem.apps.decisions import KEPT
from tests.unit.apps.deployments import NEVER, START
from tests.unit.apps.test_steps import UNTIL_APPROVED, canary, judge, passes, step, waits
from tests.unit.apps.world import Crash, World

ANNA = {"decided-by": "anna", "decided-because": "looks good"}


def at_a_step() -> World:
    """Revision 2 waits at its first step of two for an approval; what was said of revision 1 is forgotten."""
    world = waits(canary(step(20, UNTIL_APPROVED), step(50, UNTIL_APPROVED)), "AwaitingApproval")
    world.status.pop("decisions", None)
    return world


def said(world: World) -> list[tuple[str, int, str]]:
    """The earliest first."""
    return [(one.verb, one.revision, one.step) for one in reversed(world.told.decisions)]


def events(world: World) -> list[tuple[str, str]]:
    ours = {"StepApproved", "RolloutPromoted", "RolloutPaused", "RolloutResumed", "RolloutAborted"}
    return [(one.reason, one.message) for one in world.events if one.reason in ours and "revision 2" in one.message]


@pytest.mark.parametrize(
    ("words", "expected", "event"),
    [
        (
            {"approved": "2/1"},
            ("Approved", 2, "1"),
            ("StepApproved", "step 1 of revision 2 was approved by anna: looks good"),
        ),
        ({"promote": "2"}, ("Promoted", 2, ""), ("RolloutPromoted", "revision 2 was promoted by anna: looks good")),
        ({"pause": "2"}, ("Paused", 2, ""), ("RolloutPaused", "revision 2 was paused by anna: looks good")),
        ({"abort": "2"}, ("Aborted", 2, ""), ("RolloutAborted", "revision 2 was aborted by anna: looks good")),
    ],
)
def test_each_word_is_told_once_with_who_why_and_when(
    words: dict[str, str], expected: tuple[str, int, str], event: tuple[str, str]
) -> None:
    world = at_a_step()
    world.wait(90)
    world.say(**words, **ANNA)
    passes(world, 4)

    assert said(world) == [expected]
    decision = world.told.decisions[0]
    assert (decision.by, decision.why, decision.time) == ("anna", "looks good", START + timedelta(seconds=90))
    assert events(world) == [event]


@pytest.mark.parametrize(
    "word", [{"promote": "1"}, {"pause": "3"}, {"abort": "7"}, {"abort": "two"}, {"approved": "2/2"}]
)
def test_a_word_that_means_nothing_is_not_told(word: dict[str, str]) -> None:
    world = at_a_step()
    world.say(**word, **ANNA)
    passes(world, 3)

    assert (said(world), events(world)) == ([], [])


def test_whoever_lets_it_go_on_is_told_too() -> None:
    world = at_a_step()
    world.say(pause="2", **ANNA)
    passes(world, 2)
    world.say(pause=None, **{"decided-by": "bert", "decided-because": None})
    passes(world, 2)

    assert said(world) == [("Paused", 2, ""), ("Resumed", 2, "")]
    assert events(world)[-1] == ("RolloutResumed", "revision 2 was let go on by bert")


STALE = {"decided-by": "bert", "decided-because": "of another word", "decided": "pause 1 2026-03-01T11:00:00Z"}


@pytest.mark.parametrize("word", [{"promote": "2"}, {"pause": "2"}, {"abort": "2"}, {"approved": "2/1"}])
def test_whoever_decided_before_did_not_decide_this(word: dict[str, str]) -> None:
    """A word that is written by hand comes without a name, and the one of the word before stands there still."""
    world = at_a_step()
    world.say(**STALE)
    passes(world, 1)
    world.say(**word)
    passes(world, 4)

    told = world.told
    assert (told.decisions[0].by, told.decisions[0].why) == ("", "")
    assert "bert" not in events(world)[-1][1] + world.condition("Ready").message
    assert told.approval is None or told.approval.by == ""


@pytest.mark.parametrize("word", [{"promote": "2"}, {"pause": "2"}, {"abort": "2"}, {"approved": "2/1"}])
def test_the_same_person_may_decide_again(word: dict[str, str]) -> None:
    """The name is the same; which word it is about, and when it was said, is not."""
    world = at_a_step()
    world.say(**STALE)
    passes(world, 1)
    ((verb, said_),) = word.items()
    world.say(**word, decided=f"{verb} {said_} 2026-03-01T12:00:00Z")
    passes(world, 4)

    assert (world.told.decisions[0].by, world.told.decisions[0].why) == ("bert", "of another word")


def test_of_two_words_in_one_moment_each_has_its_own_name_or_none() -> None:
    world = at_a_step()
    world.say(pause="2", approved="2/1", **ANNA, decided="approved 2/1 2026-03-01T12:00:00Z")
    passes(world, 2)

    assert {(one.verb, one.by) for one in world.told.decisions} == {("Paused", ""), ("Approved", "anna")}


def test_a_word_that_was_decided_on_once_is_not_credited_when_somebody_writes_it_again() -> None:
    world = at_a_step()
    world.say(pause="2", **ANNA, decided="pause 2 2026-03-01T12:00:00Z")
    passes(world, 2)
    world.say(pause=None)
    passes(world, 1)
    world.say(pause="2")
    passes(world, 2)

    assert [(one.verb, one.by) for one in world.told.decisions] == [("Paused", ""), ("Resumed", ""), ("Paused", "anna")]


def test_who_holds_it_is_told_for_as_long_as_it_is_held() -> None:
    world = at_a_step()
    world.say(pause="2", **ANNA)
    passes(world, 2)
    world.say(**{"decided-by": "bert"})
    passes(world, 2)
    assert "is held by anna" in world.told.explain


def test_nobody_is_named_who_was_not() -> None:
    world = at_a_step()
    world.say(pause="2")
    passes(world, 2)

    assert (world.told.decisions[0].by, events(world)) == ("", [("RolloutPaused", "revision 2 was paused")])


def test_what_is_aborted_while_it_is_watched_is_told() -> None:
    world = canary(watchSeconds=600)
    waits(world, "Watching")
    world.say(abort="2", **ANNA)
    passes(world, 3)

    assert said(world)[-1] == ("Aborted", 2, "")
    assert world.converge().serving == 1


def test_a_promotion_that_still_stands_when_it_is_aborted_is_not_told_again() -> None:
    world = at_a_step()
    world.behaviour["shop:2"] = NEVER
    world.say(promote="2", **ANNA)
    passes(world, 2)
    world.say(promote="2", abort="2", **ANNA)
    passes(world, 6)

    assert said(world) == [("Promoted", 2, ""), ("Aborted", 2, "")]


def test_a_word_that_stands_when_the_status_is_lost_is_told_without_a_time_and_without_an_event() -> None:
    world = at_a_step()
    world.say(pause="2", **ANNA, decided="pause 2 2026-03-01T12:00:00Z")
    passes(world, 2)
    before = len(world.events)
    world.lose_status()
    passes(world, 3)

    assert [(one.verb, one.by, one.time) for one in world.told.decisions] == [("Paused", "anna", None)]
    assert [one.reason for one in world.events[before:] if one.reason == "RolloutPaused"] == []


@pytest.mark.parametrize("crash_after", range(1, 9))
def test_a_promotion_is_told_also_when_the_operator_dies_before_it_can_tell(crash_after: int) -> None:
    """A candidate that is ready gets through in the pass that sees the word."""
    world = waits(canary(approval="Required"), "AwaitingApproval")
    world.say(promote="2", **ANNA)
    with suppress(Crash):
        world.reconcile(crash_after)
    world.look()
    world.converge()

    assert (world.serving, said(world).count(("Promoted", 2, ""))) == (2, 1)


def test_the_last_ones_are_kept() -> None:
    world = at_a_step()
    for _ in range(KEPT):
        world.say(pause="2")
        passes(world, 1)
        world.say(pause=None)
        passes(world, 1)

    assert len(world.told.decisions) == KEPT
    assert said(world)[-1] == ("Resumed", 2, "")
    assert len(events(world)) == 2 * KEPT


def test_another_try_says_who_asked_for_it() -> None:
    world = at_a_step()
    world.say(abort="2", **ANNA)
    world.converge()
    asked = {"requested-by": "bert", "requested-because": "the database is back"}
    world.say(abort=None, requestedAt="now", **asked)
    passes(world, 2)

    retried = [one.message for one in world.events if "Retried" in one.reason]
    assert retried == ["revision 2 (image shop:2) is tried again for bert: the database is back"]
    assert said(world) == [("Aborted", 2, ""), ("Retried", 2, "")]
    decision = world.told.decisions[0]
    assert (decision.by, decision.why, decision.time) == ("bert", "the database is back", world.now)


def test_a_request_by_hand_is_nobody_s_whoever_asked_before() -> None:
    world = at_a_step()
    world.say(abort="2")
    world.converge()
    asked = {"requested-by": "bert", "requested-because": "the database is back", "requested": "now"}
    world.say(requestedAt="now", **asked)
    passes(world, 2)
    world.say(abort=None)
    passes(world, 1)
    world.say(abort="2")
    world.converge()
    world.say(requestedAt="by hand")
    passes(world, 2)

    assert [one.by for one in world.told.decisions if one.verb == "Retried"] == ["", "bert"]
    assert world.events[-1].message == "revision 2 (image shop:2) is tried again"


def test_another_judgement_is_a_decision_too(monkeypatch: pytest.MonkeyPatch) -> None:
    judge(monkeypatch, {"step-1": "Inconclusive"})
    world = waits(canary(step(20), step(50)), "AnalysisInconclusive")
    world.say(requestedAt="now", requested="now", **{"requested-by": "bert", "requested-because": "it is up again"})
    passes(world, 3)

    assert said(world)[-1] == ("Retried", 2, "")
    told = [one.message for one in world.events if one.reason == "RolloutRetried"]
    assert told == ["another judgement of revision 2 was asked for by bert: it is up again"]


@pytest.mark.parametrize("token", ["now", "7/now"])
def test_a_request_that_changes_nothing_is_not_told(token: str) -> None:
    world = at_a_step()
    world.say(requestedAt=token, **{"requested-by": "bert"})
    passes(world, 3)

    assert said(world) == []


def test_what_is_approved_before_it_waits_is_told_when_it_would_have_waited() -> None:
    world = at_a_step()
    world.say(approved="2/2", **ANNA, decided="approved 2/2 2026-03-01T12:00:00Z")
    passes(world, 2)
    assert said(world) == []
    steps = [step(20), step(50, UNTIL_APPROVED), step(80, UNTIL_APPROVED)]
    world.change(rollout={"strategy": "Canary", "steps": steps})
    waits(passes(world, 1), "AwaitingApproval")

    assert (said(world), world.note(2)["step"]) == ([("Approved", 2, "2")], 2)
    assert events(world) == [("StepApproved", "step 2 of revision 2 was approved by anna: looks good")]


def test_a_promotion_in_another_attempt_is_another_decision() -> None:
    world = waits(canary(approval="Required", watchSeconds=600), "AwaitingApproval")
    for attempt in ("1", "2"):
        world.say(promote="2", decided=f"promote 2 {attempt}", **ANNA)
        waits(world, "Watching")
        world.wait(5)
        world.crashed["shop:2"] = world.now
        world.converge(600)
        world.crashed.clear()
        world.wait(60)
        world.say(requestedAt=attempt)
        waits(passes(world, 1), "AwaitingApproval")

    assert [one for one in said(world) if one[1] == 2] == [("Promoted", 2, ""), ("Retried", 2, "")] * 2
