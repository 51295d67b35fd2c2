"""The pods of a run on several nodes, by rank: which of them are of the attempt that goes on, and what they differ in.

A pod that was drained while nobody looked is gone, and the Job controller has made another one: so the status has a
short digest of the uid of each (``nodePods``), and one that is another than before is seen as such by whoever looks.
"""

from __future__ import annotations

import hashlib
import math
from typing import Final

from tandem.api.children import Job, Pod
from tandem.api.trainingjob import TrainingJobSpec
from tandem.api.trainingjob_status import NodePods, RunStatus
from tandem.training.provenance import fetched_by

INDEX_LABEL: Final = "batch.kubernetes.io/job-completion-index"
ENDED: Final = frozenset({"Failed", "Succeeded"})


def in_order(run: RunStatus, job: Job, pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """Those of earlier attempts, those of this one, and its first node last: it speaks for the run."""
    mine = present(run, job, pods)
    return tuple(sorted(pods, key=lambda pod: (pod in mine, -rank_of(pod))))


def causes_last(run: RunStatus, job: Job, pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """The pod that failed first of the last attempt is the last one: it is the cause."""
    last = [pod for pod in present(run, job, pods) if pod.status.phase == "Failed"]
    others = tuple(pod for pod in pods if pod not in last)
    return (*others, *sorted(last, key=failed_at, reverse=True))


def present(run: RunStatus, job: Job, pods: tuple[Pod, ...]) -> tuple[Pod, ...]:
    """The pods of the attempt that goes on: made since the Job was let go, or known to be of it.

    The Job controller writes down that it lets a Job go after it has made the pods, which may be the next second. No
    pod of an earlier attempt is alive then.
    """
    released, known = job.released, set(_known(run, job))

    def of_it(pod: Pod) -> bool:
        meta = pod.metadata
        lives = pod.status.phase not in ENDED and meta.deletion_timestamp is None and not pod.departed
        made = meta.creation_timestamp
        return released is None or made is None or made >= released or lives or _mark(pod) in known

    return tuple(pod for pod in pods if of_it(pod))


def rank_of(pod: Pod) -> int:
    told = pod.metadata.labels.get(INDEX_LABEL, "")
    return int(told) if told.isascii() and told.isdigit() and len(told) < 6 else 0


def difference(pods: tuple[Pod, ...]) -> str:
    """Where two nodes have fetched other code or data: '' where they have not, or have not told yet."""
    told = [(rank_of(pod), fetched_by(pod)) for pod in sorted(pods, key=rank_of)]
    known = [(rank, report) for rank, report in told if report is not None]
    for rank, report in known[1:]:
        first, one = known[0]
        if (report.commit, report.files) != (one.commit, one.files):
            return (
                f"nodes {first} and {rank} have other code: {one.commit or one.files}, {report.commit or report.files}"
            )
        digests = {data.name: data.digest for data in report.data}
        for data in one.data:
            if digests.get(data.name, data.digest) != data.digest:
                return f"nodes {first} and {rank} have other data: {data.name} is {data.digest}, {digests[data.name]}"
    return ""


def seen(spec: TrainingJobSpec, run: RunStatus, job: Job, mine: tuple[Pod, ...]) -> NodePods:
    """What is known of them now: whoever comes later, or comes back, sees by it that one was replaced."""
    now = {rank_of(pod): _mark(pod) for pod in mine}
    known = dict(enumerate(_known(run, job)))
    return NodePods(job.released, tuple(known.get(rank) or now.get(rank, "") for rank in range(spec.num_nodes)))


def replaced(run: RunStatus, job: Job, mine: tuple[Pod, ...]) -> Pod | None:
    """A pod in the place of one that this attempt was seen with; ``mine``: those of the attempt."""
    known, there = _known(run, job), {_mark(pod) for pod in mine}
    for pod in mine:
        rank = rank_of(pod)
        if rank < len(known) and known[rank] and known[rank] not in there:
            return pod
    return None


def _known(run: RunStatus, job: Job) -> tuple[str, ...]:
    """The pods, by rank, that the attempt that goes on was seen with."""
    return run.node_pods.pods if run.node_pods and run.node_pods.released == job.released else ()


def _mark(pod: Pod) -> str:
    return hashlib.sha256(pod.metadata.uid.encode()).hexdigest()[:8]


def failed_at(pod: Pod) -> tuple[float, int]:
    ended = [c.state.terminated for c in pod.containers if c.state.terminated and c.state.terminated.exit_code]
    moments = [one.finished_at.timestamp() for one in ended if one.finished_at]
    return min(moments, default=math.inf), rank_of(pod)
