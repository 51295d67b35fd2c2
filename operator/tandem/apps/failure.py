"""Why a revision's pods are not ready, said so that it stays the same for as long as the cause does.

A pod that cannot start goes round in circles: ErrImagePull and ImagePullBackOff take turns, and so do running,
terminated and CrashLoopBackOff. Each circle gets one name here, or the status would be written at every turn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tandem.api.children import ContainerStatus, Deployment, Pod, ReplicaSet, Terminated, Waiting
from tandem.api.conditions import shortened
from tandem.api.meta import ObjectMeta

LOG_LIMIT: Final = 600
LOG_LINES: Final = 10

_PULL: Final = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "RegistryUnavailable"})
_CONFIGURATION: Final = frozenset(
    {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError"}
)
_KILLED: Final = 137


@dataclass(frozen=True, slots=True)
class Cause:
    reason: str  # CamelCase, in the cluster's own words where it has one
    message: str
    telling: int = 0  # of the causes that several pods have, the most telling is told


def pods_of(deployment: Deployment, replica_sets: tuple[ReplicaSet, ...], pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """The pods of one Deployment that are not on their way out, oldest first; by controller uid, never by name."""
    sets = {rs.metadata.uid for rs in replica_sets if _controller(rs.metadata) == deployment.metadata.uid}
    mine = [pod for pod in pods if pod.metadata.deletion_timestamp is None and _controller(pod.metadata) in sets]
    return tuple(sorted(mine, key=lambda pod: (str(pod.metadata.creation_timestamp or ""), pod.metadata.name)))


def cause_of(deployment: Deployment, pods: tuple[Pod, ...]) -> Cause | None:
    """What keeps the revision from being ready, as far as it can be seen now; None: nothing is wrong so far."""
    refused = next((c for c in deployment.status.conditions if c.type == "ReplicaFailure" and c.status == "True"), None)
    causes = [cause for pod in pods for cause in _causes(pod)]
    if refused is not None:
        causes.append(Cause(refused.reason or "FailedCreate", f"pods are refused: {refused.message}", 5))
    # The first of the most telling: pods are in order of age, so a second pod with the same trouble changes nothing.
    return max(causes, key=lambda cause: cause.telling, default=None)


def _causes(pod: Pod) -> list[Cause]:
    if pod.status.phase == "Failed" and pod.status.reason:
        return [Cause(pod.status.reason, f"a pod was taken away: {pod.status.message or pod.status.reason}", 1)]
    unscheduled = [
        Cause("Unschedulable", f"no node takes the pod: {condition.message}", 3)
        for condition in pod.status.conditions
        if condition.type == "PodScheduled" and condition.reason == "Unschedulable"
    ]
    return unscheduled + [cause for container in pod.containers if (cause := _cause(container)) is not None]


def _cause(container: ContainerStatus) -> Cause | None:
    if container.ready:
        return None
    waiting = container.state.waiting
    if waiting is not None and (blocked := _blocked(container.image, waiting)) is not None:
        return blocked
    ended = container.state.terminated or container.last_state.terminated
    if ended is not None:
        return crash_of(ended)
    if container.state.running is not None:
        return Cause("NotReady", "the container runs, and its readiness probe has not passed yet", 2)
    return None


def _blocked(image: str, waiting: Waiting) -> Cause | None:
    if waiting.reason == "InvalidImageName":
        return Cause(waiting.reason, f"{image!r} is not the name of an image; correct spec.image", 5)
    if waiting.reason in _PULL:
        return Cause("ImagePullBackOff", _pull(image, waiting.pull_error), 5)
    if waiting.reason in _CONFIGURATION:
        return Cause(waiting.reason, f"the container cannot be started: {waiting.message or waiting.reason}", 5)
    return None


def _pull(image: str, cause: str) -> str:
    return f"image {image!r} cannot be pulled" + (f": {shortened(cause, LOG_LIMIT)}" if cause else "")


def crash_of(ended: Terminated) -> Cause:
    if ended.reason == "OOMKilled":
        return Cause("OOMKilled", "the container ran out of memory; raise spec.resources.limits.memory", 5)
    said = f"the container exited with code {ended.exit_code}"
    if ended.exit_code == 0:
        said += "; a server has to keep running"
    if ended.exit_code == _KILLED:
        said += " (killed: it did not stop when asked, most often after its startup or liveness probe failed)"
    lines = ended.message.strip().splitlines()[-LOG_LINES:]
    log = " | ".join(lines)[-LOG_LIMIT:]
    return Cause("CrashLoopBackOff", f"{said}; its last lines: {log}" if log else said, 4)


def _controller(meta: ObjectMeta) -> str | None:
    return meta.controller.uid if meta.controller else None
