"""A stand-in for an MLflow server, for the answers that a healthy one cannot be brought to give."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.test_utils import TestServer

PREFIX = "/api/2.0/mlflow/"


@dataclass(frozen=True)
class Answer:
    status: int
    text: str
    headers: Mapping[str, str]


@dataclass
class StandIn:
    """Answers each path with what the test put there, in order; the last answer stays."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    seen: list[web.Request] = field(default_factory=list)
    bodies: list[dict[str, object]] = field(default_factory=list)
    hangs: bool = False
    drops: bool = False
    url: str = ""

    @property
    def paths(self) -> list[str]:
        return [request.path.removeprefix(PREFIX) for request in self.seen]

    def put(self, path: str, *contents: object, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Each answer is sent as JSON, unless it is text."""
        texts = [content if isinstance(content, str) else json.dumps(content) for content in contents]
        self.answers[path] = [Answer(status, text, headers or {}) for text in texts]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.seen.append(request)
        if request.can_read_body:
            self.bodies.append(await request.json())
        if self.hangs:
            await asyncio.Event().wait()
        if self.drops and request.transport is not None:
            request.transport.abort()
        answers = self.answers[request.path.removeprefix(PREFIX)]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return web.Response(status=answer.status, text=answer.text, headers=answer.headers)


@asynccontextmanager
async def stand_in() -> AsyncIterator[StandIn]:
    server = StandIn()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with TestServer(app, shutdown_timeout=0) as running:
        server.url = str(running.make_url("/")).rstrip("/")
        yield server
