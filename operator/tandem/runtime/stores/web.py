"""One file over http(s), by fsspec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import aiohttp
import fsspec
import requests

from tandem.runtime.credentials import Credentials
from tandem.runtime.location import Location
from tandem.runtime.stores import version
from tandem.runtime.stores.entry import CHUNK, Entry

# Connecting and each read may take this long (seconds); the whole may take as long as the Job's deadline allows.
# aiohttp's own default ends every download after five minutes, however well it goes.
PATIENCE: Final = 60.0


def entries(location: Location, credentials: Credentials) -> Iterator[Entry]:
    yield Entry(location.filename, lambda: _read(location.uri, credentials.header))


def version_of(location: Location, credentials: Credentials) -> str:
    """By the headers of an answer of which one byte is asked for.

    Not HEAD: a presigned URL is signed for GET, and some servers know nothing else.
    """
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": credentials.header} if credentials.header else {})
    for asked in ({**headers, "Range": "bytes=0-0"}, headers):  # an empty file has no first byte
        with requests.get(location.uri, headers=asked, stream=True, timeout=(20.0, PATIENCE)) as answer:
            if answer.status_code == 416:
                continue
            answer.raise_for_status()
            return _version(answer.headers)
    return ""


def _version(headers: Mapping[str, str]) -> str:
    whole = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    size = int(whole) if whole.isascii() and whole.isdigit() else None
    return version.of_object(headers.get("ETag"), None, headers.get("Last-Modified"), size)


def _read(uri: str, authorization: str) -> Iterator[bytes]:
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=PATIENCE, sock_read=PATIENCE)
    # The bytes as they are stored: aiohttp would unpack a .gz that is served with Content-Encoding.
    headers = {"Accept-Encoding": "identity"} | ({"Authorization": authorization} if authorization else {})
    options: dict[str, Any] = {
        "client_kwargs": {"timeout": timeout, "trust_env": True},
        "headers": headers,
        "block_size": 0,  # stream: one request, and no need for a server that knows ranges
        "skip_instance_cache": True,
    }
    with fsspec.filesystem("http", **options).open(uri, "rb") as source:
        while chunk := source.read(CHUNK):
            yield chunk
