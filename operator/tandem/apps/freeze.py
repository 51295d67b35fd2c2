"""Freeze windows: while one is open no revision gets traffic that it does not have already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tandem.api.appdeployment import FreezeWindow
from tandem.api.conditions import Failed, Outcome, Working
from tandem.api.cron import BadSchedule, last_time
from tandem.apps import people
from tandem.apps.case import Case, stamp


@dataclass(frozen=True)
class Frozen:
    since: datetime
    until: datetime
    reason: str


def freeze(case: Case, what: str) -> Outcome | None:
    """None: nothing is frozen. A schedule that cannot be read is a window that never closes: it fails closed."""
    found: list[Frozen] = []
    for number, window in enumerate(case.spec.rollout.freeze):
        try:
            frozen = _frozen(window, case.now)
        except BadSchedule as bad:
            where = f"spec.rollout.freeze[{number}]"
            return Failed(bad.reason, f"{where}: {bad}; nothing takes traffic until it is corrected{case.meanwhile}")
        if frozen is not None:
            found.append(frozen)
    if not found:
        return None
    longest = max(found, key=lambda one: one.until)
    case.draft.requeue(longest.until - case.now)
    why = f" ({longest.reason})" if longest.reason else ""
    said = f"{what} waits until {stamp(longest.until)}: a freeze window is open since {stamp(longest.since)}{why}"
    return Working("Frozen", f"{said}{case.meanwhile}; {people.at_once(case)}")


def _frozen(window: FreezeWindow, now: datetime) -> Frozen | None:
    opened = last_time(window.schedule, window.time_zone, now)
    if opened is None:
        return None
    until = opened + timedelta(seconds=window.duration_seconds)
    return Frozen(opened, until, window.reason) if until > now else None
