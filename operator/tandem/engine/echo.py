"""Most of what a watch tells is the echo of our own writes, and known from their answers: kopf need not see it.

For each event kopf makes a task, wrappers, loggers and causes; to read here which version an event is of takes a
fraction of that (docs/performance.md). What is passed on is passed on as it came, line by line.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final, TypeAlias

import msgspec


class Version(msgspec.Struct, frozen=True, rename="camel"):
    """Of which object, and which version of it."""

    uid: str
    resource_version: str
    namespace: str = ""


class _Object(msgspec.Struct, frozen=True):
    kind: str
    metadata: Version


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: _Object


# Whether this version of an object of this kind, or a later one, is known.
Known: TypeAlias = Callable[[str, Version], bool]

_EVENT: Final = msgspec.json.Decoder(_Event)
_CHANGES: Final = frozenset({"ADDED", "MODIFIED"})


async def without_echoes(chunks: AsyncIterator[bytes], known: Known) -> AsyncIterator[bytes]:
    """The lines of a watch that tell something new; an event may come in several chunks, a chunk hold several."""
    begun: list[bytes] = []
    async for chunk in chunks:
        complete, newline, rest = chunk.rpartition(b"\n")
        if newline:
            lines = b"".join((*begun, complete)).split(b"\n")
            news = [line for line in lines if line and not _is_echo(line, known)]
            if news:
                yield b"\n".join((*news, b""))
            begun = []
        if rest:
            begun.append(rest)
    if begun:
        yield b"".join(begun)


def _is_echo(line: bytes, known: Known) -> bool:
    try:
        event = _EVENT.decode(line)
    except msgspec.DecodeError:  # bookmarks, errors, whatever else: not ours to judge
        return False
    return event.type in _CHANGES and known(event.object.kind, event.object.metadata)
