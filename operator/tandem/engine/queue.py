"""A queue of keys, with client-go's contract.

A key that waits is there once; a key that is worked on is never handed out a second time, and if it is added
meanwhile it comes again; failures back off per key (5 ms · 2ⁿ, at most 5 min); ``add_after`` is a heap under one
timer, so 10,000 resources that wait cost no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from tandem.engine.deadlines import Deadlines

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF: Final = 0.005
LAST_BACKOFF: Final = 300.0


class KeyedQueue(Generic[K]):
    """De-duplicated, delayed, backing off. Times are seconds of the event loop's clock; for one event loop only."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready: asyncio.Queue[K] = asyncio.Queue()
        self._added_at: dict[K, float] = {}  # what waits in _ready, in its order
        self._active: set[K] = set()  # handed out
        self._again: set[K] = set()  # added while handed out
        self._delayed: Deadlines[K] = Deadlines()  # the earliest delayed addition of each key
        self._timer: asyncio.TimerHandle | None = None
        self._failures: dict[K, int] = {}
        self._taken_at = self._loop.time()
        self._idle = asyncio.Event()
        self._closed = False

    def __contains__(self, key: K) -> bool:
        """Whether it comes, and sees all that is known by then: it waits, or comes again when it is given back."""
        return key in self._added_at or key in self._again

    def add(self, key: K) -> None:
        if self._closed:
            return
        if key in self._active:
            self._again.add(key)
        elif key not in self._added_at:
            self._added_at[key] = self._loop.time()
            self._ready.put_nowait(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Add it later. An earlier addition of the same key wins; it is looked at then, and asks again."""
        if seconds <= 0:
            self.add(key)
            return
        due, before = self._loop.time() + seconds, self._delayed.get(key)
        if before is None or due < before:
            self._delayed.put(key, due)
            self._arm()

    def retry(self, key: K, at_most: float = LAST_BACKOFF) -> float:
        """Add it later, the later the more often it failed; the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(FIRST_BACKOFF * 2.0 ** min(failures, 30), at_most)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """It went well: the next failure starts from the first backoff again."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key; it must be given back with :meth:`done`."""
        key = await self._ready.get()
        del self._added_at[key]
        self._active.add(key)
        self._taken_at = self._loop.time()
        return key

    def done(self, key: K) -> None:
        self._active.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)
        if not self._active:
            self._idle.set()

    async def close(self) -> None:
        """Hand out nothing more, and wait until everything that was handed out is given back."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        while not self._ready.empty():
            del self._added_at[self._ready.get_nowait()]
        while self._active:
            self._idle.clear()
            await self._idle.wait()

    @property
    def depth(self) -> int:
        return self._ready.qsize()

    @property
    def oldest(self) -> float:
        """How long the longest-waiting key has waited, in seconds."""
        now = self._loop.time()
        return now - next(iter(self._added_at.values()), now)

    @property
    def stuck(self) -> float:
        """For how many seconds keys have waited without a single one being taken."""
        return min(self.oldest, self._loop.time() - self._taken_at)

    def _promote(self) -> None:
        self._timer = None
        for key in self._delayed.take(self._loop.time()):
            self.add(key)
        self._arm()

    def _arm(self) -> None:
        """One timer, for the earliest of all."""
        first = self._delayed.first()
        if self._closed or first is None:
            return
        if self._timer is not None:
            if self._timer.when() <= first:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(first, self._promote)
