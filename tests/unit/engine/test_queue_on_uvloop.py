"""The queue on the event loop that the operator runs on, whose timers are not quite asyncio's."""

from __future__ import annotations

import asyncio

import uvloop

from tandem.engine.queue import KeyedQueue


def test_keys_that_are_due_within_less_than_a_millisecond_come_all() -> None:
    """uvloop counts milliseconds: what is due at once is a handle of its own kind, which does not know when."""

    async def taken() -> set[str]:
        queue: KeyedQueue[str] = KeyedQueue()
        for number in range(10):
            queue.add_after(f"{number}", 1e-7 * (10 - number))
        async with asyncio.timeout(5):
            return {await queue.get() for _ in range(10)}

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(taken()) == {f"{number}" for number in range(10)}
