"""When a cron schedule is due: pure, in a time zone, at most one start however many were missed.

Daylight saving is Debian cron's, by :mod:`cronsim`: a fixed time that the clocks skip is due right after the gap, one
that comes twice is due the first time alone; where hour or minute begins with ``*`` real time counts.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_MACROS: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_SECOND: Final = timedelta(seconds=1)


class BadSchedule(ValueError):
    """The schedule is never due; ``reason`` is a CronJob controller's word for it, the text says what to change."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def next_time(cron: str, zone: str, after: datetime) -> datetime:
    """The first moment after ``after`` at which the schedule is due, in UTC.

    Raises:
        BadSchedule: it has another form, is never due, or no such time zone is known.
    """
    for moment in _moments(cron, _in_zone(zone, after)):
        # Asked in the repeated hour of autumn, cronsim first repeats what was due before it.
        if moment > after:
            return moment
    raise BadSchedule("InvalidSchedule", f"schedule {cron!r} is never due; correct it")


def latest_time(cron: str, zone: str, due: datetime, now: datetime) -> datetime:
    """The last moment up to ``now`` at which the schedule was due, in UTC; ``due`` is one of them already.

    Raises:
        BadSchedule: as of :func:`next_time`.
    """
    for moment in _moments(cron, _in_zone(zone, now + _SECOND), reverse=True):
        if moment <= now:
            return max(due, moment)
    return due


def last_time(cron: str, zone: str, now: datetime) -> datetime | None:
    """The last moment up to ``now`` at which the schedule was due, in UTC; None: it never was.

    Raises:
        BadSchedule: as of :func:`next_time`.
    """
    return next(
        (moment for moment in _moments(cron, _in_zone(zone, now + _SECOND), reverse=True) if moment <= now), None
    )


def _moments(cron: str, local: datetime, *, reverse: bool = False) -> _Moments:
    try:
        return _Moments(CronSim(_MACROS.get(cron, cron), local, reverse))
    except CronSimError as error:
        raise BadSchedule("InvalidSchedule", f"schedule {cron!r} is not a schedule: {error}") from error


class _Moments:
    """cronsim's moments in UTC. (A generator of it would turn the end of the search into a RuntimeError: PEP 479.)"""

    def __init__(self, local: CronSim) -> None:
        self._local = local

    def __iter__(self) -> _Moments:
        return self

    def __next__(self) -> datetime:
        return next(self._local).astimezone(UTC)


def _in_zone(zone: str, moment: datetime) -> datetime:
    try:
        return moment.astimezone(ZoneInfo(zone))
    except (KeyError, ValueError, OSError) as error:  # a name that is unknown, no name, a folder of names
        raise BadSchedule("UnknownTimeZone", f"timeZone {zone!r} is unknown; use one like Europe/Berlin") from error
