"""Which run is the current one, and whether a new one is due.

A run is found again wherever a crash or a careless hand left traces of it: in the status, in the Job it made, in the
MLflow run (by the tags uid and run number). The highest number counts. So a wiped status does not train again, and a
crash between creating the Job and writing the status does not either.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from tandem.api import names
from tandem.api.children import Job
from tandem.api.conditions import Outcome, Undecided, Working
from tandem.api.facts import RunsOf, TrackedRun, Unavailable
from tandem.api.meta import to_json
from tandem.api.plan import Delete, EndRun
from tandem.api.trainingjob import RunStatus, TrainingJobSpec, Trigger
from tandem.training.case import Case, unavailable
from tandem.training.triggers import due

# What a model depends on. A change of anything else (the gate, the alias, a policy) trains nothing anew.
_INPUTS = ("source", "image", "data", "steps", "parameters", "tracking")


@dataclass(frozen=True, slots=True)
class Settled:
    """The latest run has ended, and nothing asks for another."""

    run: RunStatus


@dataclass(frozen=True, slots=True)
class Current:
    """The run to work on; ``superseded`` is the one that it replaced before that could end."""

    run: RunStatus
    superseded: RunStatus | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nothing can be said before a first answer from outside has come."""


@dataclass(frozen=True, slots=True)
class Held:
    """No run may start or go on now."""

    outcome: Outcome
    run: RunStatus | None = None


Choice: TypeAlias = Settled | Current | Unanswered | Held


def spec_digest(spec: TrainingJobSpec) -> str:
    """Sixteen hex digits of the SHA-256 over what a model depends on."""
    inputs = {name: value for name, value in to_json(spec).items() if name in _INPUTS}
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:16]


def choose(case: Case) -> Choice:
    digest = spec_digest(case.spec)
    latest = _latest(case)
    match latest:
        case Unanswered() | Held():
            return latest
        case None:
            return _start(case, None, Trigger(type="Created", message="first run of this resource"), digest)
    ended = latest.completion_time is not None
    if not ended and latest.spec_digest != digest:
        return _supersede(case, latest, digest)
    if not ended:
        return Current(latest)
    trigger = due(case, latest, digest)
    return Settled(latest) if trigger is None else _start(case, latest, trigger, digest)


def _start(case: Case, latest: RunStatus | None, trigger: Trigger, digest: str) -> Choice:
    if case.spec.suspend:
        return Held(Undecided("Suspended", f"a run waits until spec.suspend is false ({trigger.message})"), latest)
    number = latest.number + 1 if latest else 1
    return Current(RunStatus(number=number, trigger=trigger, spec_digest=digest))


def _supersede(case: Case, latest: RunStatus, digest: str) -> Choice:
    """The spec changed under a run that has not ended: stop its Job, wait until it is gone, start the next."""
    trigger = Trigger(
        type="SpecChanged",
        id=str(case.resource.metadata.generation),
        message=f"the spec changed while run {latest.number} was going on",
    )
    jobs = [job for job in case.observed.children.jobs if number_of(job) == latest.number]
    for job in jobs:
        if job.metadata.deletion_timestamp is None:
            case.draft.act(_delete(job))
    if jobs:
        return Held(Working("Superseding", f"run {latest.number} is being stopped: the spec has changed"), latest)
    if latest.mlflow_run_id:
        case.draft.act(EndRun(latest.mlflow_run_id, "KILLED"))
    chosen = _start(case, latest, trigger, digest)
    return Current(chosen.run, superseded=latest) if isinstance(chosen, Current) else chosen


def _latest(case: Case) -> RunStatus | Unanswered | Held | None:
    stored = case.status.run
    from_jobs = max(
        (_from_job(job) for job in case.observed.children.jobs if number_of(job)),
        key=lambda run: run.number,
        default=None,
    )
    if stored is not None:
        return from_jobs if from_jobs is not None and from_jobs.number > stored.number else stored
    if from_jobs is not None:
        return from_jobs
    tracked = case.draft.read(RunsOf(case.resource.metadata.uid, case.experiment))
    match tracked:
        case None:
            return Unanswered()
        case Unavailable():
            return Held(unavailable(tracked, "the run cannot start before its MLflow run can be made"))
    return _from_tracked(tracked[-1]) if tracked else None


def number_of(job: Job) -> int:
    """The run that a Job belongs to; 0 when its label says none (somebody took it away)."""
    text = job.metadata.labels.get(names.RUN_LABEL, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _from_job(job: Job) -> RunStatus:
    annotations = job.metadata.annotations
    return RunStatus(
        number=number_of(job),
        trigger=parse_trigger(annotations.get(names.TRIGGER_ANNOTATION, "")),
        spec_digest=annotations.get(names.SPEC_DIGEST_ANNOTATION, ""),
        mlflow_run_id=annotations.get(names.MLFLOW_RUN_ANNOTATION, ""),
        job_name=job.metadata.name,
        start_time=job.metadata.creation_timestamp,
    )


def _from_tracked(run: TrackedRun) -> RunStatus:
    return RunStatus(
        number=run.number,
        trigger=parse_trigger(run.tags.get(names.TAG_TRIGGER, "")),
        spec_digest=run.tags.get(names.TAG_SPEC_DIGEST, ""),
        mlflow_run_id=run.run_id,
        start_time=run.started_at,
    )


def parse_trigger(text: str) -> Trigger:
    """A trigger as written into an annotation or a tag; anything else reads as a first run."""
    try:
        return msgspec.json.decode(text, type=Trigger)
    except msgspec.DecodeError:
        return Trigger(type="Created", message="recovered; what started it is not known any more")


def format_trigger(trigger: Trigger) -> str:
    return msgspec.json.encode(trigger).decode()


def _delete(job: Job) -> Delete:
    meta = job.metadata
    return Delete("batch/v1", "Job", meta.namespace, meta.name, meta.uid)
