"""What the pods of a revision that was ready tell of it: no extra install, and no address that a tenant wrote.

Only what the app did counts: a pod that the cluster takes away (drained, evicted, preempted, its node gone) is no
failure of the revision.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from tandem.api.children import ContainerStatus, Pod
from tandem.apps.case import Case
from tandem.apps.failure import Cause, cause_of, crash_of, pods_of
from tandem.apps.revision import Owned

# What the kubelet says of containers that ended while it was away: its node was, not they.
_NOT_ITS_FAULT: Final = frozenset({"ContainerStatusUnknown", "Unknown"})


def pods(case: Case, owned: Owned) -> tuple[Pod, ...]:
    children = case.observed.children
    return pods_of(owned.deployment, children.replica_sets, children.pods)


def crash(case: Case, owned: Owned, since: datetime) -> Cause | None:
    """A container that ended since then, by itself or by a probe; the first one, in order of the pods' age."""
    there = (pod for pod in pods(case, owned) if pod.disruption is None)
    return next((found for pod in there for one in pod.containers if (found := _crashed(one, since))), None)


def outage(case: Case, owned: Owned) -> Cause | None:
    """None of its pods is available, and it is not the cluster that has taken them."""
    if not owned.current or owned.replicas == 0 or owned.available > 0:
        return None
    mine = tuple(pod for pod in pods(case, owned) if pod.disruption is None)
    cause = cause_of(owned.deployment, mine)
    return cause if cause is not None and cause.reason in {"NotReady", "CrashLoopBackOff", "OOMKilled"} else None


def unready(case: Case, owned: Owned) -> Cause | None:
    """A pod that was not ready for longer than a rollout may take."""
    patience = timedelta(seconds=case.spec.progress_deadline_seconds)
    for pod in pods(case, owned):
        told = next((c for c in pod.status.conditions if (c.type, c.status) == ("Ready", "False")), None)
        if pod.disruption is not None or told is None or told.last_transition_time is None:
            continue
        left = told.last_transition_time + patience - case.now
        if left <= timedelta():
            slow = Cause("NotReady", f"a pod is not ready since {told.last_transition_time:%H:%M:%SZ}")
            return cause_of(owned.deployment, (pod,)) or slow
        case.draft.requeue(left)
    return None


def _crashed(container: ContainerStatus, since: datetime) -> Cause | None:
    ended = container.state.terminated or container.last_state.terminated
    if ended is None or ended.reason in _NOT_ITS_FAULT:
        return None
    # One without a time counts for as long as the container is down.
    now = not container.ready if ended.finished_at is None else ended.finished_at > since
    return crash_of(ended) if now else None
