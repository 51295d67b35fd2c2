"""Fixtures of the contract tests: one API server and one MLflow for all, a namespace for each test that asks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.contract.api_server import ApiServer, running_api_server
from tests.contract.tracking.server import MlflowServer

_numbers = count(1)


@pytest.fixture(scope="session")
def api_server() -> Iterator[ApiServer]:
    """A real API server with the two CRDs; no controllers run, so nothing changes by itself."""
    with running_api_server() as server:
        yield server


@pytest.fixture
def namespace(api_server: ApiServer) -> str:
    """A namespace of the test's own."""
    return api_server.new_namespace(f"test-{next(_numbers)}")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server; whoever stops it starts it again."""
    server = MlflowServer(tmp_path_factory.mktemp("mlflow"))
    server.start()
    yield server
    server.stop()
