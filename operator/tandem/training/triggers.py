"""Why a run starts: the spec changed, data, the schedule, drift, a person. Triggers that wait merge into one run.

A change of the spec is answered by any run, for every run trains the spec as it is; so are a person's token and the
schedule, which the status writes down when a run starts. A drift request is answered by its id alone (the model-drift
controller looks for it), so where one is open, the run is told to be its.
"""

from __future__ import annotations

import msgspec

from tandem.api import names
from tandem.api.meta import condition_of
from tandem.api.trainingjob_status import RetrainRequest, RunStatus, Trigger
from tandem.training.case import TRAINED, Case
from tandem.training.data_change import data_changed
from tandem.training.schedule import scheduled

# Reasons of the condition Trained: a run is being stopped, and was stopped, before its end.
STOPPING = "RunStopping"
STOPPED = "RunStopped"

_NAME_LIMIT, _WHY_LIMIT = 253, 1024
_TOKEN_LIMIT = 1024  # of status.lastHandledReconcileAt and of a trigger's id


def first(case: Case) -> Trigger:
    """What a first run answers."""
    request = open_drift_request(case)
    return _drift(request) if request else Trigger(type="Created", message="first run of this resource")


def due(case: Case, latest: RunStatus, digest: str) -> Trigger | None:
    """What asks for a run after ``latest`` has ended, or None."""
    request = open_drift_request(case)
    if request:
        return _drift(request)
    if latest.spec_digest != digest:
        generation = case.resource.metadata.generation
        return Trigger(type="SpecChanged", id=str(generation), message=f"the spec changed (generation {generation})")
    token = requested(case)
    if token:
        return Trigger(type="Requested", id=token, message=_asked_for(case))
    unasked = data_changed(case, latest) or scheduled(case)
    if unasked:
        return unasked
    if told(case, latest, STOPPED):
        return msgspec.structs.replace(latest.trigger, message=f"run {latest.number} was stopped before its end")
    return None


def asked(case: Case) -> str:
    """The token that a person has written, answered or not; or ''."""
    return case.resource.metadata.annotations.get(names.REQUESTED_AT_ANNOTATION, "")[:_TOKEN_LIMIT]


def _asked_for(case: Case) -> str:
    """By whom and why, as far as somebody has said."""
    notes = case.resource.metadata.annotations
    who = notes.get(names.REQUESTED_BY_ANNOTATION, "").strip()[:_NAME_LIMIT]
    because = notes.get(names.REQUESTED_BECAUSE_ANNOTATION, "").strip()[:_WHY_LIMIT]
    return f"asked for by {who or f'annotation {names.REQUESTED_AT_ANNOTATION}'}" + (f": {because}" if because else "")


def requested(case: Case) -> str:
    """The token of a person's request that no run has answered yet, or ''."""
    token = asked(case)
    return "" if token == case.status.last_handled_reconcile_at else token


def open_drift_request(case: Case) -> RetrainRequest | None:
    """The model-drift controller's request, unless a run that has ended answered it: one alarm is one run."""
    drift = case.status.drift
    if drift is None or drift.retrain_request is None or case.spec.retrain.drift is None:
        return None
    answered = {entry.trigger.id for entry in case.status.history}
    return None if drift.retrain_request.id in answered else drift.retrain_request


def told(case: Case, run: RunStatus, reason: str) -> bool:
    """Whether the status gives this reason for where the training of this run stands."""
    stored, trained = case.status.run, condition_of(case.status.conditions, TRAINED)
    return stored is not None and stored.number == run.number and trained is not None and trained.reason == reason


def parse_trigger(text: str) -> Trigger:
    """A trigger as written into an annotation or a tag; anything else reads as a first run."""
    try:
        return msgspec.json.decode(text, type=Trigger)
    except msgspec.DecodeError:
        return Trigger(type="Created", message="recovered; what started it is not known any more")


def format_trigger(trigger: Trigger) -> str:
    return msgspec.json.encode(trigger).decode()


def _drift(request: RetrainRequest) -> Trigger:
    return Trigger(type="Drift", id=request.id, message=request.reason)
