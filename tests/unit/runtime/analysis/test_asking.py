"""Questions over HTTP, to a real server: what is sent, what is believed, and how it is told when nothing is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tandem.runtime.analyse import provider_of
from tandem.runtime.analysis import asking
from tandem.runtime.analysis.asking import NotMeasured, NotThere, ask, bearer_of, headers_of
from tandem.runtime.analysis.instruction import Instruction, Metric, Mlflow, Pods, Prometheus, Web
from tandem.runtime.analysis.pods import Begun
from tandem.runtime.analysis.verdict import NoData, Reading, Value

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[str]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a server that answers everything with a handler; its address."""
    runners: list[web.AppRunner] = []

    async def start(handler: Handler) -> str:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        return f"http://{host}:{port}"

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def measured(session: aiohttp.ClientSession, metric: Metric, **placeholders: str) -> Reading | Begun:
    told = Instruction(metrics=(metric,), placeholders=placeholders, since=datetime(2026, 3, 1, tzinfo=UTC))
    return await provider_of(metric, told, session, {"MLFLOW_TRACKING_URI": "http://127.0.0.1:1"}).measure()


async def test_a_prometheus_is_asked_with_the_placeholders_filled_in_and_the_token(
    serve: Serve, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    seen: list[web.Request] = []

    async def prometheus(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response({"status": "success", "data": {"resultType": "scalar", "result": [1.0, "0.5"]}})

    asked = Prometheus(f"{await serve(prometheus)}/", 'up{pod=~"$(NAME)-.*"}', str(tmp_path))
    assert await measured(session, Metric(name="up", prometheus=asked), NAME="shop") == Value(0.5)
    assert (seen[0].path, seen[0].query["query"]) == ("/api/v1/query", 'up{pod=~"shop-.*"}')
    assert seen[0].headers["Authorization"] == "Bearer s3cret"


async def test_a_web_metric_sends_each_key_of_its_secret_as_a_header(
    serve: Serve, session: aiohttp.ClientSession, tmp_path: Path
) -> None:
    (tmp_path / "X-Token").write_text("s3cret")
    (tmp_path / "..2026_03_01").mkdir()  # where Kubernetes keeps the files

    async def checks(request: web.Request) -> web.Response:
        return web.json_response({"score": 7 if request.headers.get("X-Token") == "s3cret" else 0})

    asked = Web("$(URL)/score", "/score", str(tmp_path))
    url = await serve(checks)
    assert await measured(session, Metric(name="score", web=asked), URL=url) == Value(7.0)


async def test_a_redirect_is_not_followed_so_that_no_other_host_gets_the_token(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response(1)

    other = await serve(elsewhere)

    async def redirect(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound(f"{other}/stolen")

    with pytest.raises(NotMeasured, match="answered 302"):
        await ask(session, await serve(redirect), headers={"Authorization": "Bearer s3cret"})
    assert asked == []


async def test_an_answer_without_an_end_is_not_read_to_its_end(
    serve: Serve, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANSWER_LIMIT", 2**16)

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(1000):
            await response.write(b"x" * 2**16)
        return response

    with pytest.raises(NotMeasured, match="more than"):
        await ask(session, await serve(endless))


async def test_silence_is_an_error_that_says_how_long_it_lasted(
    serve: Serve, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "PATIENCE", 0.05)

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)  # and no body ever
        assert request.transport is not None
        while not request.transport.is_closing():
            await response.write(b" ")
        return response

    with pytest.raises(NotMeasured, match="did not answer within"):
        await ask(session, await serve(silent))


@pytest.mark.parametrize(("status", "type_"), [(404, NotThere), (500, NotMeasured), (401, NotMeasured)])
async def test_a_refusal_says_what_the_server_said(
    serve: Serve, session: aiohttp.ClientSession, status: int, type_: type[Exception]
) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=status, text="go\n away")

    with pytest.raises(type_, match=f"answered {status}: go away"):
        await ask(session, await serve(refuse))


@pytest.mark.parametrize("token", ["s3cret", "s3\ncret", f"s3{'x' * 190}cret"])
async def test_what_a_secret_holds_is_told_to_nobody(
    serve: Serve, session: aiohttp.ClientSession, tmp_path: Path, token: str
) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(status=401, text=f"unknown: {request.headers['Authorization']}, {request.headers['X-Key']}")

    (tmp_path / "token").write_text(token)
    headers = {**bearer_of(str(tmp_path)), "X-Key": "k3y"}
    with pytest.raises(NotMeasured) as told:
        await ask(session, await serve(echo), headers=headers)
    assert not [secret for secret in ("s3", "cret", "k3y") if secret in str(told.value)]


async def test_nobody_there_is_an_error(session: aiohttp.ClientSession) -> None:
    with pytest.raises(NotMeasured, match="Cannot connect"):
        await ask(session, "http://127.0.0.1:1/")


def test_a_secret_without_a_token_says_which_key_is_missing(tmp_path: Path) -> None:
    with pytest.raises(NotMeasured, match="no key 'token'"):
        bearer_of(str(tmp_path))


def test_without_a_secret_nothing_is_sent() -> None:
    assert (bearer_of(""), headers_of("")) == ({}, {})


# --- Pods ------------------------------------------------------------------------------------------------------------


def counters(requests: int, errors: int = 0) -> str:
    return (
        "# TYPE http_requests_total counter\n"
        f'http_requests_total{{code="200",path="/"}} {requests - errors}\n'
        f'http_requests_total{{code="500",path="/"}} {errors}\n'
        'http_requests_total{code="200",path="/healthz"} 1000\n'
    )


async def test_pods_are_read_twice_and_what_came_between_is_measured(
    serve: Serve, session: aiohttp.ClientSession
) -> None:
    answers = [counters(100, 50), counters(200, 51)]

    async def pod(_: web.Request) -> web.Response:
        return web.Response(text=answers.pop(0))

    port = int((await serve(pod)).rpartition(":")[2])
    told = Pods("127.0.0.1", port, "requestErrorRate", ignored_paths=("/healthz",))
    metric = Metric(name="errors", pods=told)
    provider = provider_of(metric, Instruction(metrics=(metric,), since=datetime(2026, 3, 1, tzinfo=UTC)), session, {})
    assert isinstance(await provider.measure(), Begun)
    assert await provider.measure() == Value(0.01)


async def test_pods_without_metrics_are_told_so(serve: Serve, session: aiohttp.ClientSession) -> None:
    async def pod(_: web.Request) -> web.Response:
        return web.Response(status=404)

    port = int((await serve(pod)).rpartition(":")[2])
    with pytest.raises(NotMeasured, match="no /metrics; measure with another provider"):
        await measured(session, Metric(name="errors", pods=Pods("127.0.0.1", port, "requests")))


async def test_a_revision_without_a_ready_pod_has_no_address(session: aiohttp.ClientSession) -> None:
    with pytest.raises(NotMeasured, match="has no ready pod"):
        await measured(session, Metric(name="errors", pods=Pods("shop-analysis.invalid", 8080, "requests")))


# --- MLflow, as far as it is not tried on a real one -----------------------------------------------------------------


async def test_a_server_that_nobody_monitors_on_has_no_data(serve: Serve, session: aiohttp.ClientSession) -> None:
    async def mlflow(_: web.Request) -> web.Response:
        return web.json_response({"error_code": "RESOURCE_DOES_NOT_EXIST"}, status=404)

    metric = Metric(name="accuracy", mlflow=Mlflow("accuracy", model="iris", version="3"))
    told = Instruction(metrics=(metric,), since=datetime(2026, 3, 1, tzinfo=UTC))
    provider = provider_of(metric, told, session, {"MLFLOW_TRACKING_URI": await serve(mlflow)})
    assert isinstance(await provider.measure(), NoData)


async def test_a_run_that_is_gone_is_an_error(serve: Serve, session: aiohttp.ClientSession) -> None:
    async def mlflow(_: web.Request) -> web.Response:
        return web.json_response({"error_code": "RESOURCE_DOES_NOT_EXIST"}, status=404)

    metric = Metric(name="accuracy", mlflow=Mlflow("accuracy", run_id="abc"))
    told = Instruction(metrics=(metric,), since=datetime(2026, 3, 1, tzinfo=UTC))
    provider = provider_of(metric, told, session, {"MLFLOW_TRACKING_URI": await serve(mlflow)})
    with pytest.raises(NotMeasured, match="answered 404"):
        await provider.measure()
