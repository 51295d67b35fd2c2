"""A real API server for the questions that are put to both; everything else here runs on the stand-in."""

from __future__ import annotations

import gc
import ssl
from collections.abc import Iterator
from unittest.mock import patch

import kopf
import pytest

from tandem.engine import process
from tests.contract.api_server import ApiServer, running_api_server
from tests.faults.operators import login_with_kubeconfig


@pytest.fixture(scope="session")
def real_api_server() -> Iterator[ApiServer]:
    with running_api_server() as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def every_world_has_its_own_server() -> Iterator[None]:
    # A process collects its garbage once before it starts, and seldom after that; here there is that of all the others
    # too, which is kept: with Python's own thresholds it is gone through for a tenth of the time.
    gc.set_threshold(50_000, 50, 100)
    with (
        # The stand-in speaks plain http; to read the machine's 140 certificates twice for each process was half of all
        # the processor time of these tests.
        patch.object(ssl.SSLContext, "load_default_certs", lambda *_: None),
        patch.object(kopf, "login_with_kubeconfig", login_with_kubeconfig),
        patch.object(process, "_spare_the_collector", lambda: None),
    ):
        yield
    # What killed processes were at is kept for ever, as it is after a SIGKILL: not to be gone through at the end again.
    gc.freeze()
