"""Every response, good or bad, says which version gave it; and is counted."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI

from tandem.runtime.provenance import Provenance, Served


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


def ask(app: Provenance, method: str, path: str) -> Answer:
    """One request over the ASGI interface itself: what uvicorn would send to the client."""
    answer = Answer()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"").decode()

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "http_version": "1.1"}
    # Starlette answers 500 and raises the error again, for the server's log.
    with contextlib.suppress(RuntimeError):
        asyncio.run(app(scope, receive, send))
    return answer


@pytest.fixture
def app() -> Provenance:
    model = FastAPI()

    @model.post("/invocations")
    def invocations() -> dict[str, int]:
        return {"predictions": 1}

    @model.get("/version")
    def broken() -> None:
        raise RuntimeError("a bug in the model")

    return Provenance(model, Served("iris", "3", "run-7"))


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/invocations", 200), ("GET", "/nowhere", 404), ("GET", "/version", 500), ("GET", "/metrics", 200)],
)
def test_every_answer_carries_the_headers(app: Provenance, method: str, path: str, status: int) -> None:
    answer = ask(app, method, path)
    assert answer.status == status
    told = [answer.headers[name] for name in ("x-model-name", "x-model-version", "x-model-run-id")]
    assert told == ["iris", "3", "run-7"]


def test_what_is_unknown_is_not_told() -> None:
    answer = ask(Provenance(FastAPI(), Served(name="iris")), "GET", "/")
    assert answer.headers["x-model-name"] == "iris"
    assert not {"x-model-version", "x-model-run-id"} & answer.headers.keys()


def test_answers_are_counted_by_version_path_and_status(app: Provenance) -> None:
    for _ in range(3):
        ask(app, "POST", "/invocations")
    ask(app, "GET", "/version")
    metrics = ask(app, "GET", "/metrics").body
    assert 'tandem_model_requests_total{model="iris",model_version="3",path="/invocations",status="200"} 3.0' in metrics
    assert 'tandem_model_requests_total{model="iris",model_version="3",path="/version",status="500"} 1.0' in metrics
    assert 'tandem_model_request_seconds_count{model="iris",model_version="3",path="/invocations"} 3.0' in metrics


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/invocations", 200), ("GET", "/version", 500)])
def test_an_answer_is_counted_by_the_time_that_a_client_has_it(
    app: Provenance, method: str, path: str, status: int
) -> None:
    """A judgement that asks for the counts then would miss it."""
    counted: list[str] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def asked(scope: Any) -> None:
        async def has_it(message: Any) -> None:
            if message["type"] == "http.response.body":
                counted.append((await metrics()).body)

        await app(scope, receive, has_it)

    async def metrics() -> Answer:
        answer = Answer()

        async def keep(message: Any) -> None:
            answer.body += message.get("body", b"").decode()

        await app({"type": "http", "path": "/metrics"}, receive, keep)
        return answer

    scope = {"type": "http", "method": method, "path": path, "headers": [], "query_string": b"", "http_version": "1.1"}
    with contextlib.suppress(RuntimeError):
        asyncio.run(asked(scope))

    assert f'path="{path}",status="{status}"}} 1.0' in counted[-1]


def test_unknown_paths_share_one_counter_so_that_a_scanner_fills_no_memory(app: Provenance) -> None:
    for number in range(20):
        ask(app, "GET", f"/scan/{number}")
    metrics = ask(app, "GET", "/metrics").body
    assert 'path="other",status="404"} 20.0' in metrics
    assert "/scan" not in metrics
