"""Of a watch's lines events are heard, in their order; what is left is passed on to kopf as it came."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import dataclass, field

import pytest

from tandem.api.meta import Json
from tandem.engine.stream import Stream, Version

pytestmark = pytest.mark.asyncio

ERROR = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410}}\n'


def event(type_: str, version: int | str, kind: str = "Job", uid: str = "u") -> bytes:
    meta = {"namespace": "ns", "uid": uid, "resourceVersion": str(version), "name": "line\nbreak"}
    return json.dumps({"type": type_, "object": {"kind": kind, "metadata": meta}}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    """As the API server sends it: of no object."""
    meta = {"resourceVersion": str(version)}
    return (
        json.dumps({"type": "BOOKMARK", "object": {"kind": "Job", "metadata": meta}}, separators=(",", ":")).encode()
        + b"\n"
    )


@dataclass
class Ear:
    """Knows the first seven versions of one Job."""

    heard: list[str] = field(default_factory=list)

    def is_echo(self, kind: str, version: Version) -> bool:
        return (kind, version.uid) == ("Job", "u") and int(version.resource_version) <= 7

    def hear(self, type_: str, kind: str, body: Json) -> None:
        self.heard.append(f"{type_} {kind} {body['metadata']['uid']} {body['metadata']['resourceVersion']}")


class Lost(Exception):
    """The connection is."""


async def passed(ear: Ear, *chunks: bytes, lost: bool = False, apart: float = 0.0) -> list[bytes]:
    """What is passed on.

    ``lost``: of a connection that is lost after these chunks; ``apart``: seconds between them.
    """
    now = 0.0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal now
        for chunk in chunks:
            yield chunk
            now += apart
        if lost:
            raise Lost

    left: list[bytes] = []
    with pytest.raises(Lost) if lost else nullcontext():
        async for chunk in Stream(ear, lambda: now).without_events(stream()):
            left.append(chunk)
    return left


@pytest.mark.parametrize(
    ("line", "heard"),
    [
        pytest.param(event("ADDED", 8), "ADDED Job u 8", id="a later version"),
        pytest.param(event("MODIFIED", 7, uid="v"), "MODIFIED Job v 7", id="another object"),
        pytest.param(event("MODIFIED", 7, kind="Pod"), "MODIFIED Pod u 7", id="another kind"),
        pytest.param(event("DELETED", 7), "DELETED Job u 7", id="the end of a version that is known"),
    ],
)
async def test_an_event_is_heard_and_kopf_is_told_its_version_when_the_stream_ends(line: bytes, heard: str) -> None:
    ear = Ear()

    [told] = await passed(ear, line)

    assert ear.heard == [heard]
    assert json.loads(told)["type"] == "BOOKMARK"
    assert json.loads(told)["object"]["metadata"] == {"resourceVersion": heard.rsplit(maxsplit=1)[-1]}


@pytest.mark.parametrize("type_", ["ADDED", "MODIFIED"])
async def test_an_echo_is_not_heard_yet_the_watch_has_come_that_far(type_: str) -> None:
    ear = Ear()
    assert await passed(ear, event(type_, 6), event(type_, 7)) == [bookmark(7)]
    assert ear.heard == []


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(bookmark(7), id="a bookmark"),
        pytest.param(ERROR, id="an error: kopf lists anew"),
        pytest.param(b'{"type": "ADDED", "object": {}}\n', id="no metadata"),
        pytest.param(event("REPLACED", 7), id="a type that is not known"),
        pytest.param(b"{no JSON\n", id="no JSON"),
    ],
)
async def test_everything_else_is_passed_on_as_it_came(line: bytes) -> None:
    ear = Ear()
    assert await passed(ear, line) == [line]
    assert ear.heard == []


async def test_of_several_lines_in_a_chunk_each_is_judged_in_their_order() -> None:
    ear = Ear()
    lines = event("ADDED", 6) + event("MODIFIED", 8) + bookmark(8) + event("ADDED", 7) + event("DELETED", 9)
    assert await passed(ear, lines) == [bookmark(8), bookmark(9)]
    assert ear.heard == ["MODIFIED Job u 8", "DELETED Job u 9"]


@pytest.mark.parametrize("cut", range(1, len(event("MODIFIED", 7)), 9))
async def test_a_line_may_come_in_pieces(cut: int) -> None:
    news, echo = event("MODIFIED", 8), event("MODIFIED", 7)
    ear = Ear()
    assert await passed(ear, news[:cut], news[cut:] + echo[:cut], echo[cut:] + bookmark(9)) == [bookmark(9)]
    assert await passed(ear, *(bytes([byte]) for byte in news + bookmark(9) + echo + bookmark(10))) == [
        bookmark(9),
        bookmark(10),
    ]
    assert ear.heard == ["MODIFIED Job u 8"] * 2


# --- the end of a stream ---------------------------------------------------------------------------------------------


async def test_a_connection_that_is_lost_is_lost_for_kopf_after_it_was_told_the_version() -> None:
    """Else it would go on from the last bookmark, and hear up to a minute of everything once more."""
    assert await passed(Ear(), event("MODIFIED", 8), lost=True) == [bookmark(8)]


@pytest.mark.parametrize("lost", [False, True])
async def test_a_bookmark_that_came_later_is_not_taken_back(lost: bool) -> None:
    assert await passed(Ear(), event("MODIFIED", 8), bookmark(12), lost=lost) == [bookmark(12)]


async def test_kopf_is_told_every_ten_seconds_or_it_would_take_a_busy_stream_for_dead() -> None:
    """A bookmark of the API server's own is left out when a watch is too busy to take it."""
    events = [event("MODIFIED", version) for version in range(8, 14)]
    assert await passed(Ear(), *events, apart=4) == [bookmark(11), bookmark(13)]
    assert await passed(Ear(), events[0], bookmark(8), *events[1:4], apart=4) == [bookmark(8), bookmark(11)]
    assert await passed(Ear(), bookmark(8), b'{"type":', apart=40) == [bookmark(8), b'{"type":'], "nothing new"


async def test_a_stream_that_breaks_off_within_a_line_passes_on_what_there_is() -> None:
    assert await passed(Ear(), event("MODIFIED", 8), event("ADDED", 9)[:10]) == [bookmark(8) + event("ADDED", 9)[:10]]
