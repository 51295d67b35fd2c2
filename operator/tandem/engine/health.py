"""Two small HTTP servers: probes (``/healthz``, ``/readyz``) and Prometheus metrics (``/metrics``)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from aiohttp import web

from tandem.engine.metrics import CONTENT_TYPE, Metrics


class Health:
    """``ready`` is set once everything has been listed, leading or not; ``problems`` makes a red ``/healthz``."""

    def __init__(self, health_port: int | None, metrics_port: int | None, metrics: Metrics | None = None) -> None:
        self.ready = False
        self.problems: Callable[[], list[str]] = list
        self.metrics = metrics or Metrics()
        self._health_port = health_port
        self._metrics_port = metrics_port
        self._stack = AsyncExitStack()

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
        problems = self.problems()
        return web.Response(text="\n".join(problems) or "ok", status=500 if problems else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        return web.Response(text="ok") if self.ready else web.Response(text="listing", status=503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self.metrics.text(), headers={"Content-Type": CONTENT_TYPE})
