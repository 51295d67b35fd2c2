"""A real API server for the questions that are put to both; everything else here runs on the stand-in."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from unittest.mock import patch

import kopf
import pytest

from tests.contract.api_server import ApiServer, running_api_server
from tests.faults.operators import login_with_kubeconfig


@pytest.fixture(scope="session")
def real_api_server() -> Iterator[ApiServer]:
    with running_api_server() as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def every_world_has_its_own_server() -> Iterator[None]:
    with patch.object(kopf, "login_with_kubeconfig", login_with_kubeconfig):
        yield
    # What killed processes were at is kept for ever, as it is after a SIGKILL: not to be gone through at the end again.
    gc.freeze()
