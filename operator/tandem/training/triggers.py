"""Why a run starts: the spec changed, drift was found, a person asked. Triggers that wait merge into one run."""

from __future__ import annotations

from tandem.api import names
from tandem.api.trainingjob import RetrainRequest, RunStatus, Trigger
from tandem.training.case import Case


def due(case: Case, latest: RunStatus, digest: str) -> Trigger | None:
    """What asks for a run after ``latest`` has ended, or None."""
    if latest.spec_digest != digest:
        generation = case.resource.metadata.generation
        return Trigger(type="SpecChanged", id=str(generation), message=f"the spec changed (generation {generation})")
    token = requested(case)
    if token:
        return Trigger(type="Requested", id=token, message=f"asked for by annotation {names.REQUESTED_AT_ANNOTATION}")
    request = open_drift_request(case, latest)
    if request:
        return Trigger(type="Drift", id=request.id, message=request.reason)
    return None


def requested(case: Case) -> str:
    """The token of a person's request that no run has answered yet, or ''."""
    token = case.resource.metadata.annotations.get(names.REQUESTED_AT_ANNOTATION, "")
    return "" if token == case.status.last_handled_reconcile_at else token


def open_drift_request(case: Case, latest: RunStatus) -> RetrainRequest | None:
    """The model-drift controller's request, unless a run has answered it: one alarm is one run."""
    drift = case.status.drift
    if drift is None or drift.retrain_request is None or case.spec.retrain.drift is None:
        return None
    answered = {entry.trigger.id for entry in case.status.history} | {latest.trigger.id}
    return None if drift.retrain_request.id in answered else drift.retrain_request
