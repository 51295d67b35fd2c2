"""What the probes and the metrics say."""

from __future__ import annotations

import asyncio
import socket

import aiohttp
import pytest

from tandem.api.meta import Key
from tandem.engine import health as module
from tandem.engine.health import Health
from tandem.engine.queue import KeyedQueue

pytestmark = pytest.mark.asyncio

W = Key("Widget", "ns", "w")


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
        assert "tandem_queue_depth 0.0" in (await get(metrics, "/metrics"))[1]


async def test_a_process_whose_workers_take_nothing_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STUCK", 0.05)
    port = free_port()
    async with Health(port, None) as health:
        queue: KeyedQueue[Key] = KeyedQueue()
        queue.add(W)
        await asyncio.sleep(0.1)
        assert (await get(port, "/healthz"))[0] == 200, "a replica that waits to lead has no workers"

        health.follow(queue)
        assert (await get(port, "/healthz"))[0] == 500

        await queue.get()
        assert (await get(port, "/healthz"))[0] == 200


async def test_metrics_tell_what_waits_and_how_late_the_loop_is() -> None:
    port = free_port()
    async with Health(None, port) as health:
        queue: KeyedQueue[Key] = KeyedQueue()
        health.follow(queue)
        queue.add(W)
        text = (await get(port, "/metrics"))[1]

    assert "tandem_queue_depth 1.0" in text
    assert "tandem_queue_oldest_seconds" in text
    assert "tandem_event_loop_lag_seconds" in text
