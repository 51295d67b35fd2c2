"""Requests as they leave, and answers as they come, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from aiohttp import TraceConfig, web
from aiohttp.test_utils import TestServer
from aiolimiter import AsyncLimiter
from kubernetes.aio.client import ApiClient, Configuration

from tandem.engine.api import MERGE_PATCH, ApiServer, ApiUnavailable
from tandem.engine.controller import JOBS, object_path
from tests.unit.engine.objects import Json

pytestmark = pytest.mark.asyncio


class Listener:
    """Answers everything with what it was given, and remembers what it was asked."""

    def __init__(self) -> None:
        self.heard: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.answer = b"{}"
        self.refusals: list[dict[str, str]] = []  # headers of the 429s that come before it
        self.leads = True
        self.leads_until = 1000  # that many requests were heard
        self.hangs_up = 0  # on that many requests, instead of an answer
        self.connected = 0
        self.on_connected: Callable[[], None] = lambda: None
        self.tokens = ["first"]

    def may_write(self) -> bool:
        return self.leads and len(self.heard) < self.leads_until

    async def note_connection(self, *_: object) -> None:
        self.connected += 1
        self.on_connected()

    async def hear(self, request: web.Request) -> web.Response:
        self.heard.append(request)
        self.bodies.append(await request.read())
        if self.hangs_up:
            self.hangs_up -= 1
            assert request.transport is not None
            request.transport.close()
        if self.refusals:
            return web.json_response({"reason": "TooManyRequests"}, status=429, headers=self.refusals.pop(0))
        return web.Response(body=self.answer, content_type="application/json")


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest_asyncio.fixture
async def api(listener: Listener) -> AsyncIterator[ApiServer]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", listener.hear)
    async with TestServer(app) as server:
        configuration = Configuration(host=str(server.make_url("")).rstrip("/"))

        async def newest(configuration: Configuration) -> None:
            configuration.api_key["BearerToken"] = f"Bearer {listener.tokens[-1]}"

        await newest(configuration)
        trace = TraceConfig()
        trace.on_connection_create_end.append(listener.note_connection)
        configuration.client_session_kwargs = {"trace_configs": [trace]}
        configuration.refresh_api_key_hook = newest  # type: ignore[assignment]  # declared without a type
        client = ApiClient(configuration)
        client.user_agent = "tandem-operator/here"
        async with client:
            yield ApiServer(client, AsyncLimiter(1000, 1), may_write=listener.may_write, longest_pause=0.2)


NAMES = {"namespace": "team", "name": "iris-1"}


async def test_names_and_queries_are_escaped(api: ApiServer, listener: Listener) -> None:
    await api.request(
        "GET", object_path(JOBS), {"namespace": "team", "name": "a/b c?d"}, {"labelSelector": "a=b,c/d=e f"}
    )

    (request,) = listener.heard
    assert request.raw_path.partition("?")[0] == "/apis/batch/v1/namespaces/team/jobs/a%2Fb%20c%3Fd"
    assert dict(request.query) == {"labelSelector": "a=b,c/d=e f"}


async def test_a_body_arrives_as_it_is_under_its_content_type(api: ApiServer, listener: Listener) -> None:
    body: Json = {"status": {"message": "größer als 0 „ok“ 💣", "when": None, "numbers": [1, 2.5, True]}}
    await api.request("PATCH", object_path(JOBS), NAMES, body=body, content_type=MERGE_PATCH)

    (request,) = listener.heard
    assert request.content_type == MERGE_PATCH
    assert request.headers["User-Agent"] == "tandem-operator/here"
    assert await request.json() == body


async def test_credentials_are_those_of_the_moment(api: ApiServer, listener: Listener) -> None:
    """The token of a pod is replaced every hour."""
    await api.request("GET", object_path(JOBS), NAMES)
    listener.tokens.append("second")
    await api.request("GET", object_path(JOBS), NAMES)

    assert [request.headers["Authorization"] for request in listener.heard] == ["Bearer first", "Bearer second"]


async def test_an_answer_that_is_no_json_is_no_answer(api: ApiServer, listener: Listener) -> None:
    listener.answer = b"<html>captive portal</html>"

    with pytest.raises(ApiUnavailable, match="no JSON"):
        await api.request("GET", object_path(JOBS), NAMES)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_who_does_not_lead_any_more_sends_no_write(api: ApiServer, listener: Listener, method: str) -> None:
    """A process that was stopped wakes up in the middle of a plan, and another leads by then."""
    listener.leads = False

    with pytest.raises(ApiUnavailable, match="does not lead"):
        await api.request(method, object_path(JOBS), NAMES, body={})

    assert listener.heard == []


async def test_who_stops_leading_while_it_connects_sends_no_write(api: ApiServer, listener: Listener) -> None:
    """A process that was stopped in the middle of a TLS handshake wakes up with the connection there."""
    listener.on_connected = lambda: setattr(listener, "leads", False)

    with pytest.raises(ApiUnavailable, match="does not lead"):
        await api.request("PATCH", object_path(JOBS), NAMES, body={})

    assert listener.connected == 1
    assert listener.heard == []


async def test_a_deletion_is_not_sent_again_by_who_does_not_lead_any_more(api: ApiServer, listener: Listener) -> None:
    """aiohttp does so by itself when the server hangs up, which may be long after the first time."""
    listener.hangs_up = 1
    await api.request("DELETE", object_path(JOBS), NAMES, body={})
    assert len(listener.heard) == 2, "this test is about nothing if aiohttp does not send it again"

    listener.hangs_up, listener.leads_until = 1, 3
    with pytest.raises(ApiUnavailable, match="does not lead"):
        await api.request("DELETE", object_path(JOBS), NAMES, body={})

    assert len(listener.heard) == 3


async def test_who_does_not_lead_may_read(api: ApiServer, listener: Listener) -> None:
    listener.leads = False
    listener.answer = b'{"kind": "Job"}'

    assert await api.request("GET", object_path(JOBS), NAMES) == {"kind": "Job"}


@pytest.mark.parametrize("retry_after", ["1", "3600", "9" * 400])
async def test_a_pause_that_the_server_asks_for_is_kept_but_never_longer_than_the_longest(
    api: ApiServer, listener: Listener, retry_after: str
) -> None:
    """A Lease is lost within 10 seconds: who waits longer than that for a busy server hands it away."""
    listener.refusals.append({"Retry-After": retry_after})
    with pytest.raises(ApiUnavailable):
        await api.request("GET", object_path(JOBS), NAMES)
    refused_at = asyncio.get_running_loop().time()

    async with asyncio.timeout(0.9):
        await api.request("GET", object_path(JOBS), NAMES)

    assert asyncio.get_running_loop().time() >= refused_at + 0.19
