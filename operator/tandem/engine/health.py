"""Two small HTTP servers: probes (``/healthz``, ``/readyz``) and Prometheus metrics (``/metrics``)."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Final, Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tandem.api.meta import Key
from tandem.engine.queue import KeyedQueue

_STUCK: Final = 120.0  # seconds; every request of a worker ends within 30
_LAG_EVERY: Final = 1.0


class Health:
    """``ready`` is set once everything has been listed.

    Answering at all proves that the event loop moves; ``/healthz`` fails too when keys wait and no worker takes one.
    (A watch that ended needs no probe: the process ends with it.)
    """

    def __init__(self, health_port: int | None, metrics_port: int | None) -> None:
        self.ready = False
        self._health_port = health_port
        self._metrics_port = metrics_port
        self._stack = AsyncExitStack()
        self._queue: KeyedQueue[Key] | None = None
        self._registry = CollectorRegistry()
        self._depth = Gauge("tandem_queue_depth", "Resources that wait to be reconciled", registry=self._registry)
        self._age = Gauge(
            "tandem_queue_oldest_seconds", "How long the longest-waiting resource has waited", registry=self._registry
        )

        self._lag = Gauge("tandem_event_loop_lag_seconds", "How late the event loop last was", registry=self._registry)

    def follow(self, queue: KeyedQueue[Key]) -> None:
        """From now on, what waits in the queue is taken by workers."""
        self._queue = queue
        self._depth.set_function(lambda: queue.depth)
        self._age.set_function(lambda: queue.oldest)

    async def measure_lag(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + _LAG_EVERY
            await asyncio.sleep(_LAG_EVERY)
            self._lag.set(max(0.0, clock() - due))

    async def __aenter__(self) -> Self:
        probes, metrics = web.Application(), web.Application()
        probes.add_routes([web.get("/healthz", self._healthz), web.get("/readyz", self._readyz)])
        metrics.add_routes([web.get("/metrics", self._metrics)])
        await self._serve(probes, self._health_port)
        await self._serve(metrics, self._metrics_port)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _serve(self, app: web.Application, port: int | None) -> None:
        if port is None:
            return
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, port=port).start()

    async def _healthz(self, _: web.Request) -> web.Response:
        if self._queue is not None and self._queue.stuck > _STUCK:
            return web.Response(text=f"no worker has taken a key for {self._queue.stuck:.0f} s", status=500)
        return web.Response(text="ok")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok") if self.ready else web.Response(text="listing", status=503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
