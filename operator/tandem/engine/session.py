"""kopf's connection to the API server, with an ear on it: bookmarks reach no handler, yet they are a sign of life."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Final, cast

import aiohttp
import kopf

from tandem.engine.watches import Watches

_REFUSED: Final = 400


@dataclass(frozen=True, kw_only=True)
class ListeningSession(kopf.AiohttpSession):
    """What kopf logs in with. Two are equal when their credentials are.

    (Were they not, kopf would take those that the API server has just refused for new ones, and ask on and on.)
    """

    credentials: kopf.ConnectionInfo
    aiohttp_session: aiohttp.ClientSession = field(compare=False)


def listening(credentials: kopf.ConnectionInfo, watches: Watches) -> ListeningSession:
    """A session as kopf would have made it of these credentials, that tells ``watches`` of every attempt and sign."""

    async def tried(_: aiohttp.ClientSession, __: SimpleNamespace, request: aiohttp.TraceRequestStartParams) -> None:
        watches.tried(request.url.path)

    class Response(aiohttp.ClientResponse):
        async def start(self, connection: aiohttp.connector.Connection) -> aiohttp.ClientResponse:
            await super().start(connection)
            if self.status < _REFUSED:
                path = self.url.path
                watches.heard(path)
                self.content = cast(aiohttp.StreamReader, _Overheard(self.content, lambda: watches.heard(path)))
            return self

    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(tried)
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=credentials.as_ssl_context()),
        headers=credentials.as_http_headers(),
        proxy=credentials.proxy_url,
        trust_env=credentials.trust_env,
        response_class=Response,
        trace_configs=[trace],
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
    """A stream whose every chunk is told of. (StreamReader has slots, and feeds from inside the parser.)"""

    def __init__(self, stream: aiohttp.StreamReader, heard: Callable[[], None]) -> None:
        self._stream = stream
        self._heard = heard

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for chunk in self._stream.iter_chunked(size):
            self._heard()
            yield chunk

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)
