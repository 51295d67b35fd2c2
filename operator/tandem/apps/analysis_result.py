"""How a judgement ended, as far as its Job and its pod tell.

Only two things are a verdict: what the container of the runtime has written as its last message, and the exit code of
a container of the user's that ended by itself. All else (no pod, no image, evicted, out of memory, too late) is a fault
of something that is not judged, and Inconclusive.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

import msgspec

from tandem.api.analysis import Metric, MetricResult
from tandem.api.children import ContainerStatus, Job, Pod, Terminated
from tandem.api.conditions import shortened
from tandem.api.meta import Wire
from tandem.apps.analysis_job import JOB_PREFIX, MEASURE, START_SECONDS
from tandem.apps.analysis_time import expected_seconds

MESSAGE_LIMIT: Final = 700
_METRIC_LIMIT: Final = 300
_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_CONFIGURATION: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

# How long a pod may be kept from starting by what may pass; and one without a node, by who brings nodes.
PATIENCE: Final = timedelta(minutes=3)
_NODE_PATIENCE: Final = timedelta(seconds=START_SECONDS - 60)
# Job and pod come by two watches: the one may be ahead of the other for a moment.
LAG: Final = timedelta(seconds=15)

Phase = Literal["Running", "Successful", "Failed", "Inconclusive"]
Verdict = Literal["Successful", "Failed", "Inconclusive"]
_EXIT: Final[Mapping[int, Verdict]] = {0: "Successful", 1: "Failed"}


class Report(Wire, frozen=True):
    """The last message of the container that measures; :mod:`tandem.runtime.analysis.report` writes it."""

    metrics: tuple[MetricResult, ...]


@dataclass(frozen=True)
class Result:
    """``again``: when it may be another one without anything being observed."""

    phase: Phase
    message: str
    metrics: tuple[MetricResult, ...] = ()
    again: timedelta | None = None


@dataclass
class _Found:
    """What the pod's containers say of each metric; ``broken``: why one says nothing, and never will."""

    results: dict[str, MetricResult] = field(default_factory=dict)
    broken: str = ""
    again: list[timedelta] = field(default_factory=list)


def result_of(job: Job, pods: Sequence[Pod], metrics: Sequence[Metric], now: datetime) -> Result:
    """``pods``: of this Job, in any order."""
    pod = _last(pods)
    found = _told(pod, metrics, now) if pod is not None else _Found()
    decisive = [one for one in found.results.values() if not one.dry_run]
    known = tuple(found.results[metric.name] for metric in metrics if metric.name in found.results)
    if any(one.phase == "Failed" for one in decisive):
        return Result("Failed", _explained(known, "Failed"), known)
    if len(known) == len(metrics):
        phase: Phase = "Inconclusive" if any(one.phase == "Inconclusive" for one in decisive) else "Successful"
        return Result(phase, _explained(known, phase), known)
    if found.broken:
        return Result("Inconclusive", found.broken, known)
    return _without_verdict(job, pod, metrics, known, now, found)


def _without_verdict(
    job: Job,
    pod: Pod | None,
    metrics: Sequence[Metric],
    known: tuple[MetricResult, ...],
    now: datetime,
    found: _Found,
) -> Result:
    ended = job.condition("Complete") or job.condition("Failed")
    if ended is not None:
        late = now - (ended.last_transition_time or now)
        if ended.reason != "DeadlineExceeded" and late < LAG and (pod is None or not _over(pod)):
            return Result("Running", "its end is being read", known, LAG - late)
        return Result("Inconclusive", _why_none(job, pod), known)
    obstacle, since, patience = _obstacle(job, pod)
    if not obstacle or since is None:
        return Result("Running", _going_on(pod, metrics, known), known, min(found.again, default=None))
    left = since + patience - now
    if left <= timedelta():
        return Result("Inconclusive", obstacle, known)
    return Result("Running", obstacle, known, left)


def _last(pods: Sequence[Pod]) -> Pod | None:
    """The one that counts: what the cluster has taken away is measured again by another."""
    alive = [pod for pod in pods if pod.disruption is None] or list(pods)
    return max(alive, key=lambda pod: (str(pod.metadata.creation_timestamp or ""), pod.metadata.name), default=None)


def _told(pod: Pod, metrics: Sequence[Metric], now: datetime) -> _Found:
    found = _Found()
    containers = {container.name: container for container in pod.status.container_statuses}
    measured = [metric for metric in metrics if metric.job is None]
    if measured and (ended := _terminated(containers.get(MEASURE))) is not None:
        _read(ended, measured, found)
    for metric in metrics:
        container = containers.get(f"{JOB_PREFIX}{metric.name}")
        if metric.job is not None and container is not None and not _was_stopped(pod, container):
            _of_container(metric, metric.job.active_deadline_seconds, container, now, found)
    return found


def _was_stopped(pod: Pod, container: ContainerStatus) -> bool:
    """What it exits with while its pod is drained or deleted is the answer to that, and to nothing else."""
    ended = container.state.terminated
    if ended is None or not _is_taken(pod):
        return False
    return pod.taken_at is None or ended.finished_at is None or ended.finished_at >= pod.taken_at


def _is_taken(pod: Pod) -> bool:
    return bool(pod.disruption or pod.metadata.deletion_timestamp or pod.status.reason)


def _read(ended: Terminated, metrics: Sequence[Metric], found: _Found) -> None:
    try:
        report = msgspec.json.decode(ended.message, type=Report) if ended.exit_code == 0 else None
    except msgspec.MsgspecError:
        report = None
    told = {one.name: one for one in report.metrics} if report is not None else {}
    for metric in metrics:
        one = told.get(metric.name)
        if one is None:
            found.broken = _broken(ended)
        else:  # whether it counts is what the spec says
            message = shortened(one.message, _METRIC_LIMIT)
            found.results[metric.name] = msgspec.structs.replace(one, message=message, dry_run=metric.dry_run)


def _of_container(metric: Metric, deadline: int, container: ContainerStatus, now: datetime, found: _Found) -> None:
    ended, running = container.state.terminated, container.state.running
    if ended is not None:
        phase: Verdict = "Inconclusive" if ended.reason == "OOMKilled" else _EXIT.get(ended.exit_code, "Inconclusive")
        said = "ran out of memory" if ended.reason == "OOMKilled" else f"exited with code {ended.exit_code}"
        last = next(reversed(ended.message.strip().splitlines()), "")
        message = shortened(f"{said}; its last line: {last}" if last else said, _METRIC_LIMIT)
        found.results[metric.name] = MetricResult(
            name=metric.name, phase=phase, message=message, dry_run=metric.dry_run
        )
    elif running is not None and running.started_at is not None:
        left = running.started_at + timedelta(seconds=deadline) - now
        if left > timedelta():
            found.again.append(left)
            return
        message = f"did not end within {deadline} seconds (activeDeadlineSeconds)"
        found.results[metric.name] = MetricResult(
            name=metric.name, phase="Inconclusive", message=message, dry_run=metric.dry_run
        )


def _broken(ended: Terminated) -> str:
    if ended.reason == "OOMKilled":
        return "the container that measures ran out of memory"
    last = next(reversed(ended.message.strip().splitlines()), "")
    said = f"the container that measures exited with code {ended.exit_code} and without a verdict"
    return shortened(f"{said}: {last}" if last else said, MESSAGE_LIMIT)


def _explained(known: tuple[MetricResult, ...], phase: Phase) -> str:
    """What decided, first of all; what is a dry run says so."""
    first = [one for one in known if one.phase == phase and not one.dry_run]
    rest = [one for one in known if one not in first]
    told = "; ".join(_line(one, phase) for one in (*first, *rest))
    return shortened(told, MESSAGE_LIMIT)


def _line(one: MetricResult, phase: Phase) -> str:
    verdict = "" if one.phase == phase else f"{one.phase}: "
    return f"{one.name}{' (dry run)' if one.dry_run else ''}: {verdict}{one.message}"


def _why_none(job: Job, pod: Pod | None) -> str:
    failed = job.condition("Failed")
    if failed is not None and failed.reason == "DeadlineExceeded":
        return "it did not end in time (the Job's activeDeadlineSeconds)"
    if pod is None:
        return "the pod that measured is gone, and its verdict with it"
    if _is_taken(pod):
        return shortened(_taken_away(pod), MESSAGE_LIMIT)
    return f"Job {job.metadata.name} ended without a verdict" + (f": {failed.message}" if failed else "")


def _taken_away(pod: Pod) -> str:
    why = pod.disruption.message if pod.disruption is not None else pod.status.message
    return f"the pod that measured was taken away: {why or pod.status.reason or 'somebody deleted it'}"


def _going_on(pod: Pod | None, metrics: Sequence[Metric], known: tuple[MetricResult, ...]) -> str:
    """What is measured, since when and until when; it changes when the pod does, and not by the clock."""
    if pod is None:
        return "it waits for its pod"
    if _is_taken(pod):
        after = "another one measures anew" if pod.disruption is not None else "its Job ends"
        return shortened(f"{_taken_away(pod)}; {after}", MESSAGE_LIMIT)
    running = {c.name: c.state.running.started_at for c in pod.status.container_statuses if c.state.running}
    told = {one.name for one in known}
    waits = [
        _progress(metric, since)
        for metric in metrics
        if metric.name not in told
        and (since := running.get(MEASURE if metric.job is None else f"{JOB_PREFIX}{metric.name}")) is not None
    ]
    return shortened("; ".join(waits), MESSAGE_LIMIT) or f"pod {pod.metadata.name} starts"


def _progress(metric: Metric, since: datetime) -> str:
    if metric.job is not None:
        latest = since + timedelta(seconds=metric.job.active_deadline_seconds)
        return f"{metric.name} runs since {_clock(since)}, until {_clock(latest)} at the latest"
    until = since + timedelta(seconds=expected_seconds(metric))
    return f"{metric.name} is measured since {_clock(since)}, until {_clock(until)} if its source answers"


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%SZ")


def _obstacle(job: Job, pod: Pod | None) -> tuple[str, datetime | None, timedelta]:
    """What keeps it from starting, since when, and how long that is waited for; '' where nothing does."""
    meta = job.metadata
    if pod is None:
        why = f"Job {meta.name} has got no pod: most often a quota or a policy of the namespace refuses it"
        return (
            f"{why}; what refuses it, tells: kubectl -n {meta.namespace} describe job {meta.name}",
            job.released,
            PATIENCE,
        )
    since = pod.metadata.creation_timestamp
    waiting = next(_waiting(pod), "")
    if waiting:
        return waiting, since, PATIENCE
    for condition in pod.status.conditions:
        if (condition.type, condition.reason) == ("PodScheduled", "Unschedulable"):
            return f"no node takes the pod that measures: {condition.message}", since, _NODE_PATIENCE
        if (condition.type, condition.status) == ("PodReadyToStartContainers", "False") and _pending(pod):
            why = "the pod that measures is on its node and cannot be started there, most often because a Secret of "
            told = f"{why}secretRef is missing; kubectl -n {meta.namespace} describe pod {pod.metadata.name} tells"
            return told, since, PATIENCE
    return "", None, PATIENCE


def _waiting(pod: Pod) -> Iterator[str]:
    for container in pod.containers:
        waiting = container.state.waiting
        if waiting is None:
            continue
        if waiting.reason in _PULL:
            cause = f": {waiting.pull_error}" if waiting.pull_error else ""
            yield shortened(f"image {container.image!r} cannot be pulled{cause}", MESSAGE_LIMIT)
        elif waiting.reason in _CONFIGURATION:
            why = waiting.message or waiting.reason
            yield shortened(f"container {container.name} cannot be started: {why}", MESSAGE_LIMIT)


def _terminated(container: ContainerStatus | None) -> Terminated | None:
    return container.state.terminated if container is not None else None


def _over(pod: Pod) -> bool:
    return pod.status.phase in {"Succeeded", "Failed"}


def _pending(pod: Pod) -> bool:
    return pod.status.phase == "Pending"
