"""What makes /healthz red: a suspicion that the API server confirms, or workers that take nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from aiolimiter import AsyncLimiter

from tandem.api import names
from tandem.api.meta import Key, ObjectMeta
from tandem.engine import liveness as module
from tandem.engine.api import ApiServer
from tandem.engine.controller import JOBS
from tandem.engine.liveness import Liveness
from tandem.engine.queue import KeyedQueue
from tandem.engine.watches import Watches
from tests.unit.engine.objects import WIDGETS, Json, child
from tests.unit.engine.strict_api import client_of

pytestmark = pytest.mark.asyncio

W = Key("Widget", "ns", "w")
OURS = {names.MANAGED_BY_LABEL: names.MANAGED_BY}


class Apiserver:
    """Knows one Job, or none; or does not tell."""

    def __init__(self) -> None:
        self.job: Json | None = {**child("Job", "iris-1", "uid-1", 8), "apiVersion": "batch/v1"}
        assert self.job is not None
        self.job["metadata"]["labels"] = OURS
        self.refuses = 0  # the code
        self.asked = 0
        self.app = web.Application()
        self.app.router.add_get("/apis/batch/v1/namespaces/ns/jobs/iris-1", self._get)

    async def _get(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.refuses:
            return web.json_response({"reason": "Because"}, status=self.refuses)
        if self.job is None:
            return web.json_response({"reason": "NotFound"}, status=404)
        return web.json_response(self.job)


@pytest_asyncio.fixture
async def apiserver() -> Apiserver:
    return Apiserver()


@pytest_asyncio.fixture
async def watches() -> Watches:
    """Impatient ones, that were told of a Job that no watch brings."""
    watches = Watches([WIDGETS, JOBS], (), asyncio.get_running_loop().time, patience=0.2)
    watches.begin()
    watches.expect("Job", ObjectMeta(name="iris-1", namespace="ns", uid="uid-1", resource_version="8", labels=OURS))
    return watches


@asynccontextmanager
async def watched_over(apiserver: Apiserver, watches: Watches) -> AsyncIterator[Liveness]:
    async with TestServer(apiserver.app) as server, client_of(server) as client:
        liveness = Liveness(watches, ApiServer(client, AsyncLimiter(1000, 1)))
        task = asyncio.create_task(liveness.run())
        yield liveness
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def deaf(liveness: Liveness) -> list[str]:
    return [problem for problem in liveness.problems() if "deaf" in problem]


async def until_asked(apiserver: Apiserver, times: int) -> None:
    async with asyncio.timeout(5):
        while apiserver.asked < times:
            await asyncio.sleep(0.005)


async def test_a_watch_that_withholds_what_is_there_is_deaf(
    apiserver: Apiserver, watches: Watches, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched_over(apiserver, watches) as liveness:
        assert deaf(liveness) == []
        async with asyncio.timeout(5):
            while not deaf(liveness):
                await asyncio.sleep(0.005)
        await until_asked(apiserver, 3)

        assert [record.message for record in caplog.records] == deaf(liveness), "told once, in the log too"

        watches.delivered("Job", "ns", "8")
        assert deaf(liveness) == []


@pytest.mark.parametrize("why", ["it is gone", "it has lost its label"])
async def test_what_no_watch_need_bring_is_no_proof(apiserver: Apiserver, watches: Watches, why: str) -> None:
    if apiserver.job is not None and why == "it has lost its label":
        apiserver.job["metadata"]["labels"] = {}
    else:
        apiserver.job = None
    async with watched_over(apiserver, watches) as liveness:
        await until_asked(apiserver, 1)
        async with asyncio.timeout(5):
            while watches.overdue():
                await asyncio.sleep(0.005)

        assert deaf(liveness) == []


@pytest.mark.parametrize("code", [503, 403])
async def test_while_the_api_server_does_not_tell_nobody_is_convicted(
    apiserver: Apiserver, watches: Watches, code: int
) -> None:
    apiserver.refuses = code
    async with watched_over(apiserver, watches) as liveness:
        await until_asked(apiserver, 3)

        assert deaf(liveness) == []
        assert watches.overdue(), "and nobody is acquitted"


async def test_a_process_whose_workers_take_nothing_is_not_alive(
    apiserver: Apiserver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STUCK", 0.05)
    watches = Watches([], (), asyncio.get_running_loop().time)
    async with watched_over(apiserver, watches) as liveness:
        queue: KeyedQueue[Key] = KeyedQueue()
        queue.add(W)
        await asyncio.sleep(0.1)
        assert liveness.problems() == [], "a replica that waits to lead has no workers"

        liveness.follow(queue)
        assert liveness.problems() == ["no worker has taken a key for 0 s"]

        await queue.get()
        assert liveness.problems() == []
