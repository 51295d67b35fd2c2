"""What the probes say, and where."""

from __future__ import annotations

import socket

import aiohttp
import pytest

from tandem.engine.health import Health

pytestmark = pytest.mark.asyncio


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


async def get(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()


async def test_ready_follows_the_first_list_and_metrics_have_a_port_of_their_own() -> None:
    probes, metrics = free_port(), free_port()
    async with Health(probes, metrics) as health:
        assert await get(probes, "/readyz") == (503, "listing")
        health.ready = True
        assert (await get(probes, "/readyz"))[0] == 200
        assert (await get(probes, "/metrics"))[0] == 404
        assert "tandem_queue_depth 0.0" in (await get(metrics, "/metrics"))[1].splitlines()


async def test_healthz_is_green_until_there_is_a_problem_and_then_says_which() -> None:
    port = free_port()
    async with Health(port, None) as health:
        assert await get(port, "/healthz") == (200, "ok")

        health.problems = lambda: ["the watch of jobs is deaf", "no worker has taken a key"]

        assert await get(port, "/healthz") == (500, "the watch of jobs is deaf\nno worker has taken a key")


async def test_a_port_that_is_not_given_is_not_opened() -> None:
    async with Health(None, None) as health:
        assert health.metrics.text()
