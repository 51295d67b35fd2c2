"""spec.retrain.onDataChange: what the status keeps of the polls, and the run that a change of the data asks for.

A version that a poll found is compared with the one that the latest run was made from, never with an earlier poll: so
a change that a run has fetched already, whatever started it, is none; and data that change back are one again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from tandem.api.conditions import condition, shortened
from tandem.api.duration import parse_duration
from tandem.api.meta import Condition, ConditionStatus
from tandem.api.trainingjob_status import DataPollStatus, PolledData, RunStatus, TrainingJobStatus, Trigger
from tandem.training import poll
from tandem.training.case import Case
from tandem.training.failure import blocked, fetch_reason
from tandem.training.inputs import poll_mounts, polled

DATA_POLLED: Final = "DataPolled"
POLL_FAILED: Final = "PollFailed"
_DATA_CHANGE: Final = "DataChange"
_GRACE: Final = timedelta(seconds=60)  # as of a run's pods
_MESSAGE: Final = 512
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def data_changed(case: Case, latest: RunStatus) -> Trigger | None:
    """The run that changed data ask for; one set of versions is answered once, whatever became of its run."""
    if case.spec.retrain.on_data_change is None or case.status.data_poll is None:
        return None
    changed = [one for one in case.status.data_poll.data if _is_new(one)]
    if not changed:
        return None
    lines = "".join(f"{one.name}={one.version}\n" for one in changed)
    id_ = hashlib.sha256(lines.encode()).hexdigest()[:16]
    if (latest.trigger.type, latest.trigger.id) == (_DATA_CHANGE, id_):
        return None
    told = ", ".join(f"{one.name} was {one.trained_version or 'not fetched'}, is {one.version}" for one in changed)
    return Trigger(type=_DATA_CHANGE, id=id_, message=shortened(f"data changed: {told}"))


def data_poll_status(case: Case, status: TrainingJobStatus) -> DataPollStatus | None:
    """What the status keeps; ``status`` is the rest of the one that is about to be written.

    Plans to be asked again when the next poll is due, and the Job that asks when it is.
    """
    sets = polled(case.spec)
    if case.spec.retrain.on_data_change is None or not sets:
        poll.sweep(case, None)
        return None
    before = case.status.data_poll or DataPollStatus()
    run, stored = status.run, case.status.run
    if run is None or stored is None or run.number != stored.number:
        before = _answered(before)
    known = {one.name: one for one in before.data}
    data = tuple(_with_trained(known.get(one.name, PolledData(name=one.name)), status) for one in sets)
    before = msgspec.structs.replace(before, data=data)
    if run is None or run.completion_time is None or not poll.polls(case):
        poll.sweep(case, None)
        return msgspec.structs.replace(before, next_poll_time=None)
    told = poll.ended(case, before.last_poll_time)
    now = _with_report(before, told, status) if told else before
    interval = parse_duration(case.spec.retrain.on_data_change.interval)
    base = max(filter(None, (now.last_poll_time, run.completion_time)))
    due = (base + interval).replace(microsecond=0)
    if due > case.now:
        case.draft.requeue(due - case.now)
    elif told is None:
        poll.ask(case)
    if told is None:
        poll.sweep(case, before.last_poll_time or _NEVER)
    return msgspec.structs.replace(now, next_poll_time=due)


def data_poll_conditions(case: Case, status: DataPollStatus | None) -> list[Condition]:
    """Whether the stores could be asked; a poll that fails stops nothing, and Ready does not speak of it."""
    if status is None:
        return []
    generation = case.resource.metadata.generation
    return [condition(DATA_POLLED, *_told(case, status), case.status.conditions, generation, case.now)]


def _answered(before: DataPollStatus) -> DataPollStatus:
    """A run begins, and fetches what is there now: what was found before it asks for nothing any more."""
    kept = tuple(PolledData(name=one.name, trained_version=one.trained_version) for one in before.data)
    return msgspec.structs.replace(before, data=kept, next_poll_time=None)


def _with_trained(one: PolledData, status: TrainingJobStatus) -> PolledData:
    fetched = next((data.version for data in status.data if data.name == one.name), "")
    return msgspec.structs.replace(one, trained_version=fetched or one.trained_version)


def _with_report(before: DataPollStatus, told: poll.Ended, status: TrainingJobStatus) -> DataPollStatus:
    said = {one.name: one for one in told.report.data} if told.report else {}
    fetched = {one.name for one in status.data}
    data = tuple(
        _found(one, said[one.name], one.name in fetched)
        if one.name in said
        else _failed(one, POLL_FAILED, told.message)
        for one in before.data
    )
    return DataPollStatus(last_poll_time=told.at, data=data)


def _found(one: PolledData, said: poll.PolledSet, fetched: bool) -> PolledData:
    if said.code:
        return _failed(one, fetch_reason(said.code) or POLL_FAILED, said.message)
    # A run of before versions were recorded: what is there now is what later polls are compared with.
    trained = one.trained_version or (said.version if fetched else "")
    return PolledData(name=one.name, version=said.version, trained_version=trained)


def _failed(one: PolledData, problem: str, message: str) -> PolledData:
    return PolledData(name=one.name, trained_version=one.trained_version, problem=problem, message=message[:_MESSAGE])


def _is_new(one: PolledData) -> bool:
    return one.version not in ("", one.trained_version)


def _told(case: Case, status: DataPollStatus) -> tuple[ConditionStatus, str, str]:
    refusal = case.observed.refusals.get(poll.creation(case).id)
    if refusal is not None:
        return "False", refusal.reason, f"the polling Job could not be created: {refusal.message}"
    obstacle = _obstacle(case)
    if obstacle is not None:
        return obstacle
    broken = [one for one in status.data if one.problem]
    if broken:
        return "False", broken[0].problem, "; ".join(one.message or one.name for one in broken)
    if status.last_poll_time is None:
        return "Unknown", "PollPending", "the data have not been looked at yet"
    silent = [one.name for one in status.data if not one.version]
    if silent and _asked_since_the_run(case, status):
        what = ", ".join(silent)
        return "Unknown", "VersionUnknown", f"{what}: the store tells nothing by which a change could be known"
    return "True", "Polled", _in_words(status.data)


def _asked_since_the_run(case: Case, status: DataPollStatus) -> bool:
    """A run wipes what was found before it: until the next poll nobody knows more than what it has fetched."""
    run, at = case.status.run, status.last_poll_time
    return bool(run and run.completion_time and at and at >= run.completion_time)


def _obstacle(case: Case) -> tuple[ConditionStatus, str, str] | None:
    """What the pod that asks cannot get past."""
    job = poll.job_of(case)
    if job is None or job.ended:
        return None
    found = blocked(job, poll.pods_of(case, job), tuple(one.what for one in poll_mounts(case.spec)))
    if found is None:
        return None
    waited = case.now - (found.since or case.now)
    if waited < _GRACE:
        case.draft.requeue(_GRACE - waited)
        return None
    return "False", found.reason, found.message


def _in_words(data: Sequence[PolledData]) -> str:
    new = [one.name for one in data if _is_new(one)]
    return f"changed since the latest run: {', '.join(new)}" if new else "the data are those of the latest run"
