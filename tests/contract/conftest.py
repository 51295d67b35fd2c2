"""Fixtures of the contract tests: one API server for all of them, a namespace for each test that asks."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.contract.api_server import ApiServer, running_api_server

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
