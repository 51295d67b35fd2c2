"""What the screen shows, as one immutable value; and the board on which readers and chapters write the next one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, TypeAlias

from demo.visitor import Tally
from tandem.api.appdeployment import AppDeployment
from tandem.api.trainingjob import TrainingJob

ChapterState: TypeAlias = Literal["ahead", "now", "done", "failed"]
KEPT_EVENTS = 200


@dataclass(frozen=True)
class ChapterLine:
    """``command``: the last one that it ran."""

    title: str
    state: ChapterState = "ahead"
    begun: datetime | None = None
    ended: datetime | None = None
    command: str = ""

    def seconds(self, now: datetime) -> float | None:
        return ((self.ended or now) - self.begun).total_seconds() if self.begun else None


@dataclass(frozen=True)
class EventLine:
    """One Event about one of the two kinds."""

    uid: str
    at: datetime
    warning: bool
    reason: str
    about: str  # trainingjob/iris
    by: str  # tandem.dev/operator, tandem.dev/drift
    message: str


@dataclass(frozen=True)
class Snapshot:
    """``visitors``: app → what was counted up to now. ``events``: oldest first."""

    cluster: str
    namespace: str
    begun: datetime
    chapters: tuple[ChapterLine, ...]
    jobs: Mapping[str, TrainingJob] = field(default_factory=dict)
    apps: Mapping[str, AppDeployment] = field(default_factory=dict)
    visitors: Mapping[str, Tally] = field(default_factory=dict)
    events: tuple[EventLine, ...] = ()

    def with_chapter(self, title: str, change: Callable[[ChapterLine], ChapterLine]) -> Snapshot:
        chapters = tuple(change(line) if line.title == title else line for line in self.chapters)
        return replace(self, chapters=chapters)

    def with_event(self, event: EventLine) -> Snapshot:
        """An Event that is known already is replaced: a watch that starts anew tells all of them again."""
        others = [known for known in self.events if known.uid != event.uid]
        ordered = sorted([*others, event], key=lambda known: known.at)
        return replace(self, events=tuple(ordered[-KEPT_EVENTS:]))

    def with_answer(self, app: str, line: str) -> Snapshot:
        tally = self.visitors.get(app, Tally()).and_then(line)
        return replace(self, visitors={**self.visitors, app: tally})


class Board:
    """The newest snapshot; threads change it one after the other."""

    def __init__(self, first: Snapshot) -> None:
        self._snapshot = first
        self._changed = threading.Condition()

    @property
    def snapshot(self) -> Snapshot:
        with self._changed:
            return self._snapshot

    def change(self, next_: Callable[[Snapshot], Snapshot]) -> None:
        with self._changed:
            self._snapshot = next_(self._snapshot)
            self._changed.notify_all()

    def after(self, seen: Snapshot, patience: float) -> Snapshot:
        """The next snapshot after this one, or the same when nothing has happened for so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: self._snapshot is not seen, patience)
            return self._snapshot
