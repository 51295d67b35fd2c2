"""Why a run failed, or what stops it from going on: class, step, exit code and last lines, as far as pods tell.

The classes are those that a person acts on differently: the code (ExitCode), its memory (OOMKilled), the image
(ImagePull), the cluster (Evicted, Preempted), the clock (DeadlineExceeded, Hung), the configuration (Configuration).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tandem.api import names
from tandem.api.children import ContainerStatus, Job, Pod
from tandem.api.conditions import shortened
from tandem.api.trainingjob_status import Failure, RunStatus
from tandem.training.inputs import CONTAINERS, FETCH, REPRODUCTION, VALIDATE
from tandem.training.quality import CHECKS_FAILED, report_of
from tandem.training.ranks import ENDED

LOG_LIMIT: Final = 2048

# How `tandem.runtime.fetch` ends when code or data are not to be had: its exit code is the reason.
_FETCH: Final = {
    2: "InvalidSource",
    3: "DigestMismatch",
    4: "FetchFailed",
    5: "DataNotFound",
    6: "AccessDenied",
    7: "StoreUnreachable",
    8: "NoSpace",
    9: "NotRecorded",
}

# … and `tandem.runtime.validate`; that the checks failed it tells in a report.
_VALIDATE: Final = {2: "InvalidChecks", 9: "NotRecorded"}
# … and `tandem.runtime.compare`, which could not compare; what it found it tells in a tag of the run.
_COMPARE: Final = {2: "InvalidReproduction", 9: "NotCompared"}
_OURS: Final[Mapping[str, Mapping[int, str]]] = {FETCH: _FETCH, VALIDATE: _VALIDATE, REPRODUCTION: _COMPARE}

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
    """Something that keeps a pod from going on and will not go away by waiting.

    ``usual``: every pod passes through it, for a moment; only one that stays is worth telling.
    """

    reason: str
    message: str
    since: datetime | None  # the last time that this pod got any further
    usual: bool = False


def blocked(job: Job, pods: tuple[Pod, ...], mounted: tuple[str, ...]) -> Obstacle | None:
    """What the youngest pod cannot get past: an image, its configuration, its node, a node that has room, a quota.

    ``mounted``: what the pod mounts of its namespace, each with its kind.
    """
    return _blocked(pods[-1], mounted) if pods else _refused(job)


def _refused(job: Job) -> Obstacle | None:
    """The Job controller tells in Events only that its pods are refused, and it may try in vain for ever."""
    if job.status.active or job.status.failed or job.status.succeeded:
        return None
    meta = job.metadata
    return Obstacle(
        "FailedCreate",
        f"Job {meta.name} has got no pod yet: most often a quota or a policy of the namespace refuses it; "
        f"what refuses it, tells: kubectl -n {meta.namespace} describe job {meta.name}",
        job.released,
        usual=True,
    )


def _blocked(pod: Pod, mounted: tuple[str, ...]) -> Obstacle | None:
    if pod.metadata.deletion_timestamp is not None and pod.status.phase not in ENDED:
        return _terminating(pod, pod.metadata.deletion_timestamp)
    for container in pod.containers:
        waiting = container.state.waiting
        if waiting and waiting.reason in _PULL:
            return Obstacle(
                "ImagePullBackOff",
                f"container {container.name} cannot get image {container.image}: "
                f"{waiting.pull_error or waiting.reason}; correct the image's name, or push it",
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
    if unscheduled is not None:
        return Obstacle("Unschedulable", f"no node takes the pod: {unscheduled.message}", _got_further(pod))
    return _not_started(pod, mounted)


def _terminating(pod: Pod, since: datetime) -> Obstacle:
    """The kubelet takes the pod away when its grace is over; one that cannot be asked any more never says so.

    The Job controller makes no other pod before this one has ended: two could write the same checkpoint.
    """
    disruption = pod.disruption
    why = f" ({disruption.reason}: {disruption.message})" if disruption is not None else ""
    return Obstacle(
        "PodTerminating",
        f"pod {pod.metadata.name} was told to end{why}, and its node does not say that it has: most often the node is "
        "lost; the next attempt begins when the pod is gone. See kubectl get nodes; with a node that is off for good "
        "and is deleted, its pods go",
        since,
        usual=True,
    )


def _not_started(pod: Pod, mounted: tuple[str, ...]) -> Obstacle | None:
    """The node has the pod, and cannot prepare it: the kubelet says why in Events only (FailedMount)."""
    sandbox = next((c for c in pod.status.conditions if c.type == "PodReadyToStartContainers"), None)
    if sandbox is None or sandbox.status != "False" or pod.status.phase != "Pending":
        return None
    meta = pod.metadata
    what = " or ".join(dict.fromkeys(mounted))
    missing = f"most often its {what} is missing (then create it)" if what else "volumes, network"
    return Obstacle(
        "PodNotStarted",
        f"pod {meta.name} is on its node and cannot be started there: {missing}; the cause is in: "
        f"kubectl -n {meta.namespace} describe pod {meta.name}",
        _got_further(pod),
        usual=True,
    )


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
    disrupted = job.metadata.annotations.get(names.DISRUPTED_ANNOTATION)
    if disrupted is not None:
        return Failure(class_="Evicted", reason="TooManyDisruptions", message=disrupted)
    hung = job.metadata.annotations.get(names.HUNG_ANNOTATION)
    if hung is not None:
        step, _, message = hung.partition(": ")
        return Failure(class_="Hung", reason="ProgressDeadlineExceeded", message=message, step=step)
    ended = job.metadata.annotations.get(names.ENDED_ANNOTATION)
    if ended is not None:
        reason, _, message = ended.partition(": ")
        if reason == "NodesDiffer":
            return Failure(class_="Data", reason=reason, message=message)
    elif reason == "DeadlineExceeded":
        return Failure(
            class_="DeadlineExceeded",
            reason=reason,
            message="ran longer than spec.activeDeadlineSeconds; raise it, or make the steps faster",
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


def fetch_reason(code: int) -> str:
    """What an exit code of the container that fetches means; '' where nobody knows."""
    return _FETCH.get(code, "")


def _failed(container: ContainerStatus) -> bool:
    terminated = container.state.terminated
    return terminated is not None and terminated.exit_code != 0


def _of_container(container: ContainerStatus, job_reason: str) -> Failure:
    terminated = container.state.terminated
    assert terminated is not None
    oom = terminated.reason == "OOMKilled"
    report = report_of(container) if container.name == VALIDATE and not oom else None
    if report is not None:
        failed = "; ".join(str(judged) for judged in report.data if judged.verdict == "Failed")
        return Failure(
            class_="Data",
            reason=CHECKS_FAILED,
            message=failed,
            step=container.name,
            exit_code=terminated.exit_code,
        )
    fetch = _OURS.get(container.name, {}).get(terminated.exit_code)
    hint = next((answer for sign, answer in _HINTS.items() if sign in terminated.message), "")
    raised = "its resources.limits.memory"
    if container.name in CONTAINERS:
        raised = "resources.limits.memory of the steps, for it may use as much as the largest of them"
    said = f"ran out of memory; raise {raised}" if oom else f"exited {terminated.exit_code}"
    return Failure(
        class_="OOMKilled" if oom else "ExitCode",
        reason="OOMKilled" if oom else fetch or job_reason,
        message=f"{said}; {hint}" if hint else said,
        step=container.name,
        exit_code=terminated.exit_code,
        log=shortened(terminated.message[-LOG_LIMIT:], LOG_LIMIT),
    )
