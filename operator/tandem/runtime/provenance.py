"""Who answered, on every response; and how often and how fast, at /metrics.

It wraps the whole application from the outside, so that errors made by the framework carry the headers too: a client
that was refused wants to know by which version as much as one that was answered.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest

from tandem.api.names import HEADER_MODEL_NAME, HEADER_MODEL_VERSION, HEADER_RUN_ID

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_METRICS_PATH: Final = "/metrics"
# Only these paths become label values: a scanner must not be able to fill the memory with paths of its own.
_KNOWN_PATHS: Final = frozenset({"/invocations", "/ping", "/health", "/version"})


@dataclass(frozen=True)
class Served:
    """The version that answers; an empty part is unknown and not told."""

    name: str = ""
    version: str = ""
    run_id: str = ""


class Provenance:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, served: Served) -> None:
        self._app = app
        told = (
            (HEADER_MODEL_NAME, served.name),
            (HEADER_MODEL_VERSION, served.version),
            (HEADER_RUN_ID, served.run_id),
        )
        self._headers = [
            (header.lower().encode(), value.encode("latin-1", "replace")) for header, value in told if value
        ]
        # A registry of its own: a user's model may use prometheus-client's global one for itself.
        self._registry = CollectorRegistry()
        labels = {"model": served.name, "model_version": served.version}
        self._requests = Counter(
            "tandem_model_requests",
            "Requests answered, by path and HTTP status.",
            (*labels, "path", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "tandem_model_request_seconds",
            "Time from the request to the end of its answer.",
            (*labels, "path"),
            registry=self._registry,
        )
        self._labels = tuple(labels.values())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["path"]
        started = time.perf_counter()
        # What a client sees when the application breaks before it answers (uvicorn then says 500).
        status = 500
        counted = False

        def count() -> None:
            nonlocal counted
            if not counted:
                counted = True
                known = path if path in _KNOWN_PATHS else "other"
                self._requests.labels(*self._labels, known, str(status)).inc()
                self._seconds.labels(*self._labels, known).observe(time.perf_counter() - started)

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), *self._headers]}
            elif message["type"] == "http.response.body" and not message.get("more_body"):
                # Before it leaves: whoever has read an answer finds it counted, and so does a judgement that asks then.
                count()
            await send(message)

        if path == _METRICS_PATH:
            await self._send_metrics(send)
            return
        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            count()  # broken off, or broken before it answered

    async def _send_metrics(self, send: Send) -> None:
        headers = [(b"content-type", CONTENT_TYPE_LATEST.encode()), *self._headers]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": generate_latest(self._registry)})
