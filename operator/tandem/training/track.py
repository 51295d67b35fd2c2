"""Step: the MLflow run exists before the Job does, so that an unmodified script can join it (``MLFLOW_RUN_ID``)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import msgspec

from tandem.api import names
from tandem.api.conditions import Outcome, Passed
from tandem.api.facts import RunNumbered, RunsOf, TrackedRun, Unavailable
from tandem.api.plan import EnsureRun
from tandem.api.trainingjob_status import RunStatus
from tandem.training.case import Case, refused, unavailable
from tandem.training.environment import record_of
from tandem.training.findings import Findings
from tandem.training.triggers import format_trigger

WHAT_FOR = "the Job starts when its MLflow run has been made"
# The CRD refuses both; a resource that is older than the rule keeps them.
_SECRET: Final = re.compile(r"(?<=://)[^/]*:[^/]*@|[?#].*")


def track(case: Case, found: Findings) -> tuple[Outcome | None, Findings]:
    run = found.run
    if run.job_name and run.mlflow_run_id:
        run = msgspec.structs.replace(run, experiment=run.experiment or case.experiment)
        return Passed("RunTracked", f"MLflow run {run.mlflow_run_id}"), replace(found, run=run)
    answer = _known(case, run)
    match answer:
        case None:
            return None, found
        case Unavailable():
            return unavailable(answer, WHAT_FOR), found
    tracked = next((candidate for candidate in answer if candidate.number == run.number), None)
    if tracked is None:
        refusal = case.draft.act(_ensure(case, found))
        return (refused(refusal, WHAT_FOR) if refusal else None), found
    run = msgspec.structs.replace(run, mlflow_run_id=tracked.run_id, experiment=case.experiment)
    return Passed("RunTracked", f"MLflow run {tracked.run_id}"), replace(found, run=run, tracked=tracked)


def _known(case: Case, run: RunStatus) -> tuple[TrackedRun, ...] | Unavailable | None:
    """What MLflow has of this run; where there is no status, the latest runs were asked for already."""
    uid = case.resource.metadata.uid
    if case.status.run is None:
        return case.draft.read(RunsOf(uid, case.experiment))
    return case.draft.read(RunNumbered(uid, case.experiment, run.number))


def tracked_run(case: Case, run: RunStatus, after: str) -> TrackedRun | Unavailable | None:
    """The MLflow run, read after the event that ``after`` names; an empty stand-in if somebody deleted it."""
    experiment = run.experiment or case.experiment  # a run that is stopped may have been made in another one
    answer = case.draft.read(RunNumbered(case.resource.metadata.uid, experiment, run.number, after))
    if answer is None or isinstance(answer, Unavailable):
        return answer
    return answer[0] if answer else TrackedRun(run.mlflow_run_id, "", run.number, "DELETED", case.now)


def _ensure(case: Case, found: Findings) -> EnsureRun:
    meta, spec, run = case.resource.metadata, case.spec, found.run
    git = spec.source.git if spec.source else None
    tags = {
        names.TAG_RESOURCE_UID: meta.uid,
        names.TAG_RESOURCE: f"{meta.namespace}/{meta.name}",
        names.TAG_RUN: str(run.number),
        names.TAG_SPEC_DIGEST: run.spec_digest,
        names.TAG_TRIGGER: format_trigger(run.trigger),
        names.TAG_IMAGE: spec.image or spec.steps[-1].image or case.settings.runtime_image,
        **record_of(spec),
    }
    if git:
        tags[names.TAG_REPOSITORY] = _SECRET.sub("", git.url)
    if found.original is not None:
        tags[names.TAG_REPRODUCES] = found.original.run_id
        tags[names.TAG_ENVIRONMENT] = found.original.tags[names.TAG_ENVIRONMENT]
    return EnsureRun(
        uid=meta.uid,
        number=run.number,
        experiment=case.experiment,
        name=f"{meta.name}-{run.number}",
        tags=tags,
        parameters=spec.parameters,
    )
