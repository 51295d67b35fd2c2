"""A real API server for the questions that are put to both; everything else here runs on the stand-in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.api_server import ApiServer, running_api_server


@pytest.fixture(scope="session")
def real_api_server() -> Iterator[ApiServer]:
    with running_api_server() as server:
        yield server
