"""Tasks that are meant to run for ever: the first that ends, well or not, ends the process."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine


class MustEnd(Exception):
    """The process must end and be started anew; the message says why."""


class Endless:
    """A group of such tasks. (A TaskGroup would wrap what ended it, and would wait for the others.)"""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._first: asyncio.Future[asyncio.Task[None]] = asyncio.get_running_loop().create_future()

    def start(self, name: str, coroutine: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(coroutine, name=name)
        task.add_done_callback(self._note_end)
        self._tasks[name] = task

    async def first_end(self) -> None:
        """Return when one has ended; raise what it raised."""
        task = await asyncio.shield(self._first)
        await task

    def has_ended(self, name: str) -> bool:
        return name in self._tasks and self._tasks[name].done()

    async def let_end(self, name: str, seconds: float) -> None:
        """Give one of them time to end by itself."""
        if name in self._tasks:
            await asyncio.wait([self._tasks[name]], timeout=seconds)

    async def cancel(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not self._first.done():
            self._first.set_result(task)
