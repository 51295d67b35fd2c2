"""Stands between an operator and a real API server, and can make watches fall silent without closing them."""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import kubernetes.config
from aiohttp import web
from kubernetes.client import Configuration

_NOT_PASSED_ON = {"host", "content-length", "transfer-encoding", "content-encoding", "connection"}


class Middleman:
    """Speaks HTTP with the operator (``kubeconfig``), and TLS as the cluster's administrator with the API server."""

    def __init__(self, administrator: Path, folder: Path) -> None:
        self.silent: set[str] = set()  # plurals whose watches bring nothing from now on, no bookmark either
        self.kubeconfig = folder / "through-the-middleman"
        self._behind = Configuration()
        kubernetes.config.load_kube_config(str(administrator), client_configuration=self._behind)  # type: ignore[no-untyped-call]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)
        cluster = {"server": f"http://127.0.0.1:{port}"}
        self.kubeconfig.write_text(
            json.dumps(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "here",
                    "clusters": [{"name": "here", "cluster": cluster}],
                    "users": [{"name": "here", "user": {}}],
                    "contexts": [{"name": "here", "context": {"cluster": "here", "user": "here"}}],
                }
            )
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    async def _serve(self) -> int:
        tls = ssl.create_default_context(cafile=self._behind.ssl_ca_cert)
        tls.load_cert_chain(str(self._behind.cert_file), self._behind.key_file)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls, limit=0), timeout=aiohttp.ClientTimeout(total=None)
        )
        app = web.Application(client_max_size=8 << 20)
        app.router.add_route("*", "/{path:.*}", self._pass_on)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    async def _stop(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _pass_on(self, request: web.Request) -> web.StreamResponse:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON}
        body = await request.read()
        url = self._behind.host + str(request.rel_url)
        async with self._session.request(request.method, url, headers=headers, data=body or None) as answer:
            passed_on = {n: value for n, value in answer.headers.items() if n.lower() not in _NOT_PASSED_ON}
            response = web.StreamResponse(status=answer.status, headers=passed_on)
            await response.prepare(request)
            plural = request.path.rpartition("/")[2] if request.query.get("watch") == "true" else ""
            async for chunk in answer.content.iter_any():
                if plural not in self.silent:
                    await response.write(chunk)
            return response
