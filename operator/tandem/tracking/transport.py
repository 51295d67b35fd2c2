"""HTTP to one MLflow server: one aiohttp session, credentials, and a named failure for everything that goes wrong."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

import aiohttp
import msgspec
from yarl import URL

from tandem.http import GuardedBody, was_not_sent
from tandem.tracking import wire
from tandem.tracking.errors import MLflowHostRejected, TrackingError, TrackingFailure, TrackingUnavailable

Method: TypeAlias = Literal["GET", "POST"]
Parameters: TypeAlias = Sequence[tuple[str, str]]
Body: TypeAlias = Mapping[str, object]
# Told of every request: its endpoint (no id of anything in it) and the status, 0 when there was no answer.
Count: TypeAlias = Callable[[str, int], None]

API: Final = "api/2.0/mlflow"
TIMEOUT: Final = timedelta(seconds=10)

# At most this many requests of one client are under way: a server with one worker gains nothing from more (measured).
CONCURRENCY: Final = 8
# A page of 5,000 monitoring runs is some 12 MB; whoever may write to MLflow must not be able to fill the operator.
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_ERROR_TEXT: Final = 300

_NO_JSON_ERROR: Final = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}


class Transport(Protocol):
    """Carries one request; raises a :class:`TrackingFailure` unless the server answered it with 2xx."""

    async def send(self, method: Method, path: str, *, query: Parameters = (), body: Body | None = None) -> bytes: ...

    async def close(self) -> None: ...


class HttpTransport:
    """A session with the server at ``base_url`` (``http[s]://host[:port][/prefix]``; ValueError for anything else).

    Credentials: a bearer token, read from ``token_file`` for each request (Kubernetes rotates projected tokens), or
    basic auth from ``username``/``password``, or from the variables that MLflow's own client reads:
    MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD. MLFLOW_WORKSPACE and MLFLOW_TRACKING_SERVER_CERT_PATH (a CA
    bundle) are honoured as well.

    ``may_write`` is asked in the last moment before each write.
    """

    def __init__(
        self,
        base_url: str,
        *,
        token_file: Path | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout: timedelta = TIMEOUT,
        environ: Mapping[str, str] = os.environ,
        count: Count = lambda *_: None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        url = _checked(base_url)
        username = username or url.user or environ.get("MLFLOW_TRACKING_USERNAME")
        password = password or url.password or environ.get("MLFLOW_TRACKING_PASSWORD") or ""
        self._base = url.with_user(None)
        self._count = count
        self._may_write = may_write
        self._token_file = token_file
        self._authorization = aiohttp.encode_basic_auth(username, password) if username else None
        self._workspace = environ.get("MLFLOW_WORKSPACE")
        self._ca_file = environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH")
        self._timeout = timeout
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._session: aiohttp.ClientSession | None = None

    async def send(self, method: Method, path: str, *, query: Parameters = (), body: Body | None = None) -> bytes:
        """The body of the answer. ``path`` is one of the client's own constants, never made from input.

        Raises:
            TrackingUnavailable, MLflowHostRejected, TrackingError: see :mod:`tandem.tracking.errors`.
        """
        url = self._base.joinpath(*API.split("/"), *path.split("/")).with_query(list(query))
        read_only = method == "GET" or path.endswith("/search")
        async with self._slots:
            try:
                async with asyncio.timeout(self._timeout.total_seconds()):
                    return await self._attempt(method, url, body, read_only=read_only)
            except TimeoutError as error:
                self._count(_endpoint(path), 0)
                raise TrackingUnavailable(
                    f"MLflow at {self._base} did not answer within {self._timeout.total_seconds():g} s"
                ) from error
            except (aiohttp.ClientError, OSError) as error:
                if was_not_sent(error):
                    raise TrackingUnavailable(f"{path}: not sent, this process does not lead any more") from None
                self._count(_endpoint(path), 0)
                raise TrackingUnavailable(f"MLflow at {self._base} cannot be reached: {_reason(error)}") from error

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _attempt(self, method: Method, url: URL, body: Body | None, *, read_only: bool) -> bytes:
        session, headers = self._open(), self._headers()
        content = msgspec.json.encode(body) if body is not None else None
        data = content if content is None or read_only else GuardedBody(content, self._may_write)
        again = read_only
        while True:
            try:
                # A redirect is never followed: it would turn a POST into a GET, and lead to log-in pages.
                async with session.request(method, url, data=data, headers=headers, allow_redirects=False) as answer:
                    text = await _read(answer)
                    self._count(_endpoint(url.path), answer.status)
                    if 200 <= answer.status < 300:
                        return text
                    raise self._failure(answer, text)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                # The server closed a kept connection just as it was used again: no sign of an outage.
                if not again:
                    raise
                again = False

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context(cafile=self._ca_file) if self._ca_file else True
            # uvicorn closes idle connections after 5 s.
            connector = aiohttp.TCPConnector(limit=CONCURRENCY, keepalive_timeout=4, ssl=context)
            self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None))
        return self._session

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._workspace:
            headers["X-MLFLOW-WORKSPACE"] = self._workspace
        if self._token_file is not None:
            try:
                headers["Authorization"] = f"Bearer {self._token_file.read_text().strip()}"
            except OSError as error:
                raise TrackingUnavailable(f"the token for MLflow cannot be read: {error}") from error
        elif self._authorization:
            headers["Authorization"] = self._authorization
        return headers

    def _failure(self, answer: aiohttp.ClientResponse, text: bytes) -> TrackingFailure:
        status, told = answer.status, _said(answer, text)
        if status == 403 and told.startswith("Invalid Host header"):
            return MLflowHostRejected(answer.request_info.headers.get("Host", str(self._base.authority)))
        if status == 429 or status >= 500:
            return TrackingUnavailable(f"MLflow at {self._base} answered {status}: {told}", answered=True)
        if status < 400:
            location = answer.headers.get("Location", "nowhere")
            return TrackingUnavailable(f"{self._base} redirects to {location}: give MLflow's own address")
        try:
            failure = msgspec.json.decode(text, type=wire.Failure)
        except msgspec.DecodeError:
            code = _NO_JSON_ERROR.get(status, f"HTTP_{status}")
            return TrackingError(code, f"MLflow at {self._base} answered {status}: {told}")
        return TrackingError(failure.error_code, failure.message[:_ERROR_TEXT])


def _endpoint(path: str) -> str:
    """Which of the API's endpoints a path names, without the id that one of them takes in it."""
    endpoint = path.rpartition(f"{API}/")[2]
    by_id = endpoint.startswith("logged-models/") and endpoint != "logged-models/search"
    return "logged-models/get" if by_id else endpoint


def _checked(base_url: str) -> URL:
    try:
        url = URL(base_url)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.host:
        # Not repeated: there may be a password in it.
        raise ValueError("the address of MLflow must look like http://mlflow.mlflow.svc:5000")
    return url.with_query(None).with_fragment(None)


def _said(answer: aiohttp.ClientResponse, text: bytes) -> str:
    """In one line; of a page for a browser, as servers and proxies send it with an error, its status says all."""
    if answer.content_type == "text/html":
        return answer.reason or ""
    return " ".join(text[:_ERROR_TEXT].decode(errors="replace").split())


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in answer.content.iter_chunked(1024 * 1024):
        size += len(part)
        if size > MAX_ANSWER_BYTES:
            message = f"MLflow answered more than {MAX_ANSWER_BYTES >> 20} MiB to one request"
            raise TrackingUnavailable(message, answered=True)
        parts.append(part)
    return b"".join(parts)


def _reason(error: Exception) -> str:
    """What the system says ("Connection refused"), without aiohttp's account of sockets and TLS."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, OSError) and cause.strerror:
        # asyncio has texts of its own for the system's error numbers; a resolver's are negative, its text is good.
        return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror
    return str(error) or type(error).__name__
