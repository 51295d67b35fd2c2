"""What is left when the story is over: what happened when, where a prediction came from, where to look next."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from demo.facts import Lineage, Story
from demo.stage import MODEL
from demo.state import EventLine, Snapshot
from demo.view import answers, duration, failures, short
from demo.visitor import Tally
from tandem.api.conditions import READY
from tandem.api.meta import condition_of

# The turns of the story; every other Event is a step between two of them.
TURNS: Final = frozenset(
    {
        "ThresholdsMet",
        "VersionRegistered",
        "RevisionCreated",
        "TrafficSwitched",
        "AliasPromoted",
        "WithinBounds",
        "DriftDetected",
        "RetrainRequested",
        "RevisionFailed",
    }
)


def summary(story: Story, snapshot: Snapshot) -> RenderableType:
    return Group(
        *_titled("What happened, and when", timeline(snapshot.events, snapshot.begun)),
        *_titled("Where that prediction came from", lineage(story.lineage)),
        *_titled("Was anybody turned away?", visitors(story)),
        *_titled("The release that never took the traffic", Text(refused(story))),
    )


def timeline(events: Iterable[EventLine], begun: datetime) -> Table:
    table = Table.grid(padding=(0, 2))
    for event in turns(events):
        at = duration((event.at - begun).total_seconds())
        table.add_row(at, event.about, Text(event.reason, "yellow" if event.warning else ""), short(event.message))
    return table


def turns(events: Iterable[EventLine]) -> list[EventLine]:
    """The Events that turn the story."""
    return [event for event in events if event.reason in TURNS]


def lineage(found: Lineage) -> Table:
    table = Table.grid(padding=(0, 2))
    for link in found.links:
        # Folded, never cut: half a digest is none.
        table.add_row(Text(link.what, "bold"), Text(link.value, overflow="fold"))
    return table


def visitors(story: Story) -> Table:
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="dim")
    for name in ("APP", "REQUESTS", "ANSWERED", "FAILED", "SLOWEST"):
        table.add_column(name)
    for app, tally in sorted(story.visitors.items()):
        colour = "bold red" if tally.failures else "green"
        table.add_row(
            app, str(_requests(tally)), answers(tally), Text(failures(tally), colour), f"{tally.slowest_ms} ms"
        )
    return table


def refused(story: Story) -> str:
    app = story.released.refused
    ready = condition_of(app.status.conditions, READY)
    stable = app.status.stable.image if app.status.stable else "nothing"
    return f"{app.metadata.name} serves {stable}. {ready.reason}: {ready.message}" if ready else f"{stable} serves"


def commands(namespace: str, kubectl: Sequence[str]) -> list[str]:
    """Where to look next, to be pasted into a shell: so these lines are never broken."""
    return [
        f"alias kubectl={shlex.quote(shlex.join(kubectl))}",
        f"kubectl -n {namespace} get trainingjobs,appdeployments",
        f"kubectl -n {namespace} describe trainingjob {MODEL}  # conditions, gate, data digests, history",
        f"kubectl -n {namespace} get appdeployment web -o yaml  # why the broken release was set aside",
        "kubectl -n tandem-system logs deployment/tandem-operator",
        f"kubectl -n tandem-system port-forward service/mlflow 5000  # then http://localhost:5000/#/models/{MODEL}",
        "make demo  # tells the story again, on this cluster",
        "make demo-down  # removes the cluster",
    ]


def verdict(story: Story) -> list[str]:
    """What keeps the demonstration from being a success; empty when nothing does."""
    wrong = [f"{app}: {failures(tally)} requests failed" for app, tally in story.visitors.items() if tally.failures]
    if story.visitors["web"].answered.get("broken"):
        wrong.append("web: the broken release answered requests")
    return wrong


def _requests(tally: Tally) -> int:
    return tally.answers + tally.failures


def _titled(title: str, content: RenderableType) -> tuple[RenderableType, ...]:
    return ("", Text(title, "bold underline"), content)
