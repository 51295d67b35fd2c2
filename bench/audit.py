"""The API server's audit log as the one clock of the bench: who asked for what, and when it was answered."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cluster.audit import WRITE_VERBS

POLL = 0.1
_PAUSE = 0.5  # without any request, of anybody


class Unsettled(Exception):
    """What was waited for did not come."""


@dataclass(frozen=True, slots=True)
class Request:
    verb: str
    resource: str  # with the subresource
    name: str  # namespace/name
    received: float  # seconds since the epoch, by the API server's clock
    answered: float
    code: int
    stage: str

    @property
    def is_write(self) -> bool:
        return self.verb in WRITE_VERBS

    @property
    def resource_name(self) -> str:
        """The resource that this is about; a Job is called like its resource, with the number of the run after it."""
        return self.name.rpartition("-")[0] if self.resource == "jobs" else self.name


class Tail:
    """The requests of one user (of all: no name) from now on, read as they come."""

    def __init__(self, log: Path, user: str) -> None:
        self._log = log
        self._offset = log.stat().st_size if log.exists() else 0
        self._mark = f'"username":"{user}"'.encode() if user else b""
        self.requests: list[Request] = []

    def read(self) -> list[Request]:
        """What has come since the last time."""
        with self._log.open("rb") as file:
            file.seek(self._offset)
            lines = file.read()
        lines = lines[: lines.rfind(b"\n") + 1]  # the last one may be half written
        self._offset += len(lines)
        new = [_request(json.loads(line)) for line in lines.splitlines() if self._mark in line]
        self.requests += new
        return new

    def await_that(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Raises :class:`Unsettled`."""
        deadline = time.monotonic() + seconds
        while True:
            self.read()
            if condition():
                return
            self._check(deadline, seconds, what)
            time.sleep(POLL)

    def await_settled(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Like :meth:`await_that`, but nothing is read while requests come.

        Reading takes the processor from what is measured, the more the more there is; a bare client is not read either.
        """
        deadline = time.monotonic() + seconds
        while True:
            self._await_pause(deadline)
            self.read()
            if condition():
                return
            self._check(deadline, seconds, what)

    def _await_pause(self, deadline: float) -> None:
        size, since = -1, time.monotonic()
        while time.monotonic() < min(deadline, since + _PAUSE):
            time.sleep(POLL)
            if (now := self._log.stat().st_size) != size:
                size, since = now, time.monotonic()

    def _check(self, deadline: float, seconds: float, what: str) -> None:
        if time.monotonic() > deadline:
            counted = dict(finished(self.requests))
            raise Unsettled(f"not within {seconds:.0f} s: {what}; requests until now: {counted}")

    def await_quiet(self, seconds: float, at_most: float = 60.0) -> None:
        """Until no request has come for so long: stragglers (Events, a second patch) belong to the count.

        A Lease is renewed for ever, and is no straggler.
        """
        deadline = time.monotonic() + at_most
        quiet_since = time.monotonic()
        while time.monotonic() < min(deadline, quiet_since + seconds):
            time.sleep(POLL)
            if any(request.resource != "leases" for request in self.read()):
                quiet_since = time.monotonic()

    def await_watch(self, resource: str, seconds: float, check: Callable[[], None] = lambda: None) -> None:
        """``check`` raises when there is no need to wait any longer."""

        def watched() -> bool:
            check()
            return any(r.verb == "watch" and r.resource == resource for r in self.requests)

        self.await_that(watched, f"a watch of {resource}", seconds)


def finished(requests: Iterable[Request]) -> Counter[tuple[str, str]]:
    """(verb, resource) → how often; a watch counts when it begins."""
    return Counter((r.verb, r.resource) for r in requests if (r.stage == "ResponseStarted") == (r.verb == "watch"))


def first_answers(requests: Iterable[Request], verb: str, resource: str) -> dict[str, float]:
    """namespace/name of each resource → when the first such request about it had succeeded."""
    found: dict[str, float] = {}
    for r in requests:
        if (r.verb, r.resource) == (verb, resource) and r.code < 300:
            found.setdefault(r.resource_name, r.answered)
    return found


def _request(event: dict[str, Any]) -> Request:
    target = event.get("objectRef") or {}
    resource, subresource = target.get("resource", ""), target.get("subresource")
    return Request(
        verb=event["verb"],
        resource=f"{resource}/{subresource}" if subresource else resource,
        name=f"{target.get('namespace', '')}/{target.get('name', '')}",
        received=_seconds(event["requestReceivedTimestamp"]),
        answered=_seconds(event["stageTimestamp"]),
        code=(event.get("responseStatus") or {}).get("code", 0),
        stage=event["stage"],
    )


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
