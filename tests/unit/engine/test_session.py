"""kopf's connection tells of every attempt and every sign of life; where kopf lists, it is told where to go on from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tandem.engine.api import ApiError, ApiUnavailable
from tandem.engine.controller import JOBS
from tandem.engine.session import ListeningSession, WatchFrom, listening
from tandem.engine.stream import Listener
from tandem.engine.watches import Watches
from tests.unit.engine.test_stream import Ear as Listening
from tests.unit.engine.test_stream import event

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

    def delivered(self, kind: str, namespace: str, version: str) -> None:
        self.told.append(f"{kind} of {namespace} in version {version}")

    def begins(self, path: str, version: str) -> None:
        self.told.append(f"goes on from {version}")


class Stream:
    """A watch that sends a line whenever the test says so."""

    def __init__(self) -> None:
        self.send = asyncio.Event()
        self.status = 200
        self.content = b'{"type": "BOOKMARK"}\n'
        self.headers: dict[str, str] = {}
        self.app = web.Application()
        self.app.router.add_get(PATH, self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.headers = dict(request.headers)
        response = web.StreamResponse(status=self.status)
        await response.prepare(request)
        await self.send.wait()
        await response.write(self.content)
        return response


async def unknown(_: str) -> str:
    return ""


@asynccontextmanager
async def connected(
    stream: Stream, ear: Ear, watch_from: WatchFrom = unknown, listener: Listener | None = None, **credentials: str
) -> AsyncIterator[tuple[ListeningSession, str]]:
    async with TestServer(stream.app) as server:
        url = f"http://{server.host}:{server.port}"
        session = listening(kopf.ConnectionInfo(server=url, **credentials), ear, watch_from, listener or Listening())  # type: ignore[arg-type]
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


async def test_an_event_is_heard_and_kopf_does_not_see_it() -> None:
    stream, listener = Stream(), Listening()
    stream.send.set()
    stream.content = event("MODIFIED", 8) + b'{"type": "BOOKMARK"}\n'

    async with (
        connected(stream, Ear(), listener=listener) as (session, url),
        session.aiohttp_session.get(url) as response,
    ):
        chunks = [chunk async for chunk in response.content.iter_chunked(1024)]

    assert b"".join(chunks) == b'{"type": "BOOKMARK"}\n'
    assert listener.heard == ["MODIFIED Job u 8"]


# --- lists -----------------------------------------------------------------------------------------------------------

LIST = b'{"kind": "JobList", "metadata": {"resourceVersion": "9", "continue": "more"}, "items": [{"kind": "Job"}]}'


@pytest.fixture
def lists() -> Stream:
    stream = Stream()
    stream.send.set()
    stream.content = LIST
    return stream


async def test_a_list_of_what_is_known_has_no_objects_and_the_version_up_to_which_it_is_known(lists: Stream) -> None:
    asked: list[str] = []

    async def known(path: str) -> str:
        asked.append(path)
        return "7"

    ear = Ear()
    async with connected(lists, ear, known) as (session, url), session.aiohttp_session.get(url) as response:
        answer = await response.json(content_type=None)

    assert answer == {"kind": "JobList", "metadata": {"resourceVersion": "7"}, "items": []}
    assert (asked, ear.told[-1]) == ([PATH], "goes on from 7")


async def test_a_watch_is_no_list(lists: Stream) -> None:
    async def never(path: str) -> str:
        raise AssertionError(path)

    async with (
        connected(lists, Ear(), never) as (session, url),
        session.aiohttp_session.get(url, params={"watch": "true"}) as response,
    ):
        assert await response.read() == LIST


async def test_whether_a_kind_is_there_and_may_be_listed_the_api_server_says_itself(lists: Stream) -> None:
    async def never(path: str) -> str:
        raise AssertionError(path)

    lists.status = 403
    async with connected(lists, Ear(), never) as (session, url), session.aiohttp_session.get(url) as response:
        assert response.status == 403


@pytest.mark.parametrize("error", [ApiError(410, "Expired", "too old"), ApiUnavailable("no answer")])
async def test_a_list_that_fails_is_a_connection_that_fails_which_kopf_tries_again(
    lists: Stream, error: Exception
) -> None:
    async def fails(_: str) -> str:
        raise error

    async with connected(lists, Ear(), fails) as (session, url):
        with pytest.raises(aiohttp.ClientConnectionError, match=f"{PATH} could not be listed: {error}"):
            await session.aiohttp_session.get(url)


# --- credentials -----------------------------------------------------------------------------------------------------


async def test_it_carries_the_credentials() -> None:
    stream, ear = Stream(), Ear()
    stream.send.set()
    async with connected(stream, ear, token="t") as (session, url), session.aiohttp_session.get(url):
        pass

    assert stream.headers["Authorization"] == "Bearer t"


async def test_two_of_the_same_credentials_are_equal_or_kopf_would_never_stop_to_try_refused_ones() -> None:
    def session(token: str) -> ListeningSession:
        return listening(kopf.ConnectionInfo(server="https://here", token=token), Ear(), unknown, Listening())

    one, same, other = session("t"), session("t"), session("u")
    assert one == same
    assert one != other
    for each in (one, same, other):
        await each.aiohttp_session.close()
