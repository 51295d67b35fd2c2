"""A data version: every byte fetched and hashed, and compared with its pin."""

from __future__ import annotations

import errno
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import msgspec

from tandem.runtime import cache, credentials, rows
from tandem.runtime.failure import Failure, NotFetched, NotFound, Unreachable
from tandem.runtime.instruction import Data
from tandem.runtime.location import BadLocation, Location, check_path
from tandem.runtime.manifest import MANIFEST_LIMIT, File, Manifest
from tandem.runtime.reasons import failure_of
from tandem.runtime.redact import redacted
from tandem.runtime.stores import opened, version_of
from tandem.runtime.stores.entry import CHUNK, Entry


class DigestMismatch(Failure):
    """The data is not the version that the spec pins: training on it would be training on something else."""

    exit_code: ClassVar[int] = 3


class Fetched(msgspec.Struct, frozen=True):
    """``rows``: of the tables in it, None where they cannot be counted. ``cached``: nothing was asked of the store.

    ``version``: what the store said of its state before the first byte was read; '' where it says nothing, or the data
    are pinned. So a change in the middle of the fetch is one that a later poll sees.
    """

    name: str
    manifest: Manifest
    rows: int | None = None
    cached: bool = False
    version: str = ""


def fetch(data: Data, target: Path) -> Fetched:
    """Copy the data set into the folder ``target`` (made new), hashed on the way.

    Raises:
        Failure: of the class that tells whose it is (:mod:`tandem.runtime.reasons`); ``target`` is not there.
        DigestMismatch: its bytes are not those of ``data.digest``; ``target`` is not there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name of its own until it is known to be whole: no later step can take half a file for a data set.
    partial = target.with_name(f".{target.name}.partial")
    for folder in (target, partial):
        shutil.rmtree(folder, ignore_errors=True)
    try:
        manifest, version = _from_cache(data, partial), ""
        cached = manifest is not None
        if manifest is None:
            manifest, version = _from_store(data, partial)
        counted = rows.of(partial, manifest)
        partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    if data.cache and not cached:
        problem = cache.keep(Path(data.cache), target, manifest)
        if problem:
            print(f"data: {data.name} is not kept in its cache: {problem}", flush=True)
    return Fetched(data.name, manifest, counted, cached, version)


def version_now(data: Data) -> str:
    """What the store says of the state of the data now, got without downloading them; '' where it says nothing.

    Raises:
        Failure: of the class that tells whose it is.
    """
    secret = credentials.Credentials()
    try:
        secret = credentials.read(data.secret, data.location.scheme)
        return version_of(data.location, secret, Path(data.claim) if data.claim else None)
    except Exception as error:  # the libraries of the stores raise whatever they raise
        told = failure_of(error, f"data set {data.name}: could not ask for {redacted(data.storage_uri)}")
        raise type(told)(secret.scrubbed(str(told))) from None


def _from_store(data: Data, partial: Path) -> tuple[Manifest, str]:
    location = data.location
    what = f"data set {data.name}: could not fetch {redacted(data.storage_uri)}"
    version = _version_before(data)
    secret = credentials.Credentials()
    try:
        secret = credentials.read(data.secret, location.scheme)
        claim = Path(data.claim) if data.claim else None
        partial.mkdir()
        with opened(location, secret, claim, partial.parent) as entries:
            files = tuple(_copied(entries, partial))
        if not files:
            raise NotFound("there is nothing in it; correct spec.data[].storageUri, or put the data there")
    except BadLocation as error:  # what the store calls a file is no path of ours
        raise NotFetched(f"{what}: a file in it {error}") from None
    except Exception as error:  # the libraries of the stores raise whatever they raise
        told = failure_of(error, what)
        raise type(told)(secret.scrubbed(str(told))) from None
    manifest = Manifest(files, location.is_folder)
    _check_pin(data, manifest)
    return manifest, version


def _version_before(data: Data) -> str:
    """A store that can be read and tells nothing of itself is no reason not to train."""
    if data.digest:
        return ""
    try:
        return version_now(data)
    except Unreachable:  # waiting for nobody once is enough
        raise
    except Failure:
        return ""


def _copied(entries: Iterator[Entry], folder: Path) -> Iterator[File]:
    seen: set[str] = set()
    for entry in entries:
        check_path(entry.path)
        if entry.path in seen:
            raise NotFetched(f"it has the file {entry.path} twice")
        seen.add(entry.path)
        if len(seen) > MANIFEST_LIMIT:
            raise NotFetched(f"it has more than {MANIFEST_LIMIT} files: pack them, or name a smaller folder")
        yield _copy(entry, folder / entry.path)


def _copy(entry: Entry, target: Path) -> File:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sink = target.open("xb")
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise NotFetched(f"{entry.path} is both a file and a folder") from None
    sha256, size = hashlib.sha256(), 0
    with sink:
        for chunk in entry.read():
            sha256.update(chunk)
            size += len(chunk)
            sink.write(chunk)
    if entry.size is not None and size != entry.size:
        raise NotFetched(f"{entry.path} has {size} bytes, {entry.size} were promised")
    if entry.sha256 and sha256.hexdigest() != entry.sha256:
        raise NotFetched(f"{entry.path} does not have the digest that the store tells of it")
    return File(entry.path, size, sha256.hexdigest())


def _check_pin(data: Data, manifest: Manifest) -> None:
    if data.digest and data.digest != manifest.digest:
        files = f"{len(manifest.files)} files, " if manifest.folder else ""
        raise DigestMismatch(
            f"data set {data.name}: expected {data.digest}, but {redacted(data.storage_uri)} is {manifest.digest} "
            f"({files}{manifest.size} bytes): the data changed since it was pinned; check it, then set the digest or "
            "remove it"
        )


def _from_cache(data: Data, partial: Path) -> Manifest | None:
    """The pinned data set out of its cache; None when it is not there, or not what it should be."""
    if not data.cache or not data.digest:
        return None
    volume = Path(data.cache)
    manifest = cache.known(volume, data.digest)
    if manifest is None or manifest.folder != data.location.is_folder:
        return None
    kept = cache.place(volume, data.digest)
    try:
        partial.mkdir()
        copied = tuple(_copied((_cached(kept, file, data.location) for file in manifest.files), partial))
        return Manifest(copied, manifest.folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise failure_of(error, f"data set {data.name}: could not copy it from its cache") from None
    except (Failure, BadLocation):
        pass
    print(f"data: {data.name} is damaged in its cache; it is fetched anew", flush=True)
    shutil.rmtree(partial, ignore_errors=True)
    cache.drop(kept)
    return None


def _cached(kept: Path, file: File, location: Location) -> Entry:
    """One file goes by the name in the URI: the cache knows its content only."""
    check_path(file.path)

    def read() -> Iterator[bytes]:
        with (kept / file.path).open("rb") as source:
            while chunk := source.read(CHUNK):
                yield chunk

    return Entry(file.path if location.is_folder else location.filename, read, file.size, file.sha256)
