"""Questions that are to be asked, apart by how: what comes next is found without a look at all of them.

With 10,000 runs that go on, thousands of questions wait for their turn at any time; to look through all of them for
each batch would cost their square.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import timedelta
from itertools import islice
from typing import Final, Protocol

from tandem.api.facts import Query

_BATCH: Final = 50

AnyQuery = Query[object]


class Manner(Protocol):
    """How each question is asked."""

    def poll_interval(self, query: AnyQuery) -> timedelta | None:
        """How often the answer may change by itself; None: only by our own writes."""

    def lot(self, query: AnyQuery) -> str | None:
        """Questions of one lot are answered by one search, however many; None: each by a request of its own."""


class Pending:
    """De-duplicated, each kind in its order. What is added while it is under way waits until that has ended."""

    def __init__(self, manner: Manner) -> None:
        self._manner = manner
        self._lots: defaultdict[str, dict[AnyQuery, None]] = defaultdict(dict)
        self._new: dict[AnyQuery, None] = {}
        self._polled: dict[AnyQuery, None] = {}
        self._under_way: set[AnyQuery] = set()
        self._again: dict[AnyQuery, None] = {}  # added while under way
        self._polling = False  # questions that are polled one by one: a lot of them is under way

    def __contains__(self, query: AnyQuery) -> bool:
        """Whether it waits to be asked (again)."""
        return query in self._again or query in self._place(query)

    def __bool__(self) -> bool:
        return bool(self._again or self._new or self._polled or any(self._lots.values()))

    @property
    def under_way(self) -> Collection[AnyQuery]:
        return self._under_way

    def add(self, query: AnyQuery) -> None:
        if query in self._under_way:
            self._again[query] = None
        else:
            self._place(query)[query] = None

    def discard(self, query: AnyQuery) -> None:
        self._again.pop(query, None)
        self._place(query).pop(query, None)

    def take(self) -> list[AnyQuery]:
        """One lot; or some of those that somebody waits for; or of those that are polled one by one; or nothing.

        Of the last there may be thousands, one for each run that goes on: they never take more than one place. What is
        taken is under way until it is :meth:`answered`.
        """
        place = next(filter(None, self._lots.values()), None)
        if place is not None:
            batch = list(place)
        else:
            place = self._new or ({} if self._polling else self._polled)
            batch = list(islice(place, _BATCH))
            self._polling = self._polling or bool(batch and place is self._polled)
        for query in batch:
            del place[query]
        self._under_way.update(batch)
        return batch

    def answered(self, batch: Iterable[AnyQuery]) -> None:
        """All of what was taken together."""
        for query in batch:
            self._under_way.discard(query)
            place = self._place(query)
            if place is self._polled:
                self._polling = False
            if query in self._again:
                del self._again[query]
                place[query] = None

    def _place(self, query: AnyQuery) -> dict[AnyQuery, None]:
        lot = self._manner.lot(query)
        if lot is not None:
            return self._lots[lot]
        return self._new if self._manner.poll_interval(query) is None else self._polled
