"""The API server for users, kubelets and watchers of the soak: while it is away they wait for it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import aiohttp
import kubernetes.config
from kubernetes.client import Configuration

Json: TypeAlias = dict[str, Any]

MERGE: Final = "application/merge-patch+json"
_AGAIN: Final = 0.5  # seconds
_LONGEST_LINE: Final = 8 * 1024 * 1024


class Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Client:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.asked_again = 0

    async def ask(self, method: str, path: str, body: Json | None = None, **query: str) -> Json:
        """Asked until there is an answer. Raises :class:`Refused`: a 4xx; of a create or a delete that was only heard
        the second time as well (409, 404)."""
        content_type = MERGE if method == "PATCH" else "application/json"
        data = None if body is None else json.dumps(body)
        while True:
            try:
                headers = {"Content-Type": content_type}
                async with self._session.request(method, path, data=data, headers=headers, params=query) as answer:
                    result: Json = json.loads(await answer.read())
                    if answer.status < 400:
                        return result
                    if answer.status != 429 and answer.status < 500:
                        raise Refused(answer.status, str(result.get("message")))
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                pass
            self.asked_again += 1
            await asyncio.sleep(_AGAIN)

    async def watch(self, path: str, version: str) -> AsyncIterator[Json]:
        """Events from this version on, until the stream ends, however it ends."""
        query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": "300"}
        try:
            async with self._session.get(path, params=query, timeout=aiohttp.ClientTimeout(sock_read=330)) as answer:
                if answer.status == 410:
                    yield {"type": "ERROR", "object": {"code": 410}}
                while answer.status == 200 and (line := await answer.content.readline()):
                    yield json.loads(line)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            await asyncio.sleep(_AGAIN)


@asynccontextmanager
async def connected(url: str, kubeconfig: Path) -> AsyncIterator[Client]:
    tls = Configuration()
    kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=tls)  # type: ignore[no-untyped-call]
    context = ssl.create_default_context(cafile=tls.ssl_ca_cert)
    assert tls.cert_file is not None, "the kubeconfig has no client certificate"
    context.load_cert_chain(tls.cert_file, tls.key_file)
    connector, timeout = aiohttp.TCPConnector(limit=64, ssl=context), aiohttp.ClientTimeout(total=30)
    headers = {"User-Agent": "soak"}
    async with aiohttp.ClientSession(
        url, connector=connector, timeout=timeout, headers=headers, read_bufsize=_LONGEST_LINE
    ) as session:
        yield Client(session)
