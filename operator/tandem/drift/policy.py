"""The brakes between an alarm and a training run, and the one request that gets through.

An alarm asks for one run. Everything that runs, waits or cools down holds the next request back; nothing here starts
anything.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from tandem.api.duration import parse_duration
from tandem.api.trainingjob import TrainingJob
from tandem.api.trainingjob_status import HistoryEntry, RunStatus, TrainingJobStatus

Brake = Literal["Suspended", "RunInProgress", "Cooldown"]


@dataclass(frozen=True, slots=True)
class Held:
    """No request now: what holds it back, in words, and until when if the clock decides."""

    by: Brake
    message: str
    until: datetime | None = None


def brake(job: TrainingJob, champion_since: datetime | None, now: datetime) -> Held | None:
    """What holds a request back now, or None."""
    if job.spec.suspend:
        return Held("Suspended", "no run is requested while spec.suspend is true")
    run = job.status.run
    if run is not None and run.completion_time is None:
        return Held("RunInProgress", f"run {run.number} is in progress")
    until = cooldown_end(job, champion_since)
    if until is not None and now < until:
        return Held("Cooldown", f"cooling down until {until:%Y-%m-%d %H:%M:%SZ} (spec.retrain.cooldown)", until)
    return None


def cooldown_end(job: TrainingJob, champion_since: datetime | None) -> datetime | None:
    """The end of the cooldown; None when there was no cycle yet.

    It counts from the end of the last cycle: rejected or failed, the run's completion; promoted or rolled back, the
    change of champion. The later one counts. Counted from the start, a long training would use the cooldown up.
    """
    ends = [entry.completion_time for entry in job.status.history if entry.trigger.type == "Drift"]
    run = job.status.run
    if run is not None and run.trigger.type == "Drift" and run.completion_time is not None:
        ends.append(run.completion_time)
    if champion_since is not None:
        ends.append(champion_since)
    return max(ends) + cooldown(job) if ends else None


def cooldown(job: TrainingJob) -> timedelta:
    return parse_duration(job.spec.retrain.cooldown)


def answer_to(request_id: str, status: TrainingJobStatus) -> RunStatus | HistoryEntry | None:
    """The run that the training plan started for this request; None while there is none."""
    if status.run is not None and status.run.trigger.id == request_id:
        return status.run
    return next((entry for entry in status.history if entry.trigger.id == request_id), None)


def request_id(uid: str, champion_version: str, metric: str, step: int) -> str:
    """One alarm, one id: the same after a crash, on another replica, and whatever was logged since.

    ``step`` is the window that raised the alarm, not the newest one: two replicas that saw a different number of later
    windows must not ask for two runs.
    """
    alarm = json.dumps([uid, champion_version, metric, step])
    return hashlib.sha256(alarm.encode()).hexdigest()[:16]


def seconds(moment: datetime) -> datetime:
    """As a status keeps it: UTC, whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0)
