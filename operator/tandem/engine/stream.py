"""The lines of a watch: what happened to objects is heard at once, what is about the stream itself is left to kopf.

For each event kopf makes a task, wrappers, loggers and causes, and of several that come close together it hands on the
last alone: a fifth of the operator's processor time for less than what the line says (docs/design/lists.md). Most lines
are the echo of our own writes besides, and known from their answers: of those only the version is read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol

import msgspec

from tandem.api.meta import Json


class Version(msgspec.Struct, frozen=True, rename="camel"):
    """Of which object, and which version of it."""

    uid: str
    resource_version: str
    namespace: str = ""


class Listener(Protocol):
    def is_echo(self, kind: str, version: Version) -> bool:
        """Whether this version of an object of this kind, or a later one, is known: then it is delivered by that."""

    def hear(self, type_: str, kind: str, body: Json) -> None:
        """An object was ADDED, MODIFIED or DELETED. Must not raise."""


class _Object(msgspec.Struct, frozen=True):
    kind: str
    metadata: Version


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: _Object


class _Whole(msgspec.Struct, frozen=True):
    object: Json


TELL_EVERY: Final = 10.0  # seconds

_EVENT: Final = msgspec.json.Decoder(_Event)
_WHOLE: Final = msgspec.json.Decoder(_Whole)
_DELETED: Final = "DELETED"
_EVENTS: Final = frozenset({"ADDED", "MODIFIED", _DELETED})


class Stream:
    """One connection of one watch; ``clock`` is in seconds."""

    def __init__(self, listener: Listener, clock: Callable[[], float]) -> None:
        self._listener = listener
        self._clock = clock
        self._told_at = clock()
        self._last: _Object | None = None  # what was heard last, unless kopf was told something since

    async def without_events(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The other lines, as they came. An event may come in several chunks, a chunk hold several.

        kopf is told up to which version the stream was heard when it ends, or breaks: there it goes on from. And every
        ten seconds: it connects anew when nothing has come for 70.
        """
        begun: list[bytes] = []
        try:
            async for chunk in chunks:
                complete, newline, rest = chunk.rpartition(b"\n")
                if newline:
                    lines = b"".join((*begun, complete)).split(b"\n")
                    others = [line for line in lines if line and not self._hears(line)]
                    if others:
                        yield b"\n".join((*others, b""))
                    elif self._clock() - self._told_at >= TELL_EVERY and (told := self._position()):
                        yield told
                    begun = []
                if rest:
                    begun.append(rest)
        except Exception:
            if told := self._position():
                yield told
            raise
        if rest := self._position() + b"".join(begun):
            yield rest

    def _position(self) -> bytes:
        """A bookmark, or nothing when kopf knows."""
        last, self._last, self._told_at = self._last, None, self._clock()
        if last is None:
            return b""
        meta = {"resourceVersion": last.metadata.resource_version}
        return msgspec.json.encode({"type": "BOOKMARK", "object": {"kind": last.kind, "metadata": meta}}) + b"\n"

    def _hears(self, line: bytes) -> bool:
        """Whether this line was an event."""
        try:
            event = _EVENT.decode(line)
        except msgspec.DecodeError:  # a bookmark, an error, or whatever else: not ours to judge
            event = None
        if event is None or event.type not in _EVENTS:
            self._last, self._told_at = None, self._clock()
            return False
        self._last = event.object
        kind, version = event.object.kind, event.object.metadata
        if event.type == _DELETED or not self._listener.is_echo(kind, version):
            self._listener.hear(event.type, kind, _WHOLE.decode(line).object)
        return True
