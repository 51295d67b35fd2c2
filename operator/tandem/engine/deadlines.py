"""When each of many keys is due: a heap with one entry for each key that counts.

Moving a key or taking it off leaves its old entry in the heap, to be passed over; when too many are left, the heap is
made anew. So each step costs the logarithm of what waits, and never a look at all of it.
"""

from __future__ import annotations

import heapq
from collections.abc import Hashable, Iterator
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_STALE_ALLOWED: Final = 100


class Deadlines(Generic[K]):
    """Times are seconds of any one clock."""

    def __init__(self) -> None:
        self._due: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._order = 0  # of two that are due together the one that came first; and keys need not compare

    def __len__(self) -> int:
        return len(self._due)

    def get(self, key: K) -> float | None:
        return self._due.get(key)

    def put(self, key: K, due: float) -> None:
        """It is due then, and no more when it was before."""
        self._due[key] = due
        self._order += 1
        heapq.heappush(self._heap, (due, self._order, key))
        if len(self._heap) > 2 * len(self._due) + _STALE_ALLOWED:
            self._heap = [entry for entry in self._heap if self._counts(entry)]
            heapq.heapify(self._heap)

    def discard(self, key: K) -> None:
        self._due.pop(key, None)

    def first(self) -> float | None:
        """When the next one is due."""
        while self._heap and not self._counts(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: float) -> Iterator[K]:
        """What is due by now, the earliest first; it is due no more."""
        while (due := self.first()) is not None and due <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            yield key

    def _counts(self, entry: tuple[float, int, K]) -> bool:
        return self._due.get(entry[2]) == entry[0]
