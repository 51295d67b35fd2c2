"""A kind that a cluster may not have is watched only where the API server has it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiolimiter import AsyncLimiter

from tandem.engine.api import ApiServer
from tandem.engine.controller import HTTP_ROUTES, INGRESSES
from tandem.engine.discovery import KindAppeared, await_others, served
from tests.unit.engine.objects import Json
from tests.unit.engine.strict_api import client_of

pytestmark = pytest.mark.asyncio


@dataclass
class Discovery:
    """Answers what is served; ``down``: so many requests are answered by 503 first."""

    groups: dict[str, list[str]] = field(default_factory=dict)
    down: int = 0
    asked: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.asked += 1
        if self.down > 0:
            self.down -= 1
            return web.json_response({"reason": "ServiceUnavailable", "message": "starting"}, status=503)
        kinds = self.groups.get(request.path)
        if kinds is None:
            return web.json_response({"reason": "NotFound", "message": "no such group"}, status=404)
        resources: list[Json] = [{"name": name} for name in kinds]
        return web.json_response({"kind": "APIResourceList", "resources": resources})


@pytest_asyncio.fixture
async def api() -> AsyncIterator[tuple[Discovery, ApiServer]]:
    discovery = Discovery()
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", discovery.handle)
    async with TestServer(application) as server, client_of(server) as client:
        yield discovery, ApiServer(client, AsyncLimiter(1000, time_period=1))


@pytest.mark.parametrize(
    ("groups", "there"),
    [
        ({}, False),
        ({HTTP_ROUTES.root: ["gateways", "httproutes", "httproutes/status"]}, True),
        ({HTTP_ROUTES.root: ["gatewayclasses"]}, False),  # an older Gateway API
    ],
    ids=["not installed", "installed", "without this kind"],
)
async def test_what_is_served(api: tuple[Discovery, ApiServer], groups: dict[str, list[str]], there: bool) -> None:
    discovery, server = api
    discovery.groups = groups
    assert (HTTP_ROUTES in await served(server, (HTTP_ROUTES,))) == there


async def test_an_api_server_that_does_not_answer_is_asked_again(api: tuple[Discovery, ApiServer]) -> None:
    discovery, server = api
    discovery.groups, discovery.down = {INGRESSES.root: ["ingresses"]}, 1
    assert await served(server, (INGRESSES,)) == {INGRESSES}
    assert discovery.asked == 2


async def test_one_that_is_installed_later_ends_the_process(api: tuple[Discovery, ApiServer]) -> None:
    discovery, server = api
    waiting = asyncio.create_task(await_others(server, (HTTP_ROUTES,), period=0.01))
    while discovery.asked < 2:
        await asyncio.sleep(0.01)
    discovery.down = 1  # nor does an outage
    while discovery.down:
        await asyncio.sleep(0.01)
    assert not waiting.done()
    discovery.groups = {HTTP_ROUTES.root: ["httproutes"]}
    with pytest.raises(KindAppeared, match="HTTPRoute of gateway"):
        await asyncio.wait_for(waiting, 10)
