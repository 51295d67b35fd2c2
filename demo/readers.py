"""From the cluster to the board: watches on the two kinds and on Events, and the visitors' logs."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final, TypeAlias

import msgspec

from demo.kubectl import Change, Json, Kubectl, changes, watch_words
from demo.state import Board, EventLine, Snapshot
from demo.visitor import POD_PREFIX, VISITORS
from tandem.api.appdeployment import AppDeployment
from tandem.api.names import APP_DEPLOYMENT, TRAINING_JOB
from tandem.api.trainingjob import TrainingJob

OURS: Final = frozenset({TRAINING_JOB, APP_DEPLOYMENT})
# Between a watch that ended (the API server ends each after a while) and the next.
PAUSE: Final = 0.5

Fold: TypeAlias = Callable[[Snapshot, Change], Snapshot]


class Readers:
    """Threads that read until they are stopped; the board may be looked at all the time."""

    def __init__(self, kubectl: Kubectl, board: Board) -> None:
        self._kubectl = kubectl
        self._board = board
        self._over = threading.Event()
        self._processes: set[subprocess.Popen[str]] = set()
        self._threads: list[threading.Thread] = []
        self._here: set[str] = set()

    def start(self) -> None:
        for kind, fold in (("trainingjobs", fold_job), ("appdeployments", fold_app), ("events", fold_event)):
            self._spawn(partial(self._watch, kind, fold))
        self._spawn(self._meet)

    def stop(self) -> None:
        self._over.set()
        for process in list(self._processes):
            process.kill()
        for thread in self._threads:
            thread.join(5)

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _watch(self, kind: str, fold: Fold) -> None:
        while not self._over.is_set():
            for change in changes(self._lines(*watch_words(kind))):
                self._board.change(partial(_folded, fold, change))
            self._over.wait(PAUSE)

    def _meet(self) -> None:
        """Every visitor that comes is listened to as long as it stays."""
        while not self._over.is_set():
            for change in changes(self._lines(*watch_words("pods"), f"--selector={VISITORS}")):
                app = _name(change).removeprefix(POD_PREFIX)
                if change.type == "DELETED":
                    self._here.discard(app)
                elif change.object.get("status", {}).get("phase") == "Running" and app not in self._here:
                    self._here.add(app)
                    self._spawn(partial(self._listen, app))
            self._over.wait(PAUSE)

    def _listen(self, app: str) -> None:
        while app in self._here and not self._over.is_set():
            # A log that is followed anew begins at its first line, and so does the count.
            self._board.change(partial(without, app=app))
            for line in self._lines("logs", "--follow", f"{POD_PREFIX}{app}"):
                self._board.change(partial(_heard, app, line))
            self._over.wait(PAUSE)

    def _lines(self, *words: str) -> Iterator[str]:
        with subprocess.Popen(
            self._kubectl.words(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            self._processes.add(process)
            try:
                if self._over.is_set():
                    return
                assert process.stdout is not None
                yield from process.stdout
            finally:
                process.kill()
                self._processes.discard(process)


def fold_job(snapshot: Snapshot, change: Change) -> Snapshot:
    others = {name: job for name, job in snapshot.jobs.items() if name != _name(change)}
    new = {} if change.type == "DELETED" else {_name(change): msgspec.convert(change.object, TrainingJob)}
    return replace(snapshot, jobs={**others, **new})


def fold_app(snapshot: Snapshot, change: Change) -> Snapshot:
    others = {name: app for name, app in snapshot.apps.items() if name != _name(change)}
    new = {} if change.type == "DELETED" else {_name(change): msgspec.convert(change.object, AppDeployment)}
    return replace(snapshot, apps={**others, **new})


def fold_event(snapshot: Snapshot, change: Change) -> Snapshot:
    event = event_line(change.object)
    return snapshot if event is None or change.type == "DELETED" else snapshot.with_event(event)


def event_line(event: Json) -> EventLine | None:
    """None for an Event about anything else than the two kinds."""
    about = event["involvedObject"]
    if about.get("kind") not in OURS:
        return None
    at = event.get("eventTime") or event.get("lastTimestamp") or event["metadata"]["creationTimestamp"]
    return EventLine(
        uid=event["metadata"]["uid"],
        at=datetime.fromisoformat(at),
        warning=event.get("type") == "Warning",
        reason=event.get("reason", ""),
        about=f"{about['kind'].lower()}/{about['name']}",
        by=event.get("reportingComponent", ""),
        message=event.get("message", ""),
    )


def without(snapshot: Snapshot, app: str) -> Snapshot:
    return replace(snapshot, visitors={name: tally for name, tally in snapshot.visitors.items() if name != app})


def _folded(fold: Fold, change: Change, snapshot: Snapshot) -> Snapshot:
    return fold(snapshot, change)


def _heard(app: str, line: str, snapshot: Snapshot) -> Snapshot:
    return snapshot.with_answer(app, line)


def _name(change: Change) -> str:
    name: str = change.object["metadata"]["name"]
    return name
