"""Which attempt logged what: all attempts of a run log into one MLflow run, and only the one that succeeded is judged.

A metric is dated by the pod that logs it, by the clock of its node; so is the start of that pod's first container. The
two are compared, so that of the attempt that succeeded nothing is taken for older. A model is dated by MLflow's server,
whose clock is another one; so is that of the node on which an earlier attempt ran. Hence a tolerance, small beside the
ten seconds that the Job controller lets pass before another attempt. Where there was one attempt nothing is compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from tandem.api import names
from tandem.api.children import Job, Pod
from tandem.api.facts import MetricsSince, TrackedRun
from tandem.api.trainingjob import TrainingJobSpec
from tandem.api.trainingjob_status import RunStatus
from tandem.training.case import Case
from tandem.training.numbers import OwnMetrics
from tandem.training.ranks import rank_of

TOLERANCE: Final = timedelta(seconds=2)
_UNKNOWN: Final = datetime.max.replace(tzinfo=UTC)
_CALENDAR: Final = (1970, 9999)  # anybody can write a tag, and the ends of the calendar cannot be reckoned with
_EARLIER: Final = "was logged by an earlier attempt only"
_GONE: Final = "was logged, nobody knows by which attempt (the last one's pod is gone); ask for another run"


def with_start(case: Case, run: RunStatus, job: Job, pods: tuple[Pod, ...]) -> RunStatus:
    """The run with when its first attempt began, and the one that goes on or has succeeded; kept when no pod tells.

    None while no attempt goes on, and where nobody saw it begin: not the start of the attempt before.
    """
    mine = [pod for pod in pods if rank_of(pod) == 0]  # of several nodes the first one logs
    mine.sort(key=lambda pod: pod.status.phase == "Succeeded")  # two pods may be made within a second
    began = [moment for moment in map(_began, mine) if moment is not None]
    if mine:
        now = _start(case.spec, run, mine[-1])
    else:
        taken = job.spec.suspend and not job.ended
        now = None if taken or _another(case, run) else run.attempt_start_time
    first = min([run.first_attempt_start_time, *began] if run.first_attempt_start_time else began, default=None)
    return msgspec.structs.replace(run, attempt_start_time=now, first_attempt_start_time=first)


def tags(run: RunStatus) -> dict[str, str]:
    """The start of the attempt that is judged, for when the status is lost; nothing where it is the only one."""
    start = run.attempt_start_time
    return {names.TAG_ATTEMPT_START: start.isoformat()} if start is not None and _several(run) else {}


def question(run: RunStatus, tracked: TrackedRun, asked: Set[str]) -> MetricsSince | None:
    """What was logged of the metrics whose value in MLflow is an earlier attempt's; None where there are none.

    MLflow's value is that of the highest step, and an attempt that began anew may have stopped at a lower one.
    """
    start = start_of(run, tracked)
    if start is None or start == _UNKNOWN:
        return None
    older = asked & (tracked.metrics.keys() - own(run, tracked).metrics.keys())
    return MetricsSince(tracked.run_id, tuple(sorted(older)), _least(start)) if older else None


def own(run: RunStatus, tracked: TrackedRun, since: Mapping[str, float] | None = None) -> TrackedRun:
    """The MLflow run without the metrics and models of earlier attempts; ``since``: the answer to :func:`question`."""
    start = start_of(run, tracked)
    if start is None:
        return tracked
    least = _least(start)
    mine = {name: value for name, value in tracked.metrics.items() if tracked.metric_times.get(name, 0) >= least}
    mine |= since or {}
    metrics = OwnMetrics(mine, tracked.metrics.keys() - mine.keys(), _GONE if start == _UNKNOWN else _EARLIER)
    models = tuple(model for model in tracked.models if model.created_at >= start - TOLERANCE)
    return replace(tracked, metrics=metrics, models=models)


def ended_by_it(run: RunStatus, tracked: TrackedRun) -> bool:
    """Whether it was the attempt that is judged that ended the MLflow run last, not one before it."""
    start = start_of(run, tracked)
    return start is None or (tracked.ended_at is not None and tracked.ended_at >= start - TOLERANCE)


def start_of(run: RunStatus, tracked: TrackedRun) -> datetime | None:
    """Since when the attempt that is judged goes on; None where it is the only one, the end of time if nobody knows."""
    if run.attempt_start_time is not None:
        return run.attempt_start_time if _several(run) else None
    return _on_record(tracked) or (_UNKNOWN if _several(run) else None)


def _least(start: datetime) -> int:
    return int((start - TOLERANCE).timestamp() * 1000)


def _several(run: RunStatus) -> bool:
    """Also a suspension, which counts as neither, makes another attempt."""
    return run.attempts > 1 or run.disruptions > 0 or run.attempt_start_time != run.first_attempt_start_time


def _on_record(tracked: TrackedRun) -> datetime | None:
    try:
        told = datetime.fromisoformat(tracked.tags.get(names.TAG_ATTEMPT_START, ""))
    except ValueError:
        return None
    return told if told.tzinfo and _CALENDAR[0] < told.year < _CALENDAR[1] else None


def _another(case: Case, run: RunStatus) -> bool:
    """Whether attempts or disruptions were counted since the status was written."""
    stored = case.status.run
    known = stored is not None and stored.number == run.number
    return known and stored is not None and (stored.attempts, stored.disruptions) != (run.attempts, run.disruptions)


def has_trained(spec: TrainingJobSpec, pod: Pod) -> bool:
    """Whether all of the user's own steps have succeeded in it, whatever became of it after them."""
    ended = {c.name for c in pod.containers if c.state.terminated and c.state.terminated.exit_code == 0}
    return all(step.name in ended for step in spec.steps)


def _start(spec: TrainingJobSpec, run: RunStatus, pod: Pod) -> datetime | None:
    if pod.status.phase == "Failed" and not has_trained(spec, pod):
        return None
    told = _began(pod)
    # Init containers run while their pod is Pending. Any other pod has begun, also one that no longer tells when.
    return told if told is not None or pod.status.phase == "Pending" else run.attempt_start_time


def _began(pod: Pod) -> datetime | None:
    return min(_starts(pod), default=None)


def _starts(pod: Pod) -> Iterator[datetime]:
    for container in pod.containers:
        state = container.state.terminated or container.state.running
        if state is not None and state.started_at is not None:
            yield state.started_at
