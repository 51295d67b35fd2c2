"""spec.retrain.schedule: when a run is due by it, what the status keeps of it, and when to look again.

As a CronJob with ``concurrencyPolicy: Forbid``: one run at a time; what comes due while one goes on, or while the
resource is suspended or the operator away, waits, and is one run afterwards, unless it is later than
``startingDeadlineSeconds`` by then. Any run that starts when a time is due answers it: triggers merge.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from tandem.api.conditions import condition
from tandem.api.cron import BadSchedule, latest_time, next_time
from tandem.api.meta import Condition, ConditionStatus
from tandem.api.plan import Emit
from tandem.api.trainingjob_status import RunStatus, ScheduleStatus, Trigger
from tandem.training.case import Case

SCHEDULED: Final = "Scheduled"
_UTC: Final = "UTC"


def scheduled(case: Case) -> Trigger | None:
    """The run that the schedule asks for now: one, for the last of all times that no run has answered."""
    due = _due(case)
    if due is None or _too_late(case, due):
        return None
    cron, zone = _wanted(case)
    return Trigger(type="Schedule", id=_written(due), message=f"due by the schedule {cron!r} ({zone})")


def schedule_status(case: Case, run: RunStatus | None) -> ScheduleStatus | None:
    """What the status keeps; ``run`` is the one that it speaks of. Plans to be asked again at the next due time."""
    if case.spec.retrain.schedule is None:
        return None
    cron, zone = _wanted(case)
    try:
        status = _moved_on(case, run, cron, zone)
    except BadSchedule:  # told by the condition
        return ScheduleStatus(schedule=cron, time_zone=zone)
    if status.next_schedule_time and status.next_schedule_time > case.now:
        case.draft.requeue(status.next_schedule_time - case.now)
    return status


def schedule_conditions(case: Case, status: ScheduleStatus | None) -> list[Condition]:
    """A schedule that is never due says so: the schema cannot know every such one."""
    if status is None:
        return []
    cron, zone = _wanted(case)
    told: tuple[ConditionStatus, str, str] = ("True", "ScheduleActive", f"runs start by the schedule {cron!r} ({zone})")
    if status.next_schedule_time is None:
        try:
            next_time(cron, zone, case.now)
        except BadSchedule as bad:
            told = ("False", bad.reason, f"retrain.{bad}")
    generation = case.resource.metadata.generation
    return [condition(SCHEDULED, *told, case.status.conditions, generation, case.now)]


def _moved_on(case: Case, run: RunStatus | None, cron: str, zone: str) -> ScheduleStatus:
    before = case.status.schedule
    if before is None or (before.schedule, before.time_zone) != (cron, zone):
        last = before.last_schedule_time if before else None
        return ScheduleStatus(
            schedule=cron,
            time_zone=zone,
            next_schedule_time=next_time(cron, zone, case.now),
            last_schedule_time=last,
        )
    if before.next_schedule_time is None:  # it was a bad one, by the rules of an operator before this one
        return msgspec.structs.replace(before, next_schedule_time=next_time(cron, zone, case.now))
    started = _started(case, run)
    if started is not None and before.next_schedule_time <= started:
        answered = latest_time(cron, zone, before.next_schedule_time, started)
        following = next_time(cron, zone, started)
        before = msgspec.structs.replace(before, next_schedule_time=following, last_schedule_time=answered)
    due = _due(case, before)
    if due is not None and _too_late(case, due):
        late = f"the run that was due at {_written(due)} was not started within startingDeadlineSeconds; it is left out"
        case.draft.events.append(Emit("Warning", "MissedSchedule", late))
        return msgspec.structs.replace(before, next_schedule_time=next_time(cron, zone, case.now))
    return before


def _started(case: Case, run: RunStatus | None) -> datetime | None:
    """When the run started, if the status speaks of it for the first time."""
    stored = case.status.run
    if run is None or (stored is not None and stored.number == run.number):
        return None
    return run.start_time or case.now


def _due(case: Case, status: ScheduleStatus | None = None) -> datetime | None:
    """The last time up to now at which the schedule was due, if no run has answered it."""
    status = status or case.status.schedule
    if case.spec.retrain.schedule is None or status is None or status.next_schedule_time is None:
        return None
    cron, zone = _wanted(case)
    if (status.schedule, status.time_zone) != (cron, zone) or status.next_schedule_time > case.now:
        return None
    try:
        return latest_time(cron, zone, status.next_schedule_time, case.now)
    except BadSchedule:
        return None


def _too_late(case: Case, due: datetime) -> bool:
    deadline = case.spec.retrain.starting_deadline_seconds
    return deadline is not None and case.now - due > timedelta(seconds=deadline)


def _wanted(case: Case) -> tuple[str, str]:
    retrain = case.spec.retrain
    return retrain.schedule or "", retrain.time_zone or _UTC


def _written(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
