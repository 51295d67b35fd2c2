"""What people say of a rollout is in the status and an Event: once, with who, why and when."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest

from tandem.apps.decisions import KEPT
from tests.unit.apps.test_steps import UNTIL_APPROVED, canary, passes, step, waits
from tests.unit.apps.world import NEVER, START, Crash, World

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
    world.say(pause="2", **ANNA)
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

    retried = next(one for one in world.events if one.reason == "RevisionRetried")
    assert retried.message == "revision 2 (image shop:2) is tried again for bert: the database is back"
