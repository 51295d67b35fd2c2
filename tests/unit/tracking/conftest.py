from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.tracking.stand_in import StandIn, stand_in


@pytest_asyncio.fixture
async def mlflow_server() -> AsyncIterator[StandIn]:
    async with stand_in() as server:
        yield server
