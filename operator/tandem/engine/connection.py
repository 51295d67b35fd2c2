"""One request and its answer, over the session of kubernetes.aio: its credentials, TLS and proxy, not its JSON.

The client's own way copies every body through a function for model classes, key by key, before it is encoded: an
eighth of the operator's CPU, measured. Bytes come from msgspec here, and go there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from kubernetes.aio.client import ApiClient

from tandem.api.meta import Json
from tandem.http import GuardedBody, NotSent, was_not_sent

_BEARER: Final = ["BearerToken"]  # read anew for each request: a pod's token is replaced every hour


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    data: bytes
    retry_after: str


class Connection:
    """``may_write`` is asked in the last moment before each write."""

    def __init__(self, client: ApiClient, timeout: aiohttp.ClientTimeout, may_write: Callable[[], bool]) -> None:
        self._client = client
        self._timeout = timeout
        self._may_write = may_write

    async def send(
        self,
        method: str,
        path: str,
        names: Mapping[str, str],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Json | None,
    ) -> Answer:
        """``names`` fill the places in ``path``, escaped; whatever has a body is a write.

        Raises NotSent and whatever aiohttp does, OSError, TimeoutError; kubernetes.aio's ApiException for want of
        credentials.
        """
        configuration = self._client.configuration
        url = configuration.host + path.format_map({place: quote(name, safe="") for place, name in names.items()})
        if query:
            url += "?" + urlencode(query)
        sent: dict[str, str] = {**headers, **self._client.default_headers}
        await self._client.update_params_for_auth(sent, [], _BEARER, path, method, None)
        data = GuardedBody(msgspec.json.encode(body), self._may_write) if body is not None else None
        try:
            async with self._session.request(
                method, url, data=data, headers=sent, timeout=self._timeout, **self._route()
            ) as response:
                return Answer(response.status, await response.read(), response.headers.get("Retry-After", ""))
        except aiohttp.ClientConnectionError as error:
            if was_not_sent(error):
                raise NotSent from None
            raise

    @property
    def _session(self) -> aiohttp.ClientSession:
        """The client's own, made by its own rules and closed with it."""
        rest = self._client.rest_client
        if rest.pool_manager is None:
            rest.pool_manager = rest._create_pool_manager()
        session: aiohttp.ClientSession = rest.pool_manager
        return session

    def _route(self) -> dict[str, Any]:
        rest, configuration = self._client.rest_client, self._client.configuration
        route = {
            "proxy": rest.proxy,
            "proxy_headers": rest.proxy_headers,
            "server_hostname": configuration.tls_server_name,
        }
        return {name: value for name, value in route.items() if value}
