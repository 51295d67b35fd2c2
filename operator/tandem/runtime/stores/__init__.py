"""Where data come from: each store says which files a location has, and reads them as chunks of bytes.

Object stores are read by obstore, not by fsspec's s3fs, gcsfs and adlfs: one library of 15 MB instead of three trees
of 40 packages, errors that have types, and no node's own credentials unless they are given (docs/design/data.md).
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tandem.runtime.credentials import Credentials
from tandem.runtime.location import BUCKETS, GIT, WEB, Location
from tandem.runtime.stores.entry import Entry


@contextmanager
def opened(
    location: Location, credentials: Credentials, claim: Path | None, scratch: Path
) -> Iterator[Iterator[Entry]]:
    """The files of the data set, in no order; whatever was opened is closed at the end.

    ``claim``: where the PersistentVolumeClaim of a ``pvc://`` is mounted. ``scratch``: a folder for what a store has
    to unpack, on the volume that the data set goes to.

    Raises:
        Failure: with the words for a person, where the store knows them.
        Exception: whatever the library of a store raises (:mod:`tandem.runtime.reasons` tells them apart).
    """
    with closing(_entries(location, credentials, claim, scratch)) as entries:
        yield entries


def version_of(location: Location, credentials: Credentials, claim: Path | None) -> str:
    """What the store says of the state of the data now (:mod:`tandem.runtime.stores.version`), without downloading it.

    '' where it tells nothing by which a change could be known.

    Raises:
        Exception: as :func:`opened`.
    """
    if location.scheme in BUCKETS:
        from tandem.runtime.stores import bucket

        return bucket.version_of(location, credentials)
    if location.scheme in WEB:
        from tandem.runtime.stores import web

        return web.version_of(location, credentials)
    if location.scheme in GIT:
        from tandem.runtime.stores import git

        return git.version_of(location, credentials)
    if location.scheme == "oci":
        from tandem.runtime.stores import oci

        return oci.version_of(location, credentials)
    from tandem.runtime.stores import local

    return local.version_of(location, claim)


def _entries(
    location: Location, credentials: Credentials, claim: Path | None, scratch: Path
) -> Generator[Entry, None, None]:
    # Imported here: nobody waits for the library of a store that he does not use.
    if location.scheme in BUCKETS:
        from tandem.runtime.stores import bucket

        yield from bucket.entries(location, credentials)
    elif location.scheme in WEB:
        from tandem.runtime.stores import web

        yield from web.entries(location, credentials)
    elif location.scheme in GIT:
        from tandem.runtime.stores import git

        yield from git.entries(location, credentials, scratch)
    elif location.scheme == "oci":
        from tandem.runtime.stores import oci

        yield from oci.entries(location, credentials)
    else:
        from tandem.runtime.stores import local

        yield from local.entries(location, claim)
