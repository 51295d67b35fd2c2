"""Transports that watch or break what they carry, a clock that is told the time, and typed questions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tandem.api.facts import Answer, Query, Unavailable
from tandem.tracking import TrackingReader
from tandem.tracking.transport import Body, HttpTransport, Method, Parameters


class Recorded(HttpTransport):
    """Notes the path of every request that reaches the server."""

    def __init__(self, base_url: str) -> None:
        super().__init__(base_url, environ={})
        self.paths: list[str] = []

    async def send(self, method: Method, path: str, *, query: Parameters = (), body: Body | None = None) -> bytes:
        self.paths.append(path)
        return await super().send(method, path, query=query, body=body)


class Killed(BaseException):
    """What stops an operator between two requests: nothing may catch it."""


class Crashing(HttpTransport):
    """Carries out ``after`` requests; the answer to the last of them is never seen."""

    def __init__(self, base_url: str, after: int) -> None:
        super().__init__(base_url, environ={})
        self._left = after

    async def send(self, method: Method, path: str, *, query: Parameters = (), body: Body | None = None) -> bytes:
        try:
            return await super().send(method, path, query=query, body=body)
        finally:
            self._left -= 1
            if self._left == 0:
                raise Killed


class Raced(HttpTransport):
    """Somebody else does ``act`` just before a request to ``path`` reaches the server."""

    def __init__(self, base_url: str, path: str, act: Callable[[], object]) -> None:
        super().__init__(base_url, environ={})
        self._path, self._act = path, act

    async def send(self, method: Method, path: str, *, query: Parameters = (), body: Body | None = None) -> bytes:
        if path == self._path:
            self._act()
        return await super().send(method, path, query=query, body=body)


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


async def ask(reader: TrackingReader, query: Query[Answer]) -> Answer:
    """The answer to one question, which must have one."""
    answer = (await reader.answer([query]))[query]
    assert not isinstance(answer, Unavailable), answer.message
    return answer  # type: ignore[return-value]  # a Query[A] is only ever answered by an A
