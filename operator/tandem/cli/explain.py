"""A resource in a few lines for a person: where it stands, what it waits for, since when, which command moves it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeAlias

from tandem.api import names
from tandem.api.appdeployment import AppDeployment
from tandem.api.appdeployment_status import DeliveryStatus, RevisionStatus
from tandem.api.conditions import READY, RECONCILING, STALLED
from tandem.api.meta import Condition, condition_of
from tandem.api.trainingjob import TrainingJob

Resource: TypeAlias = AppDeployment | TrainingJob
Annotations: TypeAlias = Mapping[str, str]

_ABOUT_ITSELF: Final = frozenset({READY, RECONCILING, STALLED})
# True is bad news of these; of every other condition False is.
_ABNORMAL_TRUE: Final = frozenset({"Failed", "Drifted", "Suspended"})
ROLLED_OUT: Final = "RolledOut"
# While RolledOut says one of these, a judgement is what it is about: since when is when that began.
_JUDGED: Final = frozenset({"AnalysisRunning", "AnalysisInconclusive"})


class Move(NamedTuple):
    """A command and what it does."""

    command: str
    effect: str


def explain(resource: Resource, now: datetime) -> list[str]:
    """Lines, without colours and without a trailing newline."""
    meta, status = resource.metadata, resource.status
    kind = names.APP_DEPLOYMENT if isinstance(resource, AppDeployment) else names.TRAINING_JOB
    ready = condition_of(status.conditions, READY)
    seen = status.observed_generation == meta.generation
    lines = [f"{kind} {meta.namespace}/{meta.name}: {status.phase if seen and status.phase else 'not looked at yet'}"]
    if not seen:
        lines.append(f"  waits for: the operator, to look at generation {meta.generation} of the spec")
    about = _of_app(resource, now) if isinstance(resource, AppDeployment) else _of_training(resource)
    lines += [f"  {what + ':' if what else '':<10} {text}" for what, text in about]
    if ready is not None:
        lines.append(f"  {_heading(ready, status.conditions) + ':':<10} {_message(resource, ready)}")
        lines.append(f"  since:     {_ago(_since(resource, ready), now)} ({ready.reason})")
    lines += [f"  also:      {_told(one)}" for one in _noteworthy(status.conditions, ready)]
    for place, move in enumerate(moves(resource, now)):
        lines.append(f"  {'next:' if place == 0 else '':<10} {move.command}   # {move.effect}")
    return lines


def moves(resource: Resource, now: datetime) -> list[Move]:
    """What a person can do about it now, the likeliest first."""
    return list(_moves_of_app(resource, now) if isinstance(resource, AppDeployment) else _moves_of_training(resource))


def is_undecided(app: AppDeployment) -> bool:
    """Whether a judgement came to no verdict, so that it may be asked for once more."""
    return _rolled_out(app) == "AnalysisInconclusive"


def watched(app: AppDeployment, now: datetime) -> RevisionStatus | None:
    """What serves, while the one before it takes the traffic back if it fails or is aborted."""
    if app.status.stable is None or app.spec.rollback is not None:
        return None
    there = any(one.state == "Retired" and one.retire_at and one.retire_at > now for one in app.status.revisions)
    return app.status.stable if there or _rolled_out(app) == "Watching" else None


def _rolled_out(app: AppDeployment) -> str:
    told = condition_of(app.status.conditions, ROLLED_OUT)
    return told.reason if told is not None else ""


def _moves_of_app(app: AppDeployment, now: datetime) -> Iterator[Move]:
    status, candidate, serves = app.status, app.status.candidate, watched(app, now)
    if is_undecided(app):
        yield _move(app, "retry", "it is judged once more")
    if status.approval is not None and status.approval.state == "Awaiting":
        what = "the promotion" if status.approval.step == "promotion" else f"step {status.approval.step}"
        yield _move(app, "approve", f"{what} of revision {status.approval.revision}")
    if candidate is not None:
        number = candidate.revision
        if app.metadata.annotations.get(names.PAUSE_ANNOTATION) == str(number):
            yield _move(app, "resume", f"revision {number} goes on")
        else:
            yield _move(app, "pause", f"revision {number} stays where it is")
        yield _move(app, "promote", f"revision {number} takes all the traffic now")
        yield _move(app, "abort", f"revision {number} is given up")
    elif serves is not None:
        yield _move(app, "abort", f"revision {serves.revision} gives the traffic back to the one before")
    if _failed(app):
        yield _move(app, "retry", "try the same again; or change the spec")
    if app.spec.rollback is not None:
        yield _move(app, "rollback --release", "what the spec says again (spec.rollback holds it)")
    if app.spec.suspend:
        yield Move("spec.suspend: false", "what waits is rolled out")


def _moves_of_training(training: TrainingJob) -> Iterator[Move]:
    approval = training.status.approval
    if approval is not None and approval.state == "Awaiting":
        yield _move(training, "approve", f"alias {approval.alias} of {approval.model} moves")
        yield _move(training, "reject", "the alias stays")
    if _failed(training):
        yield _move(training, "retry", "another run; or change the spec")
    if training.spec.suspend:
        yield Move("spec.suspend: false", "what waits goes on")


def _move(resource: Resource, verb: str, effect: str) -> Move:
    word, _, option = verb.partition(" ")
    short = "appd" if isinstance(resource, AppDeployment) else "tj"
    command = f"kubectl tandem -n {resource.metadata.namespace} {word} {short}/{resource.metadata.name}"
    return Move(f"{command} {option}".rstrip(), effect)


def _failed(resource: Resource) -> bool:
    stalled = condition_of(resource.status.conditions, STALLED)
    return stalled is not None and stalled.status == "True"


def _of_app(app: AppDeployment, now: datetime) -> Iterator[tuple[str, str]]:
    stable, candidate = app.status.stable, app.status.candidate
    yield "serves", _revision(stable) if stable else "nothing yet"
    if candidate is not None:
        yield "candidate", _revision(candidate)
    if app.status.preview_url:
        yield "preview", app.status.preview_url
    yield from _images(app)
    yield from _judgement(app, now)
    yield from _decided(app, now)
    if app.status.delivery is not None and app.status.delivery.history:
        yield "delivery", _delivered(app.status.delivery)


def _images(app: AppDeployment) -> Iterator[tuple[str, str]]:
    """Of revisions whose pods do not all run the same."""
    for one in app.status.revisions:
        if one.other_image_digests:
            others = ", ".join(one.other_image_digests)
            yield (
                "images",
                f"revision {one.revision} runs {one.image_digest} and {others} as {one.image}: the tag moved",
            )


def _judgement(app: AppDeployment, now: datetime) -> Iterator[tuple[str, str]]:
    """The latest one, for as long as the rollout is about it."""
    rolled_out, judged = condition_of(app.status.conditions, ROLLED_OUT), app.status.analysis
    if judged is None or rolled_out is None or rolled_out.status == "True":
        return
    what = f"{judged.moment} of revision {judged.revision}"
    yield "judgement", f"{what}: {judged.phase}, since {_ago(judged.start_time, now)}"
    for metric in judged.metrics:
        yield "", f"{metric.name}{' (dry run)' if metric.dry_run else ''}: {metric.phase}, {metric.message}"
    if judged.phase == "Running":
        yield "", judged.message
    if judged.job_name:
        namespace = app.metadata.namespace
        yield "", f"kubectl -n {namespace} logs job/{judged.job_name} --all-containers   # each measurement"


def _decided(app: AppDeployment, now: datetime) -> Iterator[tuple[str, str]]:
    """What a person has said last about what is tried, or about what was tried last."""
    if not app.status.decisions or not app.status.revisions:
        return
    last, latest = app.status.decisions[0], max(record.revision for record in app.status.revisions)
    if last.revision != latest:
        return
    step = {"": "", "promotion": ", the promotion"}.get(last.step, f", step {last.step}")
    by = f" by {last.by}" if last.by else ""
    since = f", {duration(now - last.time)} ago" if last.time is not None else ""
    yield "decided", f"revision {last.revision}{step}: {last.verb}{by}{since}" + (f": {last.why}" if last.why else "")


def _revision(one: RevisionStatus) -> str:
    what = [f"model {one.model.name} version {one.model.version}"] if one.model else []
    what += [f"image {one.image}"] if one.image else []
    what += [f"commit {one.commit[:12]}"] if one.commit else []
    share = f", {one.traffic_percent} % of the traffic" if one.traffic_percent is not None else ""
    return f"revision {one.revision} ({', '.join(what)}){share}"


def _delivered(figures: DeliveryStatus) -> str:
    """The four of DORA, those that are known."""
    told = [f"{figures.deployments_30d} in 30 days"]
    if figures.lead_time_p50_seconds is not None:
        told.append(f"lead time {duration(timedelta(seconds=figures.lead_time_p50_seconds))}")
    if figures.change_failure_rate:
        told.append(f"{float(figures.change_failure_rate):.0%} failed")
    if figures.time_to_restore_p50_seconds is not None:
        told.append(f"restored in {duration(timedelta(seconds=figures.time_to_restore_p50_seconds))}")
    return ", ".join(told)


def _of_training(training: TrainingJob) -> Iterator[tuple[str, str]]:
    run, model = training.status.run, training.status.model
    if run is not None:
        how_far = f", {run.progress.percentage} %" if run.progress and run.progress.percentage is not None else ""
        step = f", step {run.step}{how_far}" if run.step else ""
        yield "run", f"{run.number} ({run.trigger.type}{step})"
    if model is not None:
        yield "model", f"{model.name} version {model.version}"


def _heading(ready: Condition, conditions: tuple[Condition, ...]) -> str:
    if ready.status == "True":
        return "says"
    return "failed" if condition_of(conditions, STALLED) is not None else "waits for"


def _message(resource: Resource, ready: Condition) -> str:
    if isinstance(resource, AppDeployment) and resource.status.explain and ready.status != "True":
        return resource.status.explain
    return ready.message


def _since(resource: Resource, ready: Condition) -> datetime:
    """Of the step that decides Ready, where one does: Ready may have been Unknown for many steps."""
    judged = resource.status.analysis if isinstance(resource, AppDeployment) else None
    if judged is not None and ready.reason in _JUDGED:
        return judged.start_time
    approval = resource.status.approval
    if approval is not None and approval.state == "Awaiting" and approval.last_transition_time is not None:
        return approval.last_transition_time
    if resource.status.waiting_since is not None:
        return resource.status.waiting_since
    same = [c for c in resource.status.conditions if c.reason == ready.reason and c.type not in _ABOUT_ITSELF]
    return max((c.last_transition_time for c in same), default=ready.last_transition_time)


def _noteworthy(conditions: Iterable[Condition], ready: Condition | None) -> Iterator[Condition]:
    """What is not as it should be, and is not what Ready tells already."""
    for one in conditions:
        good = "False" if one.type in _ABNORMAL_TRUE else "True"
        if one.type not in _ABOUT_ITSELF and one.status != good and (ready is None or one.message != ready.message):
            yield one


def _told(one: Condition) -> str:
    return f"{one.type} is {one.status} ({one.reason}): {one.message}"


def _ago(since: datetime, now: datetime) -> str:
    return f"{since:%Y-%m-%d %H:%M:%S}Z, {duration(now - since)}"


def duration(span: timedelta) -> str:
    """As kubectl writes an age: 45s, 12m, 3h20m, 5d4h."""
    minutes, seconds = divmod(max(0, int(span.total_seconds())), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours}h"
    if hours:
        return f"{hours}h{minutes}m"
    return f"{minutes}m" if minutes else f"{seconds}s"
