"""Two small HTTP servers: probes (``/healthz``, ``/readyz``) and Prometheus metrics (``/metrics``)."""

from __future__ import annotations

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from tandem.api.meta import Key
from tandem.engine.queue import KeyedQueue


class Health:
    """``ready`` is set once everything has been listed. Answering at all proves that the event loop moves."""

    def __init__(self, health_port: int | None, metrics_port: int | None) -> None:
        self.ready = False
        self._health_port = health_port
        self._metrics_port = metrics_port
        self._stack = AsyncExitStack()
        self._registry = CollectorRegistry()
        self._depth = Gauge("tandem_queue_depth", "Resources that wait to be reconciled", registry=self._registry)
        self._age = Gauge(
            "tandem_queue_oldest_seconds", "How long the longest-waiting resource has waited", registry=self._registry
        )

    def follow(self, queue: KeyedQueue[Key]) -> None:
        self._depth.set_function(lambda: queue.depth)
        self._age.set_function(lambda: queue.oldest)

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
        return web.Response(text="ok")

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok") if self.ready else web.Response(text="listing", status=503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
