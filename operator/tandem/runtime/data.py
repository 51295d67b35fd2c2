"""A data version: every byte fetched and hashed, and compared with its pin."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, ClassVar, Final, cast
from urllib.parse import urlsplit

import fsspec
import msgspec

from tandem.runtime.failure import Failure
from tandem.runtime.instruction import Data
from tandem.runtime.redact import redacted

_CHUNK: Final = 1 << 20
# Connecting and each read may take this long (seconds); the whole may take as long as the Job's deadline allows.
# aiohttp's own default ends every download after five minutes, however well it goes.
_PATIENCE: Final = 60.0


class Fetched(msgspec.Struct, frozen=True):
    name: str
    digest: str
    bytes: int


class DataNotFetched(Failure):
    exit_code: ClassVar[int] = 4


class DigestMismatch(Failure):
    """The data is not the version that the spec pins: training on it would be training on something else."""

    exit_code: ClassVar[int] = 3


def fetch(data: Data, target: Path) -> Fetched:
    """Copy the data set to ``target``, hashed on the way.

    Raises:
        DataNotFetched: the URI cannot be read.
        DigestMismatch: its bytes are not those of ``data.digest``; ``target`` is not written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own until it is known to be whole: no later step can take half a file for a data set.
    partial = target.with_name(f".{target.name}.partial")
    sha256, size = hashlib.sha256(), 0
    try:
        with _opened(data.storage_uri) as source, partial.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                sha256.update(chunk)
                size += len(chunk)
                sink.write(chunk)
    except Exception as error:  # fsspec file systems raise whatever their libraries raise
        partial.unlink(missing_ok=True)
        raise DataNotFetched(
            f"data set {data.name}: could not fetch {redacted(data.storage_uri)}: {_reason(error)}"
        ) from None
    digest = f"sha256:{sha256.hexdigest()}"
    if data.digest and data.digest != digest:
        partial.unlink()
        raise DigestMismatch(
            f"data set {data.name}: expected {data.digest}, but {redacted(data.storage_uri)} is {digest} "
            f"({size} bytes): the data changed since it was pinned; check it, then set the digest or remove it"
        )
    partial.replace(target)
    return Fetched(data.name, digest, size)


@contextmanager
def _opened(uri: str) -> Iterator[IO[bytes]]:
    options: dict[str, Any] = {}
    if urlsplit(uri).scheme in ("http", "https"):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_PATIENCE, sock_read=_PATIENCE)
        options["client_kwargs"] = {"timeout": timeout, "trust_env": True}
        # The bytes as they are stored: aiohttp would unpack a .gz that is served with Content-Encoding.
        options["headers"] = {"Accept-Encoding": "identity"}
        options["block_size"] = 0  # stream: one request, and no need for a server that knows ranges
    file_system, path = fsspec.core.url_to_fs(uri, **options)
    with file_system.open(path, "rb") as source:
        yield cast("IO[bytes]", source)


def _reason(error: BaseException) -> str:
    """One clause; the chain is walked because fsspec tells every HTTP failure as FileNotFoundError."""
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    if (status := getattr(cause, "status", None)) is not None:
        return f"the server answered {status} {getattr(cause, 'message', '')}".rstrip()
    if isinstance(cause, (asyncio.TimeoutError, TimeoutError)):
        return f"no answer for {_PATIENCE:.0f} s"
    if isinstance(cause, OSError) and cause.strerror:
        # asyncio has texts of its own for the system's error numbers; a resolver's are negative, its text is good.
        return os.strerror(cause.errno) if cause.errno and cause.errno > 0 else cause.strerror
    if isinstance(cause, FileNotFoundError):
        return "the server answered 404 Not Found"
    return redacted(" ".join(str(cause).split())[:300]) or type(cause).__name__
