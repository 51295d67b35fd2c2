"""A run on several nodes: the pods of one Indexed Job, one for each rank, that begin together and begin again together.

What one rank has computed is worth nothing without the others (torchrun's rendezvous waits for all), and the Job
controller replaces only the pod that was lost. So when one is lost, the Job is suspended, which takes all pods away and
counts none of them, and is let go again. Which of several pods failed first decides what it was: the others fail after
it because nobody answers them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from tandem.api import names
from tandem.api.children import Job, Pod
from tandem.api.conditions import Outcome, Working
from tandem.api.meta import Json, controller_reference
from tandem.api.plan import Create
from tandem.api.trainingjob import TrainingJobSpec
from tandem.api.trainingjob_status import Disruption, RunStatus
from tandem.training.attempts import has_trained
from tandem.training.case import Case, refused
from tandem.training.failure import Obstacle
from tandem.training.ranks import ENDED, INDEX_LABEL, difference, failed_at, present, rank_of, replaced, seen
from tandem.training.suspension import change

RESTARTED: Final = "NodesRestarted"
DIFFER: Final = "NodesDiffer"
COMPLETE: Final = "StepsComplete"
_PORT: Final = "29400"  # that Kubeflow Trainer takes


@dataclass(frozen=True, slots=True)
class Loss:
    """A pod without which the others cannot go on. ``counts``: against spec.backoffLimit.

    ``untold``: the pod that has taken its place, where nobody has seen it go.
    """

    message: str
    counts: bool
    untold: str = ""


def several(spec: TrainingJobSpec) -> bool:
    return spec.num_nodes > 1


def service(case: Case) -> Create:
    """A headless Service: it gives each pod a name. One for all runs; there already is as good."""
    meta = case.resource.metadata
    labels = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.TRAINING_JOB_LABEL: meta.name}
    return Create(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {
                "name": _service_name(case),
                "namespace": meta.namespace,
                "labels": labels,
                "ownerReferences": [controller_reference(names.API_VERSION, names.TRAINING_JOB, meta)],
            },
            "spec": {
                "clusterIP": "None",
                "selector": labels,
                # Ranks look for each other before any of them is ready.
                "publishNotReadyAddresses": True,
            },
        }
    )


def job_spec(spec: TrainingJobSpec) -> Json:
    """What makes a Job one of several nodes; it never gives up by itself: a fault may cost every pod of an attempt."""
    if not several(spec):
        return {"backoffLimit": spec.backoff_limit}
    attempts = spec.backoff_limit + spec.disruption_limit + 2
    return {
        "backoffLimit": spec.num_nodes * attempts,
        "completionMode": "Indexed",
        "completions": spec.num_nodes,
        "parallelism": spec.num_nodes,
    }


def pod_spec(case: Case) -> Json:
    return {"subdomain": _service_name(case)} if several(case.spec) else {}


def variables(case: Case, job: str) -> list[Json]:
    """What torchrun reads of its environment, beside its arguments; none for one process on one node."""
    spec = case.spec
    if not several(spec) and spec.num_proc_per_node == 1:
        return []
    leader = f"{job}-0.{_service_name(case)}" if several(spec) else "127.0.0.1"
    known = {
        "PET_NNODES": str(spec.num_nodes),
        "PET_NPROC_PER_NODE": str(spec.num_proc_per_node),
        "PET_MASTER_ADDR": leader,
        "PET_MASTER_PORT": _PORT,
    }
    rank: Json = {"name": "PET_NODE_RANK", "value": "0"}
    if several(spec):
        rank = {"name": "PET_NODE_RANK", "valueFrom": {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX_LABEL}']"}}}
    return [*({"name": name, "value": value} for name, value in known.items()), rank]


def attempts_of(job: Job, run: RunStatus) -> int:
    """How many attempts were made, this one included; the Job knows it where a status was lost."""
    told = job.metadata.annotations.get(names.RESTART_ANNOTATION, "").partition(" ")[0]
    return max(run.attempts, int(told) if told.isascii() and told.isdigit() and len(told) < 6 else 1)


def hold_together(
    case: Case, run: RunStatus, job: Job, pods: tuple[Pod, ...], taken: tuple[Pod, ...]
) -> tuple[Outcome | None, RunStatus]:
    """Begin again with all nodes where one was lost, end the run where they cannot go on; None while all is well.

    ``taken``: the pods that the cluster takes or took away, also those that are gone.
    """
    told = job.metadata.annotations.get(names.ENDED_ANNOTATION)
    if told is not None:
        reason, _, message = told.partition(": ")
        return Working(reason, f"Job {job.metadata.name} is being stopped: {message}"), run
    mine = present(run, job, pods)
    other = difference(mine)
    if other:
        return _end(case, run, job, DIFFER, other), run
    if job.condition("Suspended") or job.condition("FailureTarget"):
        return None, run
    departed = tuple(pod for pod in present(run, job, taken) if pod.departed)
    loss = _loss((*departed, *mine)) or _untold(replaced(run, job, mine))
    if loss is None:
        return None, msgspec.structs.replace(run, node_pods=seen(case.spec, run, job, mine))
    attempts = run.attempts + loss.counts
    end = _end_by(case.spec, job, (*departed, *mine), loss, attempts)
    if end is not None:
        return _end(case, run, job, *end), run
    refusal = case.draft.act(change(job, {"suspend": True}, {names.RESTART_ANNOTATION: f"{attempts} {loss.message}"}))
    if refusal:
        return refused(refusal, f"Job {job.metadata.name} could not begin again"), run
    run = msgspec.structs.replace(run, attempts=attempts)
    return _restarting(job, loss.message), _with_untold(run, loss, taken) if loss.untold else run


def _end_by(
    spec: TrainingJobSpec, job: Job, pods: tuple[Pod, ...], loss: Loss, attempts: int
) -> tuple[str, str] | None:
    """Why the run ends with this loss, reason and message; None where all can begin again."""
    if len({rank_of(pod) for pod in pods if has_trained(spec, pod)}) >= spec.num_nodes:
        return COMPLETE, loss.message
    if attempts > spec.backoff_limit + 1:
        return "BackoffLimitExceeded", loss.message
    done = ", ".join(f"node {rank_of(pod)}" for pod in pods if pod.status.phase == "Succeeded")
    done = done or ("another one" if job.status.succeeded else "")
    if done:
        late = f"{loss.message}, after {done} had finished: that one cannot begin again with the others"
        return "BackoffLimitExceeded", late
    return None


def begin_again(case: Case, job: Job, pods: tuple[Pod, ...]) -> Outcome | None:
    """Let the Job go once all its pods have ended; None where it is suspended for another reason, or is Kueue's."""
    told = job.metadata.annotations.get(names.RESTART_ANNOTATION)
    if told is None or names.SUSPENDED_ANNOTATION in job.metadata.annotations:
        return None
    if names.QUEUE_LABEL in job.metadata.labels:
        return None
    gone = all(pod.status.phase in ENDED for pod in pods)
    if gone and job.condition("Suspended"):
        refusal = case.draft.act(change(job, {"suspend": False}, {names.RESTART_ANNOTATION: told}))
        if refusal:
            return refused(refusal, f"Job {job.metadata.name} could not begin again")
    return _restarting(job, told.partition(" ")[2])


def missing(spec: TrainingJobSpec, job: Job, pods: tuple[Pod, ...]) -> Obstacle | None:
    """Not every node has got its pod: the others wait for it."""
    if len({rank_of(pod) for pod in pods}) >= spec.num_nodes:
        return None
    meta = job.metadata
    return Obstacle(
        "FailedCreate",
        f"Job {meta.name} has got {len(pods)} of {spec.num_nodes} pods, and they wait for each other: most often a "
        f"quota or a policy of the namespace refuses the rest; what refuses it, tells: "
        f"kubectl -n {meta.namespace} describe job {meta.name}",
        job.released,
        usual=True,
    )


def steps_complete(job: Job) -> bool:
    """Whether Tandem has ended this Job because nothing was left to train."""
    ended = job.metadata.annotations.get(names.ENDED_ANNOTATION, "")
    return job.condition("Failed") is not None and ended.startswith(f"{COMPLETE}: ")


def _untold(pod: Pod | None) -> Loss | None:
    """A node has another pod than before. What failed is still there to be seen; what nobody sees was taken away."""
    if pod is None:
        return None
    return Loss(f"node {rank_of(pod)} has been given another pod, {pod.metadata.name}", False, pod.metadata.name)


def _with_untold(run: RunStatus, loss: Loss, taken: tuple[Pod, ...]) -> RunStatus:
    """The run with a pod that the cluster took away while nobody looked: else it could do so for ever."""
    last = Disruption(pod=loss.untold, reason="PodReplaced", message=loss.message)
    # The last one that is told of was counted, and would be counted again if it were forgotten.
    return msgspec.structs.replace(
        run, disruptions=run.disruptions + 1, last_disruption=run.last_disruption if taken else last
    )


def _loss(pods: tuple[Pod, ...]) -> Loss | None:
    taken = next((pod for pod in pods if pod.disruption and pod.status.phase != "Succeeded"), None)
    if taken is not None:
        cause = taken.disruption
        assert cause is not None
        return Loss(f"node {rank_of(taken)} was taken away ({cause.reason or 'DisruptionTarget'})", counts=False)
    failed = sorted((pod for pod in pods if pod.status.phase == "Failed"), key=failed_at)
    if failed:
        return Loss(f"node {rank_of(failed[0])} failed", counts=True)
    deleted = next((pod for pod in pods if pod.metadata.deletion_timestamp and pod.status.phase != "Succeeded"), None)
    return Loss(f"the pod of node {rank_of(deleted)} was deleted", counts=True) if deleted else None


def _end(case: Case, run: RunStatus, job: Job, reason: str, message: str) -> Outcome:
    """By the Job's own deadline; the cause is on the Job, in the same write, so that no crash comes between the two."""
    spec = {"activeDeadlineSeconds": 1, "suspend": False}
    annotations = {
        names.ENDED_ANNOTATION: f"{reason}: {message}",
        names.RESTART_ANNOTATION: f"{run.attempts} {message}",
    }
    refusal = case.draft.act(change(job, spec, annotations))
    if refusal:
        return refused(refusal, f"Job {job.metadata.name} cannot go on and could not be stopped")
    return Working(reason, f"Job {job.metadata.name} is being stopped: {message}")


def _restarting(job: Job, why: str) -> Outcome:
    return Working(RESTARTED, f"Job {job.metadata.name} begins again with all its nodes: {why}")


def _service_name(case: Case) -> str:
    return f"{case.resource.metadata.name}-nodes"
