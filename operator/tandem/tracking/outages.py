"""Since when a question has had no answer: what turns a failure into the observation :class:`Unavailable`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from tandem.api.facts import Query, Unavailable
from tandem.tracking.errors import TrackingError, TrackingFailure

# A question that nobody has asked for so long belongs to a resource that is gone.
FORGET_AFTER: Final = timedelta(hours=1)


@dataclass(slots=True)
class _Failing:
    since: datetime
    asked_at: datetime


class Outages:
    """An outage of the server is one outage for all questions; a question that is rejected is one by itself."""

    def __init__(self) -> None:
        self._server_since: datetime | None = None
        self._failing: dict[Query[object], _Failing] = {}

    def observe(
        self, answered: Collection[Query[object]], failed: Mapping[Query[object], TrackingFailure], now: datetime
    ) -> dict[Query[object], Unavailable]:
        """What one round of questions learnt; the answers to those that failed."""
        for query in answered:
            self._failing.pop(query, None)
        reached = bool(answered) or any(isinstance(failure, TrackingError) for failure in failed.values())
        if reached:
            self._server_since = None
        elif failed:
            self._server_since = self._server_since or now
        unavailable = {}
        for query, failure in failed.items():
            failing = self._failing.setdefault(query, _Failing(self._server_since or now, now))
            failing.asked_at = now
            unavailable[query] = Unavailable(failing.since, failure.reason, failure.message)
        self._forget(now)
        return unavailable

    def _forget(self, now: datetime) -> None:
        gone = [query for query, failing in self._failing.items() if now - failing.asked_at > FORGET_AFTER]
        for query in gone:
            del self._failing[query]
