"""Why a run failed, or what stops it from going on: class, step, exit code and last lines, as far as pods tell.

The classes are those that a person acts on differently: the code (ExitCode), its memory (OOMKilled), the image
(ImagePull), the cluster (Evicted, Preempted), the clock (DeadlineExceeded), the configuration (Configuration).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tandem.api.children import ContainerStatus, Job, Pod
from tandem.api.conditions import shortened
from tandem.api.trainingjob import Failure, RunStatus

LOG_LIMIT: Final = 2048

_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})
_CONFIGURATION: Final = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})

# An answer to a message that MLflow gives and its users do not understand (tried on a real server, design.md §4).
_HINTS: Final = {
    "does not match environment run ID": (
        "the script calls mlflow.set_experiment(); name that experiment in spec.tracking.experiment, or drop the call"
    ),
    "Invalid Host header": "start the MLflow server with --allowed-hosts for the name that pods use",
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """Something that keeps a pod from going on and will not go away by waiting."""

    reason: str
    message: str
    since: datetime | None  # the last time that this pod got any further


def blocked(pods: tuple[Pod, ...]) -> Obstacle | None:
    """What the youngest pod cannot get past: an image, its configuration, a node that has room."""
    if not pods:
        return None
    pod = pods[-1]
    for container in pod.containers:
        waiting = container.state.waiting
        if waiting and waiting.reason in _PULL:
            return Obstacle(
                "ImagePullBackOff",
                f"container {container.name} cannot get image {container.image}: "
                f"{waiting.message or waiting.reason}; correct the image's name, or push it",
                _got_further(pod),
            )
        if waiting and waiting.reason in _CONFIGURATION:
            return Obstacle(
                "ContainerConfigError",
                f"container {container.name} cannot start: {waiting.message or waiting.reason}",
                _got_further(pod),
            )
    unscheduled = next(
        (c for c in pod.status.conditions if c.type == "PodScheduled" and c.reason == "Unschedulable"), None
    )
    if unscheduled is None:
        return None
    return Obstacle("Unschedulable", f"no node takes the pod: {unscheduled.message}", _got_further(pod))


def _got_further(pod: Pod) -> datetime | None:
    """A waiting container carries no time, and a pod without a node has no startTime."""
    moments = [pod.metadata.creation_timestamp, pod.status.start_time]
    moments += [c.state.terminated.finished_at for c in pod.containers if c.state.terminated]
    return max((moment for moment in moments if moment), default=None)


def failure_of(job: Job, pods: tuple[Pod, ...]) -> Failure:
    """The cause that the Job's own condition names, made concrete by the last pod that failed."""
    condition = job.condition("Failed")
    reason = (condition.reason if condition else "") or "JobFailed"
    message = condition.message if condition else ""
    if reason == "DeadlineExceeded":
        return Failure(
            class_="DeadlineExceeded", reason=reason, message="the Job ran longer than spec.activeDeadlineSeconds"
        )
    failed = [pod for pod in pods if pod.status.phase == "Failed"]
    if not failed:
        return Failure(class_="Job", reason=reason, message=message)
    pod = failed[-1]
    if pod.status.reason in {"Evicted", "Preempting", "NodeLost", "Shutdown"}:
        return Failure(class_="Evicted", reason=pod.status.reason, message=pod.status.message)
    container = next((c for c in pod.containers if _failed(c)), None)
    return _of_container(container, reason) if container else Failure(class_="Job", reason=reason, message=message)


def explain(failure: Failure, run: RunStatus) -> str:
    """One message for a condition: what failed, where, after how many attempts, and the last line of its log."""
    where = f"step {failure.step}" if failure.step else f"Job {run.job_name}"
    tail = failure.log.strip().splitlines()
    parts = [f"{where}: {failure.message}" if failure.message else where]
    if run.attempts > 1:
        parts.append(f"after {run.attempts} attempts")
    if tail:
        parts.append(f"last line: {tail[-1]}")
    return "; ".join(parts)


def _failed(container: ContainerStatus) -> bool:
    terminated = container.state.terminated
    return terminated is not None and terminated.exit_code != 0


def _of_container(container: ContainerStatus, job_reason: str) -> Failure:
    terminated = container.state.terminated
    assert terminated is not None
    oom = terminated.reason == "OOMKilled"
    hint = next((answer for sign, answer in _HINTS.items() if sign in terminated.message), "")
    said = "ran out of memory; raise its resources.limits.memory" if oom else f"exited {terminated.exit_code}"
    return Failure(
        class_="OOMKilled" if oom else "ExitCode",
        reason="OOMKilled" if oom else job_reason,
        message=f"{said}; {hint}" if hint else said,
        step=container.name,
        exit_code=terminated.exit_code,
        log=shortened(terminated.message[-LOG_LIMIT:], LOG_LIMIT),
    )
