"""A desk for each test that asks: the engine before a strict API server on a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer

from tests.unit.engine.desk import Desk
from tests.unit.engine.strict_api import StrictApi, client_of


@pytest.fixture
def patience() -> float:
    return 10.0


@pytest_asyncio.fixture
async def desk(patience: float) -> AsyncIterator[Desk]:
    api = StrictApi()
    async with TestServer(api.app) as server, client_of(server) as client:
        desk = Desk(api, client, patience)
        yield desk
        for task in desk.tasks:
            task.cancel()
        await asyncio.gather(*desk.tasks, return_exceptions=True)
