"""What a revision is judged by at a moment of its rollout: one Job, planned here, whose end is the judgement.

The Job has a name that is made of everything it stands for (revision, moment, since when, the metrics, the try), so
whoever asks twice asks one, and whoever tries again measures anew. Nothing is remembered beside it: when it is gone it
is made again. Whoever asks has to write down what he does about the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from tandem.api.analysis import AnalysisStatus, Metric, MetricResult, Moment
from tandem.api.children import Job, Pod, Service
from tandem.api.plan import Apply, Create, Delete, Refusal
from tandem.apps.analysis_job import (
    ANALYSIS_LABEL,
    METRICS_ANNOTATION,
    MOMENT_ANNOTATION,
    asks_pods,
    digest_of_metrics,
    job_manifest,
    job_name,
    service_manifest,
    service_name,
)
from tandem.apps.analysis_result import Result, result_of
from tandem.apps.analysis_time import WATCH, throughout
from tandem.apps.case import TRANSIENT, Case
from tandem.apps.manifest import is_applied
from tandem.apps.quarantine import standing
from tandem.apps.revision import Owned, Target, number_in

_MOMENTS: Final[dict[str, Moment]] = {"step": "Step", "promotion": "Promotion", "watch": "Watch"}


@dataclass(frozen=True)
class Judgement:
    phase: Literal["Running", "Successful", "Failed", "Inconclusive"]
    message: str
    metrics: tuple[MetricResult, ...] = ()


def analyse(case: Case, owned: Owned, moment: str, since: datetime) -> Judgement:
    """The judgement on one revision; ``moment``: step-2, promotion or watch; ``since``: when it was reached.

    Only a metric that was measured and is not good enough is Failed. ``since`` is part of what is asked: it has to be
    the same in each pass.
    """
    metrics = metrics_at(case, moment)
    if not metrics:
        return Judgement("Successful", "no analysis is asked for")
    unknown = _unknown(owned, metrics)
    if unknown:
        return Judgement("Inconclusive", unknown)
    name = job_name(case, owned, moment, since, metrics)
    _remove_others(case, owned, name)
    remembered = _remembered(case, name)
    if remembered is not None:
        return remembered
    job = next((job for job in _analyses(case) if job.metadata.name == name), None)
    if job is None:
        return _begin(case, owned, moment, since, metrics)
    if job.metadata.deletion_timestamp is not None:
        return Judgement("Running", f"somebody deleted Job {name}; it is made again")
    found = result_of(job, _pods_of(case, job), metrics, case.now)
    if found.again is not None:
        case.draft.requeue(found.again)
    return _told(moment, found)


def metrics_at(case: Case, moment: str) -> tuple[Metric, ...]:
    """What is measured at this moment, and how often: in a watch, until it is over."""
    kind, rollout = _MOMENTS.get(moment.partition("-")[0]), case.spec.rollout
    metrics = tuple(metric for metric in rollout.analysis if not metric.at or kind in metric.at)
    if moment != WATCH:
        return metrics
    return tuple(throughout(metric, rollout.watch_seconds or 0) for metric in metrics)


def tidy(case: Case, target: Target | None) -> None:
    """Judgements that nobody waits for end; of those that have ended the cluster keeps the logs for a day.

    One that has failed before all its containers have ended is left to them: with its Job its log would go.
    """
    for job in _analyses(case):
        over = job.ended or job.metadata.deletion_timestamp is not None
        if not over and not _is_awaited(case, target, job) and not _has_failed(case, job):
            _delete(case, job)
    there = _service(case)
    # For as long as the spec asks for it: it costs nothing, and a judgement may begin in this very pass.
    if there is not None and not asks_pods(case.spec.rollout.analysis):
        meta = there.metadata
        case.draft.act(Delete("v1", "Service", meta.namespace, meta.name, meta.uid))


def analysis_status(case: Case) -> AnalysisStatus | None:
    """The latest judgement, from what is there of it, or as it was told while its Job was there."""
    jobs = [job for job in _analyses(case) if number_in(job.metadata.labels) in case.fleet.owned]
    before = _still_true(case, jobs)
    job = max(jobs, key=_later, default=None)
    if job is None or (started := job.metadata.creation_timestamp) is None:
        return before
    told = before is not None and before.job_name == job.metadata.name and _is_final(before, job)
    if before is not None and (before.start_time > started or told):
        return before
    number, found = number_in(job.metadata.labels), _result(case, job)
    if number is None or found is None:
        return before
    return AnalysisStatus(
        revision=number,
        moment=job.metadata.annotations[MOMENT_ANNOTATION],
        phase=found.phase,
        start_time=started,
        job_name=job.metadata.name,
        message=found.message,
        metrics=found.metrics if found.phase != "Running" else (),
    )


def _still_true(case: Case, jobs: Sequence[Job]) -> AnalysisStatus | None:
    """What was told before, unless its revision is gone, or it was going on in a Job that is gone."""
    told = case.stored.analysis
    if told is None or told.revision not in case.fleet.owned:
        return None
    there = any(job.metadata.name == told.job_name for job in jobs)
    return told if there or told.phase != "Running" else None


def _result(case: Case, job: Job) -> Result | None:
    """None: it was asked something else than the spec asks now."""
    notes = job.metadata.annotations
    metrics = metrics_at(case, notes.get(MOMENT_ANNOTATION, ""))
    if notes.get(METRICS_ANNOTATION) != digest_of_metrics(metrics):
        return None
    return result_of(job, _pods_of(case, job), metrics, case.now)


def _has_failed(case: Case, job: Job) -> bool:
    found = _result(case, job)
    return found is not None and found.phase == "Failed"


def _is_final(told: AnalysisStatus, job: Job) -> bool:
    """A pod that goes does not take back what it has said."""
    return told.phase in {"Successful", "Failed"} or (told.phase == "Inconclusive" and job.ended)


def _unknown(owned: Owned, metrics: tuple[Metric, ...]) -> str:
    """Why it cannot be said what to ask MLflow for; '' where it can, or nobody wants to know."""
    model = owned.shown.model
    for metric in metrics:
        if metric.mlflow is not None and model is None:
            return f"metric {metric.name} is one of a model version, and this revision has no model"
        if metric.mlflow is not None and metric.mlflow.run == "Training" and model is not None and not model.run_id:
            return (
                f"metric {metric.name}: version {model.version} of model {model.name!r} was made by no run of MLflow's"
            )
    return ""


def _remembered(case: Case, name: str) -> Judgement | None:
    """What passed has passed, also when pod or Job were cleaned away while a person is waited for."""
    told = case.stored.analysis
    if told is None or (told.job_name, told.phase) != (name, "Successful"):
        return None
    return _told(told.moment, Result("Successful", told.message, told.metrics))


def _begin(case: Case, owned: Owned, moment: str, since: datetime, metrics: tuple[Metric, ...]) -> Judgement:
    refusal = _address(case, owned) if asks_pods(metrics) else None
    refusal = refusal or case.draft.act(Create(job_manifest(case, owned, moment, since, metrics)))
    if refusal is None:
        return Judgement("Running", f"analysis of {moment} begins")
    told = f"analysis of {moment} cannot begin: {refusal.message}"
    return Judgement("Running" if refusal.reason in TRANSIENT else "Inconclusive", told)


def _address(case: Case, owned: Owned) -> Refusal | None:
    """The Service names the pods of this revision, before anybody asks for them."""
    manifest = service_manifest(case, owned)
    there = _service(case)
    if there is None:
        return case.draft.act(Create(manifest))
    return None if is_applied(manifest, there.metadata) else case.draft.act(Apply(manifest))


def _told(moment: str, found: Result) -> Judgement:
    words = {"Running": "goes on", "Successful": "passed", "Failed": "failed", "Inconclusive": "is inconclusive"}
    return Judgement(found.phase, f"analysis of {moment} {words[found.phase]}: {found.message}", found.metrics)


def _analyses(case: Case) -> list[Job]:
    """Children are trusted by their controller's uid; the label tells which of them are judgements."""
    name = case.app.metadata.name
    return [job for job in case.observed.children.jobs if job.metadata.labels.get(ANALYSIS_LABEL) == name]


def _pods_of(case: Case, job: Job) -> list[Pod]:
    pods = case.observed.children.pods
    return [pod for pod in pods if pod.metadata.controller and pod.metadata.controller.uid == job.metadata.uid]


def _service(case: Case) -> Service | None:
    named = (s for s in case.observed.children.services if s.metadata.name == service_name(case))
    return next((service for service in named if service.metadata.deletion_timestamp is None), None)


def _remove_others(case: Case, owned: Owned, name: str) -> None:
    """Of one revision one judgement goes on: for another moment, another try, other questions nobody waits.

    Those that have ended stay for their logs; a view that is older in part would take them for others, too.
    """
    for job in _analyses(case):
        mine, over = number_in(job.metadata.labels) == owned.number, job.ended or job.metadata.deletion_timestamp
        if mine and job.metadata.name != name and not over:
            _delete(case, job)


def _delete(case: Case, job: Job) -> None:
    meta = job.metadata
    case.draft.act(Delete("batch/v1", "Job", meta.namespace, meta.name, meta.uid))


def _is_awaited(case: Case, target: Target | None, job: Job) -> bool:
    number = number_in(job.metadata.labels)
    owned = case.fleet.owned.get(number) if number is not None else None
    if owned is None:
        return False
    return (target is None or number == target.number) and standing(case, owned) is None


def _later(job: Job) -> tuple[str, bool, int, str]:
    """Times have whole seconds: of two from the same one that which goes on is the later, then the later revision's.

    Never by what the status tells already: two would take turns in it for ever.
    """
    meta = job.metadata
    return str(meta.creation_timestamp or ""), not job.ended, number_in(meta.labels) or 0, meta.name
