"""Of a watch's lines only those that tell something new are passed on, and those as they came."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tandem.engine.echo import Version, without_echoes

pytestmark = pytest.mark.asyncio

ERROR = b'{"type": "ERROR", "object": {"kind": "Status", "code": 410}}\n'


def event(type_: str, version: int | str, kind: str = "Job", uid: str = "u") -> bytes:
    meta = {"namespace": "ns", "uid": uid, "resourceVersion": str(version), "name": "line\nbreak"}
    return json.dumps({"type": type_, "object": {"kind": kind, "metadata": meta}}).encode() + b"\n"


def until_7(kind: str, version: Version) -> bool:
    return (kind, version.uid) == ("Job", "u") and int(version.resource_version) <= 7


async def passed(*chunks: bytes) -> list[bytes]:
    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [chunk async for chunk in without_echoes(stream(), until_7)]


@pytest.mark.parametrize("type_", ["ADDED", "MODIFIED"])
async def test_what_is_known_is_left_out(type_: str) -> None:
    assert await passed(event(type_, 7)) == []


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(event("MODIFIED", 8), id="a later version"),
        pytest.param(event("MODIFIED", 7, uid="v"), id="another object"),
        pytest.param(event("MODIFIED", 7, kind="Pod"), id="another kind"),
        pytest.param(event("DELETED", 7), id="the end of a version that is known"),
        pytest.param(event("BOOKMARK", 7), id="a bookmark: where kopf goes on from after a break"),
        pytest.param(ERROR, id="an error: kopf lists anew"),
        pytest.param(b'{"type": "ADDED", "object": {}}\n', id="no metadata"),
        pytest.param(b"{no JSON\n", id="no JSON"),
    ],
)
async def test_everything_else_is_passed_on_as_it_came(line: bytes) -> None:
    assert await passed(line) == [line]


async def test_of_several_lines_in_a_chunk_each_is_judged() -> None:
    news = event("MODIFIED", 8), event("DELETED", 9)
    assert await passed(event("ADDED", 6) + news[0] + event("ADDED", 7) + news[1]) == [b"".join(news)]


@pytest.mark.parametrize("cut", range(1, len(event("MODIFIED", 7)), 9))
async def test_a_line_may_come_in_pieces(cut: int) -> None:
    news, echo = event("MODIFIED", 8), event("MODIFIED", 7)
    assert await passed(news[:cut], news[cut:] + echo[:cut], echo[cut:]) == [news]
    assert await passed(*(bytes([byte]) for byte in echo + news + echo)) == [news]


async def test_a_stream_that_breaks_off_within_a_line_passes_on_what_there_is() -> None:
    assert await passed(event("MODIFIED", 8), event("ADDED", 9)[:10]) == [event("MODIFIED", 8), event("ADDED", 9)[:10]]
