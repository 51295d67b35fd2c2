"""Writes over HTTP whose permission is asked in the last moment: what a leader sends that leads no more.

A process that was stopped while it connected or waited for an answer (SIGSTOP, a frozen node), or that was cut off
while a write was under way, would write once more after another has begun to lead. In MLflow, where nothing is unique,
that was a second run of one number (found by the soak: stopped between the search and the creation).
"""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
from aiohttp.abc import AbstractStreamWriter


class NotSent(Exception):
    """Nothing of this write has left: it may not be made any more."""


class Permission:
    """Whether this process may write: it may until somebody is named who decides."""

    def __init__(self) -> None:
        self.decides: Callable[[], bool] = lambda: True

    def __call__(self) -> bool:
        return self.decides()


class GuardedBody(aiohttp.BytesPayload):
    """Asks once more when the connection is there and nothing has left: headers go out with the first of the body.

    aiohttp wraps what is raised here: :func:`was_not_sent`.
    """

    def __init__(self, content: bytes, may_write: Callable[[], bool]) -> None:
        super().__init__(content)
        self._may_write = may_write

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        if not self._may_write():
            raise NotSent
        await super().write_with_length(writer, content_length)


def was_not_sent(error: Exception) -> bool:
    return isinstance(error, aiohttp.ClientConnectionError) and isinstance(error.__cause__, NotSent)
