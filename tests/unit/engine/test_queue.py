"""The queue keeps client-go's workqueue contract. Time is the event loop's, and virtual."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from tandem.engine.queue import FIRST_BACKOFF, LAST_BACKOFF, KeyedQueue

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]


def now() -> float:
    return asyncio.get_running_loop().time()


async def taken_at_once(queue: KeyedQueue[str]) -> list[str]:
    """Everything that can be taken without waiting; nothing is given back."""
    taken = []
    while True:
        try:
            async with asyncio.timeout(0.0001):
                taken.append(await queue.get())
        except TimeoutError:
            return taken


async def test_a_key_that_waits_is_there_once() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    for key in ("a", "b", "a", "a"):
        queue.add(key)

    assert await taken_at_once(queue) == ["a", "b"]


async def test_keys_come_in_the_order_of_their_first_addition() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    for key in "cabbac":
        queue.add(key)

    assert await taken_at_once(queue) == ["c", "a", "b"]


async def test_a_key_that_is_worked_on_is_not_handed_out_and_comes_again_when_it_is_given_back() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.add("a")
    assert await taken_at_once(queue) == []

    queue.done(key)

    assert await taken_at_once(queue) == ["a"]


async def test_a_key_that_was_not_added_meanwhile_does_not_come_again() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    queue.add("a")
    queue.done(await queue.get())

    assert await taken_at_once(queue) == []


async def test_a_waiting_worker_gets_what_is_added() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    queue.add("a")

    assert await worker == "a"
    assert now() == pytest.approx(1)


async def test_a_worker_that_is_cancelled_while_it_waits_loses_no_key() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    workers = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(1)
    queue.add("a")
    workers[0].cancel()

    assert await workers[1] == "a"


@pytest.mark.parametrize(
    ("delays", "comes_at"),
    [([5], [5]), ([5, 2], [2]), ([2, 5], [2]), ([5, 0], [0, 5]), ([3, 3], [3])],
    ids=["one", "the earlier comes later", "the later comes later", "at once, and later too", "twice the same"],
)
async def test_of_two_delayed_additions_the_earliest_wins(delays: list[float], comes_at: list[float]) -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    for delay in delays:
        queue.add_after("a", delay)

    times = []
    while True:
        try:
            async with asyncio.timeout(60):
                queue.done(await queue.get())
        except TimeoutError:
            break
        times.append(now())
    assert times == pytest.approx(comes_at, abs=0.001)


async def test_many_delayed_keys_come_each_at_its_own_time() -> None:
    queue: KeyedQueue[int] = KeyedQueue()
    for seconds in (9, 3, 7, 1, 5):
        queue.add_after(seconds, seconds)

    for seconds in (1, 3, 5, 7, 9):
        assert await queue.get() == seconds
        assert now() == pytest.approx(seconds, abs=0.001)


async def test_failures_of_a_key_back_off_twofold_to_a_limit_and_start_anew_after_a_success() -> None:
    queue: KeyedQueue[str] = KeyedQueue()

    delays = [queue.retry("a") for _ in range(40)]

    assert delays[0] == FIRST_BACKOFF
    assert all(later == min(2 * sooner, LAST_BACKOFF) for sooner, later in pairwise(delays))
    assert delays[-1] == LAST_BACKOFF
    assert queue.retry("b") == FIRST_BACKOFF, "each key has its own"
    queue.forget("a")
    assert queue.retry("a") == FIRST_BACKOFF


async def test_a_retry_keeps_to_the_limit_of_its_cause() -> None:
    queue: KeyedQueue[str] = KeyedQueue()

    for _ in range(30):
        queue.retry("a", at_most=20)
    assert queue.retry("a", at_most=20) == 20


async def test_closing_hands_out_nothing_more_and_waits_for_what_is_worked_on() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    queue.add("a")
    queue.add("b")
    key = await queue.get()
    queue.add("a")
    queue.add_after("c", 1)
    closing = asyncio.create_task(queue.close())
    await asyncio.sleep(5)
    assert not closing.done()

    queue.done(key)
    await closing

    queue.add("d")
    assert await taken_at_once(queue) == []


async def test_depth_and_age_tell_what_waits() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    assert (queue.depth, queue.oldest, queue.stuck) == (0, 0, 0)
    queue.add("a")
    await asyncio.sleep(3)
    queue.add("b")
    await asyncio.sleep(1)
    assert queue.depth == 2
    assert queue.oldest == pytest.approx(4)
    assert queue.stuck == pytest.approx(4), "nobody has taken one for so long"

    await queue.get()
    assert queue.depth == 1
    assert queue.oldest == pytest.approx(1)
    assert queue.stuck == pytest.approx(0, abs=0.01)


async def test_an_addition_that_earlier_ones_overtook_a_thousand_times_comes_once_at_the_earliest() -> None:
    queue: KeyedQueue[str] = KeyedQueue()
    for step in range(10_000):
        queue.add_after("a", 100_000 - step)

    await queue.get()
    assert now() == pytest.approx(100_000 - 9_999, abs=0.001)


async def test_an_outage_of_a_minute_and_a_half_is_outlived_and_nobody_waits_long_after_it() -> None:
    """Case 6: kopf's own retries end after 54 s, for ever."""
    queue: KeyedQueue[str] = KeyedQueue()
    delays = [queue.retry("a", at_most=20.0) for _ in range(30)]

    assert sum(delays) > 90
    assert max(delays) == 20, "so long at most after the outage"
    assert delays == sorted(delays)


async def test_a_key_is_in_the_queue_when_it_waits_or_comes_again() -> None:
    """What is due later is not: it may be wanted earlier."""
    queue: KeyedQueue[str] = KeyedQueue()
    queue.add_after("a", 5)
    assert "a" not in queue
    queue.add("a")
    assert "a" in queue

    key = await queue.get()
    assert "a" not in queue, "whoever works on it has seen what was known before"
    queue.add("a")
    assert "a" in queue
    queue.done(key)
    assert "a" in queue
