"""Watches: every change from a version on, a line each; and what may befall a stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec
from aiohttp import web

from tests.faults.apiserver.answers import expired
from tests.faults.apiserver.database import Change, Database
from tests.faults.apiserver.faults import Dropped
from tests.faults.apiserver.kinds import Json, Kind
from tests.faults.apiserver.reads import Selects

# What is sent for one event: itself, nothing, twice, another … A str goes out as it is; None ends the connection.
Sent: TypeAlias = Sequence[Json | str | None]
Meddle: TypeAlias = Callable[["Watch", Json], Sent]


def faithful(_: Watch, event: Json) -> Sent:
    return [event]


@dataclass(eq=False)
class Watch:
    kind: Kind
    agent: str
    selects: Selects
    seen: int  # the revision up to which everything was sent
    silent: bool = False  # the connection is dead, and nobody has told
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Watches:
    """``view``: how far watchers can see, None: to the present; of ``behind`` alone, or of everything (none of them).

    ``meddle`` is asked what to send for each event.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.open: list[Watch] = []
        self.view: int | None = None
        self.behind: tuple[Kind, ...] = ()
        self.meddle: Meddle = faithful
        self.bookmarks = 0
        database.listeners.append(lambda _: self.wake())

    def wake(self) -> None:
        for watch in self.open:
            watch.news.set()

    def bookmark(self) -> None:
        """Tell every watcher which version is the present one."""
        self.bookmarks += 1
        self.wake()

    async def serve(self, request: web.Request, watch: Watch, since: str) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        if since in {"", "0"}:
            watch.seen = self.horizon(watch.kind)
            for place, body in sorted(self._database.at(watch.seen).items(), key=lambda pair: pair[0][1:]):
                if place[0] is watch.kind and watch.selects(body):
                    await self._send(response, watch, {"type": "ADDED", "object": body})
        elif int(since) < self._database.oldest:
            told = expired(f"too old resource version: {since} ({self._database.oldest})")
            await response.write(_line({"type": "ERROR", "object": told.status()}))
            return response
        self.open.append(watch)
        try:
            await self._follow(response, watch)
        finally:
            self.open.remove(watch)
        return response

    def horizon(self, kind: Kind) -> int:
        if self.view is None or (self.behind and kind not in self.behind):
            return self._database.revision
        return self.view

    async def _follow(self, response: web.StreamResponse, watch: Watch) -> None:
        marked = self.bookmarks
        while True:
            watch.news.clear()
            horizon = self.horizon(watch.kind)  # what happens while lines are sent is for the next round
            for change in self._changes(watch.seen, horizon):
                watch.seen = change.revision
                event = _seen_by(watch, change)
                if event is not None and not watch.silent:
                    await self._send(response, watch, event)
            watch.seen = max(watch.seen, horizon)
            if marked != self.bookmarks and not watch.silent:
                marked = self.bookmarks
                await response.write(_line(_bookmark(watch)))
            await watch.news.wait()

    def _changes(self, revision: int, horizon: int) -> list[Change]:
        # Revisions have no gaps: the first one to be sent is found by counting from the end.
        missing = self._database.revision - revision
        recent = self._database.changes[-missing:] if missing > 0 else []
        return [change for change in recent if revision < change.revision <= horizon]

    async def _send(self, response: web.StreamResponse, watch: Watch, event: Json) -> None:
        for line in self.meddle(watch, event):
            if line is None:
                raise Dropped
            await response.write(line.encode() if isinstance(line, str) else _line(line))


def _seen_by(watch: Watch, change: Change) -> Json | None:
    """The event as a watcher with this selector sees it: what loses its label is deleted for that watcher."""
    if change.place[0] is not watch.kind:
        return None
    before = change.before is not None and watch.selects(change.before)
    after = change.type != "DELETED" and watch.selects(change.object)
    if after:
        return {"type": "MODIFIED" if before else "ADDED", "object": change.object}
    if before:
        gone = change.before if change.type != "DELETED" and change.before else change.object
        version = {"resourceVersion": str(change.revision)}
        return {"type": "DELETED", "object": {**gone, "metadata": {**gone["metadata"], **version}}}
    return None


def _bookmark(watch: Watch) -> Json:
    meta = {"resourceVersion": str(watch.seen), "creationTimestamp": None}
    body = {"kind": watch.kind.kind, "apiVersion": watch.kind.api_version, "metadata": meta}
    return {"type": "BOOKMARK", "object": body}


def _line(event: Json) -> bytes:
    return msgspec.json.encode(event) + b"\n"
