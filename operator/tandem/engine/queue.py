"""A queue of keys, with client-go's contract.

A key that waits is there once; a key that is worked on is never handed out a second time, and if it is added
meanwhile it comes again; failures back off per key (5 ms · 2ⁿ, at most 5 min); ``add_after`` is a heap, so 10,000
resources that wait cost no task.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_BACKOFF: Final = 0.005
LAST_BACKOFF: Final = 300.0


class KeyedQueue(Generic[K]):
    """De-duplicated, delayed, backing off. Times are seconds of the event loop's clock."""

    def __init__(self, clock: Callable[[], float] | None = None) -> None:
        self._clock = clock or asyncio.get_running_loop().time
        self._ready: deque[K] = deque()
        self._waiting: set[K] = set()  # in _ready
        self._active: set[K] = set()  # handed out
        self._again: set[K] = set()  # added while handed out
        self._delayed: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}  # the earliest delayed addition of each key
        self._failures: dict[K, int] = {}
        self._added_at: dict[K, float] = {}
        self._order = 0
        self._wake = asyncio.Event()
        self._closed = False
        self._idle = asyncio.Event()

    def add(self, key: K) -> None:
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._added_at[key] = self._clock()
            self._wake.set()

    def add_after(self, key: K, seconds: float) -> None:
        """Add it later. An earlier addition of the same key wins; it is looked at then, and asks again."""
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock() + seconds
        if key in self._due and self._due[key] <= due:
            return
        self._due[key] = due
        self._order += 1
        heapq.heappush(self._delayed, (due, self._order, key))
        self._wake.set()

    def retry(self, key: K) -> float:
        """Add it later, the later the more often it failed; the delay in seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(FIRST_BACKOFF * 2.0 ** min(failures, 30), LAST_BACKOFF)
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """It went well: the next failure starts from the first backoff again."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key; it must be given back with :meth:`done`."""
        while True:
            self._promote()
            if self._ready and not self._closed:
                key = self._ready.popleft()
                self._waiting.discard(key)
                self._active.add(key)
                self._added_at.pop(key, None)
                if self._ready:
                    self._wake.set()
                return key
            self._wake.clear()
            timeout = self._delayed[0][0] - self._clock() if self._delayed and not self._closed else None
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                continue

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
        while self._active:
            self._idle.clear()
            await self._idle.wait()

    @property
    def depth(self) -> int:
        return len(self._ready)

    @property
    def oldest(self) -> float:
        """How long the longest-waiting key has waited, in seconds."""
        first = self._ready[0] if self._ready else None
        return 0.0 if first is None else self._clock() - self._added_at.get(first, self._clock())

    def _promote(self) -> None:
        now = self._clock()
        while self._delayed and self._delayed[0][0] <= now:
            due, _, key = heapq.heappop(self._delayed)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
