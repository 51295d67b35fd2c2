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
from tandem.api.conditions import Outcome, Undecided
from tandem.api.facts import RunsOf, TrackedRun, Unavailable
from tandem.api.meta import to_json
from tandem.api.trainingjob import TrainingJobSpec
from tandem.api.trainingjob_status import RunStatus, Trigger
from tandem.training.case import TRAINED, Case, unavailable
from tandem.training.disruptions import being_ended
from tandem.training.stop import stop
from tandem.training.suspension import suspend
from tandem.training.triggers import STOPPING, due, first, parse_trigger, told

# What a model depends on. A change of anything else (the gate, the alias, a policy) trains nothing anew.
_NODES = ("numNodes", "numProcPerNode", "resourcesPerNode")
_INPUTS = ("source", "image", "data", "steps", "parameters", "tracking", "reproduceFrom", *_NODES)


@dataclass(frozen=True, slots=True)
class Settled:
    """The latest run has ended, and nothing asks for another."""

    run: RunStatus


@dataclass(frozen=True, slots=True)
class Current:
    """The run to work on."""

    run: RunStatus


@dataclass(frozen=True, slots=True)
class Stopped:
    """The run was stopped before its end, and nothing of it is left to close."""

    run: RunStatus


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nothing can be said before a first answer from outside has come."""


@dataclass(frozen=True, slots=True)
class Held:
    """No run may start or go on now."""

    outcome: Outcome
    run: RunStatus | None = None


Choice: TypeAlias = Settled | Current | Stopped | Unanswered | Held


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
            return _start(case, None, first(case), digest)
    if latest.completion_time is None:
        return _go_on(case, latest, digest)
    trigger = due(case, latest, digest)
    return Settled(latest) if trigger is None else _start(case, latest, trigger, digest)


def _start(case: Case, latest: RunStatus | None, trigger: Trigger, digest: str) -> Choice:
    if case.spec.suspend:
        return Held(Undecided("Suspended", f"a run waits until spec.suspend is false ({trigger.message})"), latest)
    number = latest.number + 1 if latest else 1
    return Current(RunStatus(number=number, trigger=trigger, spec_digest=digest))


def _go_on(case: Case, run: RunStatus, digest: str) -> Choice:
    """The latest run has not ended: work on it, unless it has to stop."""
    jobs = jobs_of(case, run)
    training = next((job for job in jobs if not job.ended), None)
    suspended = case.spec.suspend and case.recorded(TRAINED, run) is None
    # Kueue would let a Job go on that it has admitted: one of its own is stopped, and another run goes on.
    given_up = suspended and training is not None and names.QUEUE_LABEL in training.metadata.labels
    if told(case, run, STOPPING) or run.spec_digest != digest or given_up:
        stopped = stop(case, run, digest, jobs)
        if isinstance(stopped, bool):
            return Stopped(run) if stopped else Unanswered()
        return Held(stopped, run)
    if suspended and training is not None and not being_ended(training):
        return Held(suspend(case, run, training), run)
    if suspended and not jobs and not run.job_name:
        return Held(Undecided("Suspended", f"run {run.number} waits until spec.suspend is false"), run)
    return Current(run)


def _latest(case: Case) -> RunStatus | Unanswered | Held | None:
    stored = case.status.run
    from_jobs = max(
        (_from_job(job) for job in case.observed.children.jobs if number_of(job)),
        key=lambda run: run.number,
        default=None,
    )
    if stored is not None:
        return from_jobs if from_jobs is not None and from_jobs.number > stored.number else stored
    # A Job may be gone whose number was higher: without a status only MLflow knows them all.
    tracked = case.draft.read(RunsOf(case.resource.metadata.uid, case.experiment))
    match tracked:
        case None:
            return Unanswered()
        case Unavailable():
            return Held(unavailable(tracked, "a run starts when MLflow can tell whether there was one before"))
    from_mlflow = _from_tracked(tracked[-1]) if tracked else None
    if from_jobs is None or from_mlflow is None or from_jobs.number != from_mlflow.number:
        return max(filter(None, (from_jobs, from_mlflow)), key=lambda run: run.number, default=None)
    return msgspec.structs.replace(from_mlflow, job_name=from_jobs.job_name, start_time=from_jobs.start_time)


def number_of(job: Job) -> int:
    """The run that a Job belongs to, by its name, which nobody can change (labels anybody can); 0 if it is not ours."""
    owner, (resource, _, number) = job.metadata.controller, job.metadata.name.rpartition("-")
    canonical = number.isascii() and number.isdigit() and len(number) <= 9 and not number.startswith("0")
    return int(number) if canonical and owner is not None and owner.name == resource else 0


def jobs_of(case: Case, run: RunStatus) -> tuple[Job, ...]:
    return tuple(job for job in case.observed.children.jobs if number_of(job) == run.number)


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
