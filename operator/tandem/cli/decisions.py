"""What people say to a rollout or a run: annotations, so that GitOps does not undo them (docs/design/rollouts.md).

Each word names the revision or the run that it means, so one that comes too late means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from tandem.api import names
from tandem.api.appdeployment import AppDeployment
from tandem.api.appdeployment_status import RevisionStatus
from tandem.api.conditions import READY, STALLED
from tandem.api.meta import condition_of
from tandem.api.trainingjob import TrainingJob
from tandem.cli.cluster import Cluster
from tandem.cli.errors import CommandError
from tandem.cli.explain import is_undecided, watched
from tandem.cli.options import Context, Decider, Name, Namespace, Reason
from tandem.cli.target import Found, find, find_app, find_training


def promote(
    name: Name, namespace: Namespace = None, context: Context = None, as_decider: Decider = None, reason: Reason = None
) -> None:
    """The candidate takes all the traffic now: pauses and judgements that are pending are skipped."""
    cluster = Cluster(context, namespace)
    found, app = find_app(cluster, name)
    number = _candidate(app, "promote").revision
    who = Who(as_decider, reason)
    _decide(cluster, found, who, names.PROMOTE_ANNOTATION, str(number), f"revision {number} is promoted")


def abort(
    name: Name, namespace: Namespace = None, context: Context = None, as_decider: Decider = None, reason: Reason = None
) -> None:
    """Give a revision up: a candidate is set aside, and what is still watched gives the traffic back."""
    cluster = Cluster(context, namespace)
    found, app = find_app(cluster, name)
    serves = watched(app, datetime.now(UTC)) if app.status.candidate is None else None
    number = (serves or _candidate(app, "abort")).revision
    who = Who(as_decider, reason)
    _decide(cluster, found, who, names.ABORT_ANNOTATION, str(number), f"revision {number} is aborted")


def pause(
    name: Name, namespace: Namespace = None, context: Context = None, as_decider: Decider = None, reason: Reason = None
) -> None:
    """The candidate stays at its step until somebody resumes it."""
    cluster = Cluster(context, namespace)
    found, app = find_app(cluster, name)
    number = _candidate(app, "pause").revision
    who = Who(as_decider, reason)
    _decide(cluster, found, who, names.PAUSE_ANNOTATION, str(number), f"revision {number} is paused")


def resume(
    name: Name, namespace: Namespace = None, context: Context = None, as_decider: Decider = None, reason: Reason = None
) -> None:
    """A paused rollout goes on."""
    cluster = Cluster(context, namespace)
    found, app = find_app(cluster, name)
    paused = found.annotations.get(names.PAUSE_ANNOTATION)
    if not paused:
        suspended = (
            "; spec.suspend is true, which is set to false where the spec comes from" if app.spec.suspend else ""
        )
        raise CommandError(f"{found} is not paused{suspended}")
    _decide(cluster, found, Who(as_decider, reason), names.PAUSE_ANNOTATION, None, f"revision {paused} goes on")


def approve(
    name: Name, namespace: Namespace = None, context: Context = None, as_decider: Decider = None, reason: Reason = None
) -> None:
    """Approve what waits for a person: a step of a rollout, or the promotion of a trained model."""
    cluster = Cluster(context, namespace)
    found = find(cluster, name)
    word, what = _awaited(found)
    _decide(cluster, found, Who(as_decider, reason), names.APPROVED_ANNOTATION, word, f"{what} is approved")


def reject(
    name: Name, namespace: Namespace = None, context: Context = None, as_decider: Decider = None, reason: Reason = None
) -> None:
    """Reject the model of a TrainingJob's run: the alias stays. (A rollout is aborted.)"""
    cluster = Cluster(context, namespace)
    found, _ = find_training(cluster, name)
    word, what = _awaited(found)
    _decide(cluster, found, Who(as_decider, reason), names.REJECTED_ANNOTATION, word, f"{what} is rejected")


def retry(
    name: Name, namespace: Namespace = None, context: Context = None, as_decider: Decider = None, reason: Reason = None
) -> None:
    """Try a failed revision once more, judge one that nobody could judge, or start another run of a TrainingJob."""
    cluster = Cluster(context, namespace)
    found = find(cluster, name)
    view = found.view
    stalled = condition_of(view.status.conditions, STALLED) is not None
    if isinstance(view, AppDeployment) and not stalled and not is_undecided(view):
        ready = condition_of(view.status.conditions, READY)
        raise CommandError(f"{found} has not failed" + (f": {ready.message}" if ready else ""))
    what = "another run" if isinstance(view, TrainingJob) else "another try"
    _ask(cluster, found, Who(as_decider, reason), what, _said_before(found))


def trigger(
    name: Name, namespace: Namespace = None, context: Context = None, as_decider: Decider = None, reason: Reason = None
) -> None:
    """Start a run of a TrainingJob now, whatever its schedule says."""
    cluster = Cluster(context, namespace)
    found, training = find_training(cluster, name)
    _ask(cluster, found, Who(as_decider, reason), "a run", taken_away={})
    if training.spec.suspend:
        typer.echo("It starts when spec.suspend is false.", err=True)


def rollback(
    name: Name,
    to_revision: Annotated[int | None, typer.Option(min=1, help="Default: the latest one that served before.")] = None,
    release: Annotated[bool, typer.Option("--release", help="Remove spec.rollback: what the spec says again.")] = False,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Run an earlier revision again, with its image, configuration and model (spec.rollback)."""
    cluster = Cluster(context, namespace)
    found, app = find_app(cluster, name)
    if release:
        if app.spec.rollback is None:
            raise CommandError(f"{found} is not held by spec.rollback")
        cluster.merge(found.kind, found.name, {"spec": {"rollback": None}})
        typer.echo(f"{found}: what the spec says is rolled out again")
        typer.echo("Remove spec.rollback in Git as well, if that is where the spec comes from.", err=True)
        return
    number = _earlier(app, to_revision)
    cluster.merge(found.kind, found.name, {"spec": {"rollback": {"toRevision": number}}})
    typer.echo(f"{found}: back to revision {number}")
    in_git = f"`rollback: {{toRevision: {number}}}`"
    typer.echo(f"Where the spec comes from Git, commit {in_git} there too: the next sync takes it back else.", err=True)
    typer.echo(f"It holds until it is removed: kubectl tandem rollback {found.name} --release", err=True)


def _candidate(app: AppDeployment, verb: str) -> RevisionStatus:
    if app.status.candidate is not None:
        return app.status.candidate
    ready = condition_of(app.status.conditions, READY)
    why = f": {ready.message}" if ready else ", the operator has not looked at it yet"
    raise CommandError(f"there is nothing to {verb}, no revision is on its way{why}")


def _awaited(found: Found) -> tuple[str, str]:
    """What an approval has to say, and what it is about."""
    view = found.view
    if isinstance(view, AppDeployment):
        step = view.status.approval
        if step is not None and step.state == "Awaiting":
            what = "promotion" if step.step == "promotion" else f"step {step.step}"
            return f"{step.revision}/{step.step}", f"{what} of revision {step.revision}"
    else:
        run = view.status.approval
        if run is not None and run.state == "Awaiting":
            number = view.status.run.number if view.status.run else 0
            return run.mlflow_run_id, f"run {number} ({run.mlflow_run_id})"
    raise CommandError(f"nothing of {found} waits for a person: kubectl tandem status {found.name} says what it does")


def _earlier(app: AppDeployment, wanted: int | None) -> int:
    kept = {record.revision: record for record in app.status.revisions}
    serving = app.status.stable.revision if app.status.stable else None
    if wanted is None:
        before = [number for number, record in kept.items() if record.state == "Retired" and number != serving]
        if not before:
            raise CommandError("there is no revision that served before")
        return max(before)
    if wanted not in kept:
        numbers = ", ".join(str(number) for number in sorted(kept)) or "none"
        raise CommandError(f"revision {wanted} is not kept (kept: {numbers})")
    if kept[wanted].state == "Failed":
        raise CommandError(f"revision {wanted} failed ({kept[wanted].reason}): it would stay in quarantine")
    return wanted


@dataclass(frozen=True)
class Who:
    """Who says it, and why; None: whom the kubeconfig stands for, and nobody said why."""

    name: str | None
    reason: str | None


def _said_before(found: Found) -> dict[str, None]:
    """The words about a revision that has failed: about the try that is over. Where one is on its way they stay.

    The operator knows them for spent without this. But whoever looks at the resource would read them as if they held.
    """
    if not isinstance(found.view, AppDeployment) or found.view.status.candidate is not None:
        return {}
    words = (names.ABORT_ANNOTATION, names.PROMOTE_ANNOTATION, names.APPROVED_ANNOTATION)
    return {word: None for word in words if word in found.annotations}


def _decide(cluster: Cluster, found: Found, who: Who, annotation: str, word: str | None, what: str) -> None:
    by = who.name or cluster.me()
    # What `by` and the reason are about: they stay, and the next word may be written without them.
    decided = f"{annotation.removeprefix(f'{names.GROUP}/')} {word or 'none'} {_now()}"
    said = {
        names.DECIDED_ANNOTATION: decided,
        names.DECIDED_BY_ANNOTATION: by,
        names.DECIDED_BECAUSE_ANNOTATION: who.reason,
    }
    cluster.annotate(found.kind, found.name, {annotation: word, **said})
    typer.echo(f"{found}: {what} by {by}")


def _ask(cluster: Cluster, found: Found, who: Who, what: str, taken_away: Mapping[str, None]) -> None:
    # Whatever was not there before is a request; the time is one that people can read.
    token, by = _now(), who.name or cluster.me()
    said = {
        names.REQUESTED_AT_ANNOTATION: token,
        names.REQUESTED_ANNOTATION: token,  # what `by` and the reason are about
        names.REQUESTED_BY_ANNOTATION: by,
        names.REQUESTED_BECAUSE_ANNOTATION: who.reason,
    }
    cluster.annotate(found.kind, found.name, {**said, **taken_away})
    typer.echo(f"{found}: {what} is asked for by {by}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
