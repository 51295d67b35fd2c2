"""Every way a request can fail has a name, and a message that says what to do."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from tandem.tracking import transport as transport_module
from tandem.tracking.errors import MLflowHostRejected, TrackingError, TrackingFailure, TrackingUnavailable
from tandem.tracking.transport import HttpTransport, Method
from tests.unit.tracking.stand_in import StandIn

GET_RUN = "runs/get"


async def failure(server: StandIn, path: str = GET_RUN, **settings: object) -> TrackingFailure:
    transport = HttpTransport(server.url, environ={}, **settings)  # type: ignore[arg-type]
    try:
        with pytest.raises(TrackingFailure) as failed:
            await transport.send("GET", path)
    finally:
        await transport.close()
    return failed.value


async def headers_of(server: StandIn, environ: Mapping[str, str], **settings: object) -> Mapping[str, str]:
    server.put(GET_RUN, {})
    transport = HttpTransport(server.url, environ=environ, **settings)  # type: ignore[arg-type]
    await transport.send("GET", GET_RUN)
    await transport.close()
    return server.seen[-1].headers


# --- answers that are failures ---------------------------------------------------------------------------------------


@pytest.mark.asyncio
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_server_that_is_busy_or_broken_is_unavailable(mlflow_server: StandIn, status: int) -> None:
    mlflow_server.put(GET_RUN, "upstream connect error", status=status)

    failed = await failure(mlflow_server)

    assert isinstance(failed, TrackingUnavailable)
    assert failed.reason == "TrackingUnavailable"
    assert f"answered {status}: upstream connect error" in failed.message
    assert failed.answered


@pytest.mark.asyncio
async def test_the_host_check_has_a_reason_of_its_own_and_names_the_option_that_helps(mlflow_server: StandIn) -> None:
    mlflow_server.put(GET_RUN, "Invalid Host header - possible DNS rebinding attack detected", status=403)

    failed = await failure(mlflow_server)

    assert isinstance(failed, MLflowHostRejected)
    assert failed.reason == "MLflowHostRejected"
    assert f"--allowed-hosts '{mlflow_server.url.removeprefix('http://')}," in failed.message


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("status", "answer", "code", "reason"),
    [
        (
            400,
            {"error_code": "INVALID_PARAMETER_VALUE", "message": "no"},
            "INVALID_PARAMETER_VALUE",
            "TrackingRejected",
        ),
        (403, {"error_code": "PERMISSION_DENIED", "message": "no"}, "PERMISSION_DENIED", "TrackingForbidden"),
        (403, "Permission denied", "PERMISSION_DENIED", "TrackingForbidden"),
        (401, "You are not authenticated", "UNAUTHENTICATED", "TrackingUnauthorized"),
        (404, "<title>404 Not Found</title>", "HTTP_404", "TrackingRejected"),
        (400, {"detail": "not MLflow's shape"}, "HTTP_400", "TrackingRejected"),
    ],
)
async def test_a_request_that_is_turned_down_keeps_mlflow_s_error_code(
    mlflow_server: StandIn, status: int, answer: object, code: str, reason: str
) -> None:
    mlflow_server.put(GET_RUN, answer, status=status)

    failed = await failure(mlflow_server)

    assert isinstance(failed, TrackingError)
    assert (failed.error_code, failed.reason) == (code, reason)


@pytest.mark.asyncio
async def test_of_an_error_page_the_status_is_told_and_not_its_html(mlflow_server: StandIn) -> None:
    """As MLflow's own server answers what it did not expect: the message goes into a condition."""
    page = "<!doctype html>\n<html lang=en>\n<title>500 Internal Server Error</title>"
    mlflow_server.put(GET_RUN, page, status=500, headers={"Content-Type": "text/html; charset=utf-8"})

    failed = await failure(mlflow_server)

    assert failed.message == f"MLflow at {mlflow_server.url} answered 500: Internal Server Error"


@pytest.mark.asyncio
async def test_what_a_server_says_is_told_in_one_line(mlflow_server: StandIn) -> None:
    mlflow_server.put(GET_RUN, "out of\n  disk\n", status=503)

    assert (await failure(mlflow_server)).message.endswith("answered 503: out of disk")


@pytest.mark.asyncio
async def test_a_redirect_is_not_followed(mlflow_server: StandIn) -> None:
    mlflow_server.put(GET_RUN, "", status=302, headers={"Location": "https://login.example.com"})

    failed = await failure(mlflow_server)

    assert isinstance(failed, TrackingUnavailable)
    assert "redirects to https://login.example.com" in failed.message
    assert len(mlflow_server.seen) == 1


@pytest.mark.asyncio
async def test_a_server_that_does_not_answer_in_time_is_unavailable(mlflow_server: StandIn) -> None:
    mlflow_server.hangs = True

    failed = await failure(mlflow_server, timeout=timedelta(milliseconds=50))

    assert isinstance(failed, TrackingUnavailable)
    assert "did not answer within 0.05 s" in failed.message
    assert not failed.answered


@pytest.mark.asyncio
async def test_a_server_that_is_not_there_is_unavailable(unused_tcp_port: int) -> None:
    failed = await failure(StandIn(url=f"http://127.0.0.1:{unused_tcp_port}"))

    assert isinstance(failed, TrackingUnavailable)
    assert failed.message == f"MLflow at http://127.0.0.1:{unused_tcp_port} cannot be reached: Connection refused"
    assert not failed.answered


@pytest.mark.asyncio
async def test_an_answer_without_end_does_not_fill_the_memory(
    mlflow_server: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport_module, "MAX_ANSWER_BYTES", 1024 * 1024)
    mlflow_server.put(GET_RUN, "x" * (3 * 1024 * 1024))

    failed = await failure(mlflow_server)

    assert "more than 1 MiB" in failed.message


@pytest.mark.asyncio
async def test_the_password_is_never_told(unused_tcp_port: int) -> None:
    failed = await failure(StandIn(url=f"http://ann:secret@127.0.0.1:{unused_tcp_port}"))
    assert "secret" not in failed.message


@pytest.mark.parametrize("url", ["", "mlflow:5000", "sqlite:///mlflow.db", "http://", "/var/mlruns", "databricks"])
def test_an_address_that_is_no_http_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="must look like http://"):
        HttpTransport(url)


# --- what is sent ----------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_values_travel_escaped_in_the_query(mlflow_server: StandIn) -> None:
    mlflow_server.put(GET_RUN, {})
    nasty = "a&b=c#d e/../%2e?ü'\""
    transport = HttpTransport(mlflow_server.url, environ={})

    await transport.send("GET", GET_RUN, query=[("name", nasty), ("name", "second")])

    await transport.close()
    assert mlflow_server.seen[0].path == "/api/2.0/mlflow/runs/get"
    assert mlflow_server.seen[0].query.getall("name") == [nasty, "second"]


@pytest.mark.asyncio
async def test_a_server_below_a_path_is_reached_there(mlflow_server: StandIn) -> None:
    mlflow_server.put("/tools/mlflow/api/2.0/mlflow/runs/get", {})
    transport = HttpTransport(f"{mlflow_server.url}/tools/mlflow/", environ={})

    assert json.loads(await transport.send("GET", GET_RUN)) == {}

    await transport.close()


@pytest.mark.asyncio
async def test_without_credentials_none_are_sent(mlflow_server: StandIn) -> None:
    assert "Authorization" not in await headers_of(mlflow_server, {})


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("environ", "settings"),
    [
        ({"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "pässword"}, {}),
        ({"MLFLOW_TRACKING_USERNAME": "other"}, {"username": "ann", "password": "pässword"}),
    ],
)
async def test_basic_auth_comes_from_the_settings_or_from_mlflow_s_own_variables(
    mlflow_server: StandIn, environ: dict[str, str], settings: dict[str, str]
) -> None:
    headers = await headers_of(mlflow_server, environ, **settings)
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")).decode() == "ann:pässword"


@pytest.mark.asyncio
async def test_a_rotated_token_is_used_from_the_next_request_on(mlflow_server: StandIn, tmp_path: Path) -> None:
    mlflow_server.put(GET_RUN, {})
    token_file = tmp_path / "token"
    transport = HttpTransport(mlflow_server.url, token_file=token_file, environ={})

    for token in ("first", "second"):
        token_file.write_text(f"{token}\n")
        await transport.send("GET", GET_RUN)

    await transport.close()
    assert [request.headers["Authorization"] for request in mlflow_server.seen] == ["Bearer first", "Bearer second"]


@pytest.mark.asyncio
async def test_a_token_that_cannot_be_read_is_told(mlflow_server: StandIn, tmp_path: Path) -> None:
    failed = await failure(mlflow_server, token_file=tmp_path / "missing")

    assert isinstance(failed, TrackingUnavailable)
    assert "missing" in failed.message
    assert mlflow_server.seen == []


@pytest.mark.asyncio
async def test_the_workspace_travels_as_a_header(mlflow_server: StandIn) -> None:
    headers = await headers_of(mlflow_server, {"MLFLOW_WORKSPACE": "team-a"})
    assert headers["X-MLFLOW-WORKSPACE"] == "team-a"


@pytest.mark.asyncio
@pytest.mark.parametrize(("method", "path", "tries"), [("POST", "runs/search", 2), ("POST", "runs/create", 1)])
async def test_on_a_connection_that_was_just_closed_a_read_is_tried_once_more_and_a_write_is_not(
    mlflow_server: StandIn, method: Method, path: str, tries: int
) -> None:
    mlflow_server.drops = True
    transport = HttpTransport(mlflow_server.url, environ={})

    with pytest.raises(TrackingUnavailable):
        await transport.send(method, path, body={})

    await transport.close()
    assert len(mlflow_server.seen) == tries


@pytest.mark.parametrize("url", ["ftp://ann:secret@mlflow:5000", "ann:secret@mlflow", "http://ann:secret@"])
def test_an_address_that_is_refused_is_not_repeated_with_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="must look like") as refused:
        HttpTransport(url)
    assert "secret" not in str(refused.value)


# --- what is counted -------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_every_request_is_counted_by_endpoint_and_status_and_no_id_is_an_endpoint(mlflow_server: StandIn) -> None:
    counted: list[tuple[str, int]] = []

    def count(endpoint: str, status: int) -> None:
        counted.append((endpoint, status))

    mlflow_server.put(GET_RUN, {})
    mlflow_server.put("logged-models/m-0123", {}, status=404)
    mlflow_server.put("logged-models/search", {}, status=503)
    transport = HttpTransport(mlflow_server.url, environ={}, count=count)
    await transport.send("GET", GET_RUN)
    for path in ("logged-models/m-0123", "logged-models/search"):
        with pytest.raises(TrackingFailure):
            await transport.send("GET", path)
    await transport.close()

    assert counted == [("runs/get", 200), ("logged-models/get", 404), ("logged-models/search", 503)]


@pytest.mark.asyncio
async def test_a_request_without_an_answer_is_counted_too(unused_tcp_port: int) -> None:
    counted: list[tuple[str, int]] = []
    await failure(
        StandIn(url=f"http://127.0.0.1:{unused_tcp_port}"),
        path="logged-models/m-0123",
        count=lambda *request: counted.append(request),
    )
    assert counted == [("logged-models/get", 0)]
