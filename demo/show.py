"""The story while it is told: a live screen on a terminal, plain lines elsewhere. Both show the same board."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from rich.console import Console
from rich.live import Live

from demo.readers import Readers
from demo.scene import Scene
from demo.state import Board, ChapterLine, Snapshot
from demo.story import Chapter
from demo.view import duration, failures, screen, short

REFRESH: Final = 0.5

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class Show:
    """Gives each chapter its scene, and keeps the board."""

    def __init__(self, scene: Scene, board: Board, clock: Clock = utc_now) -> None:
        self._scene = scene
        self._board = board
        self._clock = clock

    @contextmanager
    def chapter(self, title: str) -> Iterator[Scene]:
        self._set(title, lambda line: replace(line, state="now", begun=self._clock()))
        try:
            yield replace(self._scene, note=lambda command: self._note(title, command))
        except BaseException:
            self._set(title, lambda line: replace(line, state="failed", ended=self._clock()))
            raise
        self._set(title, lambda line: replace(line, state="done", ended=self._clock()))

    def _note(self, title: str, command: str) -> None:
        self._set(title, lambda line: replace(line, command=command))

    def _set(self, title: str, change: Callable[[ChapterLine], ChapterLine]) -> None:
        self._board.change(lambda snapshot: snapshot.with_chapter(title, change))


@contextmanager
def showing(scene: Scene, cluster: str, titles: tuple[str, ...], console: Console) -> Iterator[tuple[Chapter, Board]]:
    """Shows what happens until the block is left."""
    chapters = tuple(ChapterLine(title) for title in titles)
    board = Board(Snapshot(cluster, scene.kubectl.namespace, utc_now(), chapters))
    readers = Readers(scene.kubectl, board)
    show = Show(scene, board)
    over = threading.Event()
    painter = threading.Thread(target=_paint if console.is_terminal else _print, args=(board, console, over))
    readers.start()
    painter.start()
    try:
        yield show.chapter, board
    finally:
        over.set()
        painter.join()
        readers.stop()


def _paint(board: Board, console: Console, over: threading.Event) -> None:
    snapshot = board.snapshot
    with Live(screen(snapshot, utc_now()), console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while not over.is_set():
            snapshot = board.after(snapshot, REFRESH)
            live.update(screen(snapshot, utc_now()), refresh=True)
            # A watch that starts brings many changes at once: painting each would only cost time.
            over.wait(0.1)
        live.update(screen(board.snapshot, utc_now()), refresh=True)


def _print(board: Board, console: Console, over: threading.Event) -> None:
    seen = board.snapshot
    while not over.is_set():
        seen = _print_next(board.after(seen, REFRESH), seen, console)
    _print_next(board.snapshot, seen, console)


def _print_next(snapshot: Snapshot, seen: Snapshot, console: Console) -> Snapshot:
    for line in news(seen, snapshot):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return snapshot


def news(before: Snapshot, after: Snapshot) -> list[str]:
    """What has happened between two snapshots, in lines for a log."""
    lines: list[str] = []
    for number, (was, now) in enumerate(zip(before.chapters, after.chapters, strict=True), start=1):
        if now.begun and not was.begun:
            lines.append(f"{number}. {now.title} …")
        if now.command != was.command:
            lines.append(f"   $ {now.command}")
        if now.ended and not was.ended:
            how = "done" if now.state == "done" else "FAILED"
            lines.append(f"{number}. {now.title}: {how}, {duration(now.seconds(now.ended) or 0)}")
    known = {event.uid for event in before.events}
    for event in after.events:
        if event.uid not in known and event.at >= after.begun:
            at = duration((event.at - after.begun).total_seconds())
            lines.append(f"   {at:>6} {event.about} {event.reason}: {short(event.message)}")
    for app, tally in after.visitors.items():
        if tally.failures > (before.visitors[app].failures if app in before.visitors else 0):
            lines.append(f"   visitor of {app}: failed {failures(tally)}")
    return lines
