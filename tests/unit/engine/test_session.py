"""kopf's connection tells of every attempt and every sign of life, and is what kopf would have made otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tandem.engine.controller import JOBS
from tandem.engine.session import ListeningSession, listening
from tandem.engine.watches import Watches

pytestmark = pytest.mark.asyncio

PATH = "/apis/batch/v1/jobs"


class Ear(Watches):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__([JOBS], (), lambda: 0.0)
        self.told: list[str] = []

    def tried(self, path: str) -> None:
        self.told.append(f"tried {path}")

    def heard(self, path: str) -> None:
        self.told.append(f"heard {path}")


class Stream:
    """A watch that sends a line whenever the test says so."""

    def __init__(self) -> None:
        self.send = asyncio.Event()
        self.status = 200
        self.headers: dict[str, str] = {}
        self.app = web.Application()
        self.app.router.add_get(PATH, self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.headers = dict(request.headers)
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        await self.send.wait()
        await response.write(b'{"type": "BOOKMARK"}\n')
        return response


@asynccontextmanager
async def connected(stream: Stream, ear: Ear, **credentials: str) -> AsyncIterator[tuple[ListeningSession, str]]:
    async with TestServer(stream.app) as server:
        url = f"http://{server.host}:{server.port}"
        session = listening(kopf.ConnectionInfo(server=url, **credentials), ear)  # type: ignore[arg-type]
        async with session.aiohttp_session:
            yield session, url + PATH


async def test_a_bookmark_is_a_sign_of_life_though_no_handler_ever_sees_it() -> None:
    stream, ear = Stream(), Ear()
    async with connected(stream, ear) as (session, url), session.aiohttp_session.get(url) as response:
        assert ear.told == [f"tried {PATH}", f"heard {PATH}"], "asked, and answered"
        stream.send.set()
        lines = [chunk async for chunk in response.content.iter_chunked(1024)]

    assert lines == [b'{"type": "BOOKMARK"}\n']
    assert ear.told[2:] == [f"heard {PATH}"]


async def test_a_refusal_is_no_sign_of_life() -> None:
    stream, ear = Stream(), Ear()
    stream.status = 503
    stream.send.set()
    async with connected(stream, ear) as (session, url), session.aiohttp_session.get(url):
        pass

    assert ear.told == [f"tried {PATH}"]


async def test_the_answer_to_a_list_is_read_as_ever() -> None:
    stream, ear = Stream(), Ear()
    stream.send.set()
    async with connected(stream, ear) as (session, url), session.aiohttp_session.get(url) as response:
        assert await response.json(content_type=None) == {"type": "BOOKMARK"}


async def test_it_carries_the_credentials() -> None:
    stream, ear = Stream(), Ear()
    stream.send.set()
    async with connected(stream, ear, token="t") as (session, url), session.aiohttp_session.get(url):
        pass

    assert stream.headers["Authorization"] == "Bearer t"


async def test_two_of_the_same_credentials_are_equal_or_kopf_would_never_stop_to_try_refused_ones() -> None:
    def session(token: str) -> ListeningSession:
        return listening(kopf.ConnectionInfo(server="https://here", token=token), Ear())

    one, same, other = session("t"), session("t"), session("u")
    assert one == same
    assert one != other
    for each in (one, same, other):
        await each.aiohttp_session.close()
