"""The screen: a pure function from a snapshot to what rich renders."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from demo.state import ChapterLine, EventLine, Snapshot
from demo.visitor import Tally
from tandem.api.appdeployment import AppDeployment
from tandem.api.conditions import READY
from tandem.api.meta import Condition, condition_of
from tandem.api.trainingjob import TrainingJob

MARKS: Final = {"ahead": "[dim]·[/]", "now": "[cyan]▶[/]", "done": "[green]✔[/]", "failed": "[red]✘[/]"}
EVENTS: Final = 7


def screen(snapshot: Snapshot, now: datetime) -> RenderableType:
    """At most some 35 lines of 100 columns."""
    parts: list[RenderableType] = [_title(snapshot, now), _chapters(snapshot, now)]
    if snapshot.jobs or snapshot.apps:
        parts += ["", _jobs(snapshot.jobs, now), _apps(snapshot.apps, now)]
    if snapshot.visitors:
        parts += ["", _visitors(snapshot.visitors)]
    if snapshot.events:
        parts += ["", _events(snapshot.events[-EVENTS:], snapshot.begun)]
    return Group(*parts)


def duration(seconds: float) -> str:
    """As kubectl writes an age: 7s, 2m05s, 1h02m."""
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


def answers(tally: Tally) -> str:
    """``version 1: 412, version 2: 97``"""
    ordered = sorted(tally.answered.items())
    return ", ".join(f"version {version}: {count}" for version, count in ordered) or "none yet"


def failures(tally: Tally) -> str:
    """``0``, or how many and why."""
    why = ", ".join(f"{count} × {reason}" for reason, count in sorted(tally.failed.items()))
    return f"{tally.failures} ({why})" if why else "0"


def short(message: str) -> str:
    """Without what the reason says already (``Registered=True: ``)."""
    head, colon, rest = message.partition(": ")
    return rest if colon and "=" in head and " " not in head else message


def _title(snapshot: Snapshot, now: datetime) -> Text:
    took = duration((now - snapshot.begun).total_seconds())
    return Text.from_markup(f"[bold]Tandem[/]  cluster {snapshot.cluster}, namespace {snapshot.namespace}, {took}")


def _chapters(snapshot: Snapshot, now: datetime) -> Table:
    table = Table.grid(padding=(0, 1))
    for width in (1, 2, 42, 6):
        table.add_column(no_wrap=True, min_width=width)
    table.add_column()
    for number, line in enumerate(snapshot.chapters, start=1):
        seconds = line.seconds(now)
        took = duration(seconds) if seconds is not None else ""
        style = {"ahead": "dim", "now": "bold"}.get(line.state, "")
        table.add_row(
            Text.from_markup(MARKS[line.state]), str(number), Text(line.title, style), took, _cut(_doing(line), "dim")
        )
    return table


def _doing(line: ChapterLine) -> str:
    return f"$ {line.command}" if line.command and line.state in {"now", "failed"} else ""


def _jobs(jobs: Mapping[str, TrainingJob], now: datetime) -> Table:
    table = _columns("TRAININGJOB", "PHASE", "STEP", "RUN", "FIGURE", "MODEL", "REASON", "DRIFT")
    for name, job in sorted(jobs.items()):
        status = job.status
        run, model = status.run, status.model
        table.add_row(
            name,
            status.phase,
            run.step if run else "",
            str(run.number) if run else "",
            status.key_figure,
            model.version if model else "",
            _reason(status.conditions, READY),
            _drift(job),
        )
    return table


def _apps(apps: Mapping[str, AppDeployment], now: datetime) -> Table:
    table = _columns("APPDEPLOYMENT", "PHASE", "STABLE", "SERVES", "CANDIDATE", "READY", "REASON")
    for name, app in sorted(apps.items()):
        status = app.status
        stable, candidate = status.stable, status.candidate
        ready = condition_of(status.conditions, READY)
        table.add_row(
            name,
            status.phase,
            str(stable.revision) if stable else "",
            (f"{stable.model.name} v{stable.model.version}" if stable.model else stable.image) if stable else "",
            (f"v{candidate.model.version}" if candidate.model else candidate.image) if candidate else "",
            ready.status if ready else "",
            ready.reason if ready else "",
        )
    return table


def _visitors(visitors: Mapping[str, Tally]) -> Table:
    table = _columns("VISITOR OF", "ANSWERED", "FAILED", "SLOWEST")
    for app, tally in sorted(visitors.items()):
        failed = Text(failures(tally), "bold red" if tally.failures else "green")
        table.add_row(app, answers(tally), failed, f"{tally.slowest_ms} ms")
    return table


def _events(events: tuple[EventLine, ...], begun: datetime) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column()
    for event in events:
        at = duration((event.at - begun).total_seconds())
        reason = Text(event.reason, "yellow" if event.warning else "")
        table.add_row(at, event.about, reason, _cut(short(event.message)))
    return table


def _cut(text: str, style: str = "") -> Text:
    """In a column that may shrink, so that it is this text that is cut where the terminal is narrow, and no other."""
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _columns(*names: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in names:
        table.add_column(name, no_wrap=True, overflow="ellipsis")
    return table


def _drift(job: TrainingJob) -> str:
    """``accuracy 0.71, 3 breaches``: the first signal is what a person looks at."""
    drift = job.status.drift
    if drift is None or not drift.signals or not drift.signals[0].value:
        return ""
    signal = drift.signals[0]
    counted = f", {signal.breaches} breaches" if signal.breaches else ""
    return f"{signal.metric} {signal.value}{counted} ({signal.state})"


def _reason(conditions: tuple[Condition, ...], type_: str) -> str:
    found = condition_of(conditions, type_)
    return found.reason if found else ""
