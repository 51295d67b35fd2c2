"""Stopping a run before its end: the spec changed under it, or it was suspended while Kueue has its Job.

Three moves, each found again after a crash: the intention is written down, the Job is deleted and awaited, the MLflow
run that the script left open is closed. Without the first, a Job that we deleted would look like one that somebody
else did; and a change that is taken back meanwhile would find its run half gone.
"""

from __future__ import annotations

from tandem.api.children import Job
from tandem.api.conditions import Retrying, Working
from tandem.api.facts import Unavailable
from tandem.api.plan import EndRun
from tandem.api.trainingjob_status import RunStatus
from tandem.training.case import FINAL, Case
from tandem.training.job import job_deletion, job_name
from tandem.training.track import tracked_run
from tandem.training.triggers import STOPPING, told


def stop(case: Case, run: RunStatus, digest: str, jobs: tuple[Job, ...]) -> Working | Retrying | bool:
    """What stopping is at; True when nothing of the run is left, False while an answer from outside is awaited."""
    why = "spec.suspend is true" if run.spec_digest == digest else "the spec has changed"
    working = Working(STOPPING, f"run {run.number} is being stopped: {why}")
    if not told(case, run, STOPPING):
        return working
    if jobs:
        return _delete(case, jobs) or working
    case.draft.without(job_name(case, run))
    tracked = tracked_run(case, run, "stopped")
    if isinstance(tracked, Unavailable):
        return Retrying(STOPPING, f"run {run.number} is closed when MLflow answers: {tracked.message}")
    if tracked is None:
        return False
    if tracked.status != "RUNNING":
        return True
    refusal = case.draft.act(EndRun(tracked.run_id, "KILLED"))
    if refusal is None:
        return False
    if refusal.reason in FINAL:
        return True
    return Retrying(STOPPING, f"run {run.number} could not be closed in MLflow: {refusal.message}")


def _delete(case: Case, jobs: tuple[Job, ...]) -> Retrying | None:
    for job in jobs:
        meta = job.metadata
        if meta.deletion_timestamp is None:
            refusal = case.draft.act(job_deletion(job))
            if refusal:
                return Retrying(STOPPING, f"Job {meta.name} could not be deleted: {refusal.message}")
    return None
