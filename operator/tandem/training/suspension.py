"""Suspending the Job of a run, and letting it go on: the same run, the same Job, its pods taken away in between.

A pod that a suspension takes away does not count against ``backoffLimit``, and the Job's deadline begins anew when it
goes on (both are Kubernetes' rules; tests/contract/training).

Others suspend Jobs too, Kueue above all. Only what Tandem has suspended does Tandem let go.
"""

from __future__ import annotations

from tandem.api import names
from tandem.api.children import Job
from tandem.api.conditions import Outcome, Retrying, Undecided, Working
from tandem.api.meta import Json
from tandem.api.plan import Apply
from tandem.api.trainingjob_status import RunStatus
from tandem.training.case import Case, refused


def suspend(case: Case, run: RunStatus, job: Job) -> Undecided | Retrying:
    """Take the run's pods away; the Job keeps its place, its counts and its checkpoints."""
    if not job.spec.suspend:
        refusal = case.draft.act(change(job, {"suspend": True}, {names.SUSPENDED_ANNOTATION: "true"}))
        if refusal:
            return Retrying(refusal.reason, f"Job {job.metadata.name} could not be suspended: {refusal.message}")
    told = f"run {run.number} is suspended: its Job {job.metadata.name} goes on when spec.suspend is false"
    return Undecided("Suspended", told)


def suspended(case: Case, job: Job) -> Outcome:
    """What a Job that is suspended waits for; one that Tandem suspended goes on."""
    meta = job.metadata
    if names.SUSPENDED_ANNOTATION in meta.annotations:
        refusal = case.draft.act(change(job, {"suspend": False}))
        if refusal:
            return refused(refusal, f"Job {meta.name} could not be resumed")
        return Working("JobResumed", f"Job {meta.name} goes on")
    queue = meta.labels.get(names.QUEUE_LABEL)
    if queue is not None:
        told = (
            f"Job {meta.name} waits until Kueue admits it to queue {queue}: kubectl -n {meta.namespace} describe "
            f"workloads; where there is no Kueue, remove the label {names.QUEUE_LABEL} and ask for another run"
        )
        return Working("Queued", told)
    told = f"Job {meta.name} was suspended, not by Tandem: what did so, or kubectl edit job, lets it go on"
    return Working("JobSuspended", told)


def change(job: Job, spec: Json, annotations: dict[str, str] | None = None) -> Apply:
    """These fields of a Job that is there; the engine applies it to the version that was seen and to no other.

    What was applied before and is left out falls back to Kubernetes' default: so ``suspend`` is always said.
    """
    meta = job.metadata
    metadata: Json = {"name": meta.name, "namespace": meta.namespace, "annotations": annotations or {}}
    return Apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec})
