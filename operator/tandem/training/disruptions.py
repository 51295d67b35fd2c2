"""Pods that the cluster takes away: told, not counted as attempts, and not replaced for ever.

The Job's podFailurePolicy ignores them, and Kubernetes has no bound for what is ignored: a pod that the nodes cannot
bear would come and go until somebody looks.
"""

from __future__ import annotations

import msgspec

from tandem.api import names
from tandem.api.children import Job, Pod
from tandem.api.conditions import Outcome, Working, shortened
from tandem.api.trainingjob_status import Disruption, RunStatus
from tandem.training.case import Case, refused
from tandem.training.suspension import change

TOO_MANY = "TooManyDisruptions"
_MESSAGE = 256


def with_disruption(run: RunStatus, taken: tuple[Pod, ...]) -> RunStatus:
    """The run with the pod that the cluster took away last, counted once; ``taken``: oldest first."""
    if not taken or (run.last_disruption and run.last_disruption.pod == taken[-1].metadata.name):
        return run
    cause = taken[-1].disruption
    assert cause is not None
    last = Disruption(
        pod=taken[-1].metadata.name,
        reason=cause.reason or "DisruptionTarget",
        message=shortened(cause.message, _MESSAGE),
    )
    return msgspec.structs.replace(run, disruptions=run.disruptions + 1, last_disruption=last)


def too_many(case: Case, run: RunStatus, job: Job) -> Outcome | None:
    """A run that was interrupted more often than the spec allows is ended: by its Job's own deadline.

    As with a run that hangs, the cause is written on the Job in the same write, so that no crash comes between the two.
    """
    told = job.metadata.annotations.get(names.DISRUPTED_ANNOTATION)
    if told is not None:
        return Working(TOO_MANY, f"Job {job.metadata.name} is being stopped: {told}")
    limit, last = case.spec.disruption_limit, run.last_disruption
    if run.disruptions <= limit or last is None:
        return None
    message = (
        f"the cluster took {run.disruptions} pods away, spec.disruptionLimit is {limit}; "
        f"the last one: {last.pod} ({last.reason}{': ' if last.message else ''}{last.message})"
    )
    spec = {"activeDeadlineSeconds": 1, "suspend": False}
    refusal = case.draft.act(change(job, spec, {names.DISRUPTED_ANNOTATION: message}))
    if refusal:
        return refused(refusal, f"Job {job.metadata.name} is interrupted again and again, and could not be stopped")
    return Working(TOO_MANY, f"Job {job.metadata.name} is being stopped: {message}")


def being_ended(job: Job) -> bool:
    """Whether Tandem has told this Job to end: then nothing else is to become of it."""
    return bool(
        job.metadata.annotations.keys() & {names.HUNG_ANNOTATION, names.DISRUPTED_ANNOTATION, names.ENDED_ANNOTATION}
    )
