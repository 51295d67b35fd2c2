"""A word is about the attempt that it was said in: what stood when that was over means nothing in the next one."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.apps.test_steps import UNTIL_APPROVED, canary, passes, step, waits
from tests.unit.apps.world import World


def failed_while_watched(**words: str) -> World:
    """Revision 2 got through by these words, and gave the traffic back."""
    world = canary(step(20, UNTIL_APPROVED), approval="Required", watchSeconds=600)
    world.say(**words)
    waits(world, "Watching")
    world.wait(5)
    world.crashed["shop:2"] = world.now
    world.converge(600)
    assert (world.serving, world.record(2).state) == (1, "Failed")
    world.crashed.clear()
    return world


def aborted() -> World:
    world = waits(canary(step(20, UNTIL_APPROVED)), "AwaitingApproval")
    world.say(abort="2")
    return world.converge()


def retired() -> World:
    """Revision 2 was promoted, served, and is not even the one before what serves."""
    world = canary(step(20, UNTIL_APPROVED), watchSeconds=600)
    world.say(promote="2")
    world.converge()
    assert world.serving == 2
    return superseded(world)


def superseded(world: World) -> World:
    """Without another word; what is one back is a way back, without steps."""
    steps = world.spec["rollout"]
    world.change(image="shop:3", rollout={})
    world.converge()
    world.change(image="shop:4")
    world.converge()
    world.change(rollout=steps)
    world.converge()
    assert (world.serving, world.record(2).state) == (4, "Retired")
    return world


def again(world: World) -> None:
    world.wait(60)
    world.say(requestedAt="again")


ATTEMPTS: dict[str, tuple[Callable[[], World], Callable[[World], object]]] = {
    "a promotion, after a failure": (lambda: failed_while_watched(promote="2"), again),
    "a promotion, when old content comes back": (retired, lambda world: world.change(image="shop:2")),
    "an abort": (aborted, again),
}


@pytest.mark.parametrize(("before", "comes_back"), ATTEMPTS.values(), ids=ATTEMPTS)
def test_what_was_said_in_an_earlier_attempt_counts_no_more(
    before: Callable[[], World], comes_back: Callable[[World], object]
) -> None:
    world = before()
    stable = world.serving
    comes_back(world)
    waits(world, "AwaitingApproval")
    passes(world, 4)
    assert (world.condition("RolledOut").reason, world.serving) == ("AwaitingApproval", stable)


def test_an_approval_of_an_earlier_attempt_counts_no_more() -> None:
    world = canary(approval="Required", watchSeconds=600)
    world.say(approved="2/promotion")
    waits(world, "Watching")
    world.wait(5)
    world.crashed["shop:2"] = world.now
    world.converge(600)
    world.crashed.clear()
    again(world)
    waits(passes(world, 1), "AwaitingApproval")
    assert passes(world, 4).serving == 1


def test_it_is_forgotten_neither_with_the_status_nor_in_the_whole_attempt() -> None:
    world = failed_while_watched(promote="2")
    again(world)
    for _ in range(8):
        world.lose_status()
        passes(world, 1)
    assert (world.serving, world.condition("RolledOut").reason) == (1, "AwaitingApproval")


def test_a_word_that_was_taken_back_and_said_again_counts() -> None:
    world = failed_while_watched(promote="2")
    again(world)
    waits(world, "AwaitingApproval")
    world.say(promote=None)
    passes(world, 1)
    world.say(promote="2")
    waits(world, "Watching")
    assert world.serving == 2


def test_a_word_that_is_said_again_counts_although_it_reads_the_same() -> None:
    """As kubectl tandem and Argo CD's buttons say it: what it decides about, and when."""
    world = failed_while_watched(promote="2", decided="promote 2 2026-03-01T12:00:00Z")
    again(world)
    waits(world, "AwaitingApproval")
    world.say(decided="promote 2 2026-03-01T13:00:00Z")
    waits(world, "Watching")
    world.say(decided="pause 7 2026-03-01T13:10:00Z")
    assert passes(world, 3).serving == 2


def test_words_that_go_with_the_request_leave_nothing_behind() -> None:
    world = failed_while_watched(promote="2")
    again(world)
    world.say(promote=None)
    waits(passes(world, 1), "AwaitingApproval")
    world.say(promote="2")
    waits(world, "Watching")
    assert world.serving == 2


def test_a_word_for_the_next_attempt_that_comes_with_the_request_counts() -> None:
    world = aborted()
    again(world)
    world.say(promote="2", abort=None)
    assert world.converge().serving == 2


def test_what_was_aborted_is_aborted_again_by_a_new_word_alone() -> None:
    world = aborted()
    for attempt in ("again", "and again"):
        world.wait(60)
        world.say(requestedAt=attempt)
        waits(world, "AwaitingApproval")
        world.say(decided=f"abort 2 {attempt}")
        world.converge()
        assert world.record(2).reason == "Aborted"


def test_without_pods_what_a_retired_revision_was_told_is_over_too() -> None:
    """Scaled to zero nothing is left to scale down, and words are remembered all the same."""
    world = canary(step(20, UNTIL_APPROVED), replicas=0)
    world.say(promote="2")
    superseded(world.converge()).change(image="shop:2", replicas=4)
    waits(world, "AwaitingApproval")
    assert passes(world, 3).serving == 4


def test_without_words_nothing_is_written_down() -> None:
    world = canary(step(20))
    world.converge()
    world.change(image="shop:3")
    world.converge()
    assert not [d for d in world.deployments.values() if "tandem.dev/spent-words" in d["metadata"]["annotations"]]
