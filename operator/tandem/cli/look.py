"""Where a resource stands: told once, waited for, or as a table of what there was."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import typer

from tandem.api.appdeployment import AppDeployment
from tandem.api.conditions import READY, STALLED
from tandem.api.duration import parse_duration
from tandem.api.meta import Json, condition_of
from tandem.api.trainingjob import TrainingJob
from tandem.cli.cluster import Cluster, Expired
from tandem.cli.errors import CommandError
from tandem.cli.explain import Resource, duration, explain
from tandem.cli.options import Context, Name, Namespace
from tandem.cli.target import Found, find

READY_CODE: Final = 0
FAILED_CODE: Final = 1
NOT_YET_CODE: Final = 2


def status(name: Name, namespace: Namespace = None, context: Context = None) -> None:
    """What goes on, what it waits for, since when, and which command moves it."""
    found = find(Cluster(context, namespace), name)
    for line in explain(found.view, datetime.now(UTC)):
        typer.echo(line)


def wait(
    name: Name,
    timeout: Annotated[str, typer.Option(metavar="DURATION", help="90s, 15m, 1h30m.")] = "15m",
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Wait until the spec as it is now is in service, or trained. Exit code 0: it is, 1: it failed, 2: not yet."""
    try:
        patience = parse_duration(timeout).total_seconds()
    except ValueError as error:
        raise CommandError(f"--timeout: {error}") from None
    cluster = Cluster(context, namespace)
    code = until_settled(cluster, find(cluster, name), patience, lambda line: typer.echo(line, err=True))
    raise typer.Exit(code)


def history(name: Name, namespace: Namespace = None, context: Context = None) -> None:
    """The revisions of an AppDeployment, or the runs of a TrainingJob; the latest first."""
    view = find(Cluster(context, namespace), name).view
    rows = list(_revisions(view) if isinstance(view, AppDeployment) else _runs(view))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def until_settled(cluster: Cluster, found: Found, patience: float, tell: Callable[[str], None]) -> int:
    """The exit code of ``wait``. What it waits for is told whenever that changes."""
    end = time.monotonic() + patience
    said = ""
    for now in _changes(cluster, found, end):
        if now is None:
            tell(f"{found} was deleted")
            return FAILED_CODE
        view = now.view
        code = settled(view)
        told = _headline(view)
        if told != said:
            tell(f"{found}: {told}")
            said = told
        if code is not None:
            return code
    tell(f"{found}: not ready after {patience:.0f} s")
    for line in explain(found.view, datetime.now(UTC)):
        tell(line)
    return NOT_YET_CODE


def settled(resource: Resource) -> int | None:
    """0 or 1 when it came to an end with the spec as it is now, as kstatus judges; None while it has not."""
    if resource.status.observed_generation != resource.metadata.generation:
        return None
    told = {type_: condition_of(resource.status.conditions, type_) for type_ in (READY, STALLED)}
    ready, stalled = told[READY], told[STALLED]
    if stalled is not None and stalled.status == "True":
        return FAILED_CODE
    return READY_CODE if ready is not None and ready.status == "True" else None


def _changes(cluster: Cluster, found: Found, end: float) -> Iterator[Found | None]:
    """The resource as it was found, then whenever it changes; None when it is gone. Ends with the patience."""
    body: Json | None = found.body
    while body is not None:
        yield Found(found.kind, body)
        left = end - time.monotonic()
        if left <= 0:
            return
        try:
            # Ends at the latest after these seconds; before that when the API server or a proxy hangs up.
            for changed in cluster.watch(found.kind, found.name, body["metadata"]["resourceVersion"], int(left) + 1):
                yield Found(found.kind, changed) if changed is not None else None
        except Expired:
            pass
        body = cluster.read(found.kind, found.name)
    yield None


def _headline(resource: Resource) -> str:
    if resource.status.observed_generation != resource.metadata.generation:
        return "the operator has not looked at the spec as it is now"
    ready = condition_of(resource.status.conditions, READY)
    return f"{ready.reason}: {ready.message}" if ready else resource.status.phase


def _revisions(app: AppDeployment) -> Iterator[tuple[str, ...]]:
    yield "REVISION", "STATE", "IMAGE", "DIGEST", "MODEL", "COMMIT", "LIVE SINCE", "LEAD TIME", "REASON"
    events = app.status.delivery.history if app.status.delivery else ()
    promoted = {event.revision: event for event in events if event.type == "Promoted"}
    for one in app.status.revisions:
        model = f"{one.model.name}/{one.model.version}" if one.model else "-"
        event = promoted.get(one.revision)
        since = f"{event.time:%Y-%m-%d %H:%M:%SZ}" if event else "-"
        lead = duration(timedelta(seconds=event.seconds)) if event and event.seconds is not None else "-"
        image = one.image or "-", one.image_digest.removeprefix("sha256:")[:12] or "-"
        yield str(one.revision), one.state, *image, model, one.commit[:12] or "-", since, lead, one.reason


def _runs(training: TrainingJob) -> Iterator[tuple[str, ...]]:
    yield "RUN", "TRIGGER", "RESULT", "VERSION", "FIGURE", "COMPLETED", "MLFLOW RUN"
    run = training.status.run
    if run is not None and all(run.number != entry.number for entry in training.status.history):
        yield str(run.number), run.trigger.type, training.status.phase, "-", "-", "-", run.mlflow_run_id
    for one in training.status.history:
        when = f"{one.completion_time:%Y-%m-%d %H:%M:%SZ}"
        figures = one.version or "-", one.key_figure or "-"
        yield str(one.number), one.trigger.type, one.result, *figures, when, one.mlflow_run_id
