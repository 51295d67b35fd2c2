"""A real MLflow server, and the mlflow library as the oracle: it makes what we read, and reads what we write."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable

import mlflow
import pytest
import pytest_asyncio

from tandem.tracking.client import MlflowClient
from tests.contract.tracking.probes import Clock, Recorded
from tests.contract.tracking.server import MlflowServer


@pytest.fixture(scope="session")
def server(mlflow_server: MlflowServer) -> MlflowServer:
    return mlflow_server


@pytest.fixture(scope="session")
def oracle(server: MlflowServer) -> mlflow.MlflowClient:
    """MLflow's own client of the same server."""
    mlflow.set_tracking_uri(server.url)
    return mlflow.MlflowClient(server.url)


@pytest_asyncio.fixture
async def client(server: MlflowServer) -> AsyncIterator[MlflowClient]:
    async with MlflowClient(server.url, environ={}) as client:
        yield client


@pytest_asyncio.fixture
async def recorded(server: MlflowServer) -> AsyncIterator[Recorded]:
    transport = Recorded(server.url)
    yield transport
    await transport.close()


@pytest.fixture
def unique() -> Callable[[str], str]:
    """A name that no other test on this server uses."""
    return lambda name: f"{name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def clock() -> Clock:
    """Starts now, for the data on the server are dated by the real clock; then it moves when it is told to."""
    return Clock()
