"""A file or folder of a Git repository at a ref."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tandem.runtime import source
from tandem.runtime.credentials import Credentials
from tandem.runtime.failure import NotFetched
from tandem.runtime.instruction import Git
from tandem.runtime.location import Location
from tandem.runtime.stores import local, version
from tandem.runtime.stores.entry import Entry

_FIELD: Final = "?ref= of the storageUri"


def entries(location: Location, credentials: Credentials, scratch: Path) -> Iterator[Entry]:
    with tempfile.TemporaryDirectory(prefix=".git-", dir=scratch) as folder:
        checkout = Path(folder)
        source.check_out(_git(location), checkout, source.with_header(credentials.basic_header), _FIELD)
        for entry in local.files(checkout, checkout / location.path.removesuffix("/"), location.is_folder):
            if entry.size is not None and entry.size < 1024 and next(entry.read(), b"").startswith(source.POINTER):
                raise NotFetched(f"{entry.path} is kept in Git LFS, which is not fetched: name the store that holds it")
            yield entry


def version_of(location: Location, credentials: Credentials) -> str:
    """The commit of the ref: one that changes other folders alone counts too."""
    return version.of("commit", source.resolve(_git(location), source.with_header(credentials.basic_header), _FIELD))


def _git(location: Location) -> Git:
    return Git(f"{location.scheme.removeprefix('git+')}://{location.place}", location.ref)
