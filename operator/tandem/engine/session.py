"""kopf's connection to the API server, with an ear on it: bookmarks reach no handler, yet they are a sign of life.

And with a word in it: where kopf lists before it watches, it is told the version of a list of ours and no objects
(resync.py); what happened to objects is heard here, and kopf sees what is about the stream itself (stream.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final, TypeAlias, cast

import aiohttp
import kopf

from tandem.api.meta import Json
from tandem.engine.api import ApiError, ApiUnavailable
from tandem.engine.stream import Listener, Stream
from tandem.engine.watches import Watches

_REFUSED: Final = 400

# The version up to which everything under this path is known, so that a watch may go on from there; raises ApiError or
# ApiUnavailable. Nothing for what is no list of ours.
WatchFrom: TypeAlias = Callable[[str], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class ListeningSession(kopf.AiohttpSession):
    """What kopf logs in with. Two are equal when their credentials are.

    (Were they not, kopf would take those that the API server has just refused for new ones, and ask on and on.)
    """

    credentials: kopf.ConnectionInfo
    aiohttp_session: aiohttp.ClientSession = field(compare=False)


def listening(
    credentials: kopf.ConnectionInfo, watches: Watches, watch_from: WatchFrom, listener: Listener
) -> ListeningSession:
    """A session as kopf would have made it of these credentials, that tells ``watches`` of every attempt and sign."""

    async def tried(_: aiohttp.ClientSession, __: SimpleNamespace, request: aiohttp.TraceRequestStartParams) -> None:
        watches.tried(request.url.path)

    class Response(aiohttp.ClientResponse):
        known = ""  # in answer to one of kopf's lists: the version of our own

        async def json(self, **options: Any) -> Any:
            answer: Json = await super().json(**options)
            return {**answer, "metadata": {"resourceVersion": self.known}, "items": []} if self.known else answer

        async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
            await super().start(connection)
            if self.status < _REFUSED:
                path = self.url.path
                watches.heard(path)
                heard = _Overheard(self.content, lambda: watches.heard(path), listener)
                self.content = cast(aiohttp.StreamReader, heard)
            return self

    async def listed(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        """The API server is asked first: whether the kind is there, and the right to it, it tells kopf itself."""
        response = await handler(request)
        if request.method == "GET" and "watch" not in request.url.query and response.status < _REFUSED:
            path = request.url.path
            try:
                version = await watch_from(path)
            except (ApiError, ApiUnavailable) as error:
                response.close()
                raise aiohttp.ClientConnectionError(f"{path} could not be listed: {error}") from error
            if version:
                assert isinstance(response, Response)
                response.known = version
                watches.begins(path, version)
        return response

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(tried)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=credentials.as_ssl_context()),
        headers=credentials.as_http_headers(),
        proxy=credentials.proxy_url,
        trust_env=credentials.trust_env,
        response_class=Response,
        trace_configs=[trace],
        middlewares=(listed,),
    )
    return ListeningSession(
        server=credentials.server,
        priority=credentials.priority,
        default_namespace=credentials.default_namespace,
        expiration=credentials.expiration,
        credentials=credentials,
        aiohttp_session=session,
    )


class _Overheard:
    """A stream whose every chunk is told of, without events. (StreamReader has slots, and feeds from the parser.)"""

    def __init__(self, stream: aiohttp.StreamReader, heard: Callable[[], None], listener: Listener) -> None:
        self._stream = stream
        self._heard = heard
        self._listener = listener

    def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        return Stream(self._listener, clock).without_events(self._chunks(size))

    async def _chunks(self, size: int) -> AsyncIterator[bytes]:
        async for chunk in self._stream.iter_chunked(size):
            self._heard()
            yield chunk

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
