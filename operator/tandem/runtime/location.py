"""Where a data set is: ``spec.data[].storageUri``, taken apart and checked before anything is opened.

=====================  ==============================================================================
``https://h/a.csv``    one file; a query (a presigned URL's signature) is kept, and never shown
``file:///a/b.csv``    a file or folder of the image
``pvc://claim/a/``     a file or folder of a PersistentVolumeClaim (KServe's scheme)
``s3://bucket/a/``     an object or everything under a prefix; ``gs://bucket/…`` alike
``abfs://c@account.dfs.core.windows.net/a/``   the same in Azure's store
``git+https://h/r.git//a/?ref=v1``             a file or folder of a Git repository (as in kustomize)
``oci://h/repo:tag//a.csv``                    one file of an OCI artifact; without ``//`` all of them
=====================  ==============================================================================

A path that ends in ``/`` is a folder; any other one is a single file. So what a data set is never depends on what
happens to be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

WEB: Final = ("https", "http")
LOCAL: Final = ("file", "pvc")
BUCKETS: Final = ("s3", "gs", "abfs", "abfss")
GIT: Final = ("git+https", "git+http")
DATA_PROTOCOLS: Final = (*WEB, *LOCAL, *BUCKETS, *GIT, "oci")

_DEFAULT_REF: Final = "main"


class BadLocation(ValueError):
    """The URI breaks a rule; the message says which."""


@dataclass(frozen=True)
class Location:
    """``place``: host, bucket or claim. ``path``: below it, without a slash in front. ``ref``: of Git or OCI."""

    uri: str
    scheme: str
    place: str
    path: str
    ref: str = ""

    @property
    def is_folder(self) -> bool:
        return self.path == "" or self.path.endswith("/")

    @property
    def filename(self) -> str:
        """What one file is called in the workspace: the last part of the path."""
        return self.path.rsplit("/", 1)[-1]


def parse(uri: str) -> Location:
    """The location that ``uri`` names.

    Raises:
        BadLocation: it is no URI that Tandem fetches from.
    """
    if "::" in uri:
        # fsspec takes a::b for a chain of file systems, git for a program to run.
        raise BadLocation("must not contain '::'")
    if any(not "!" <= character <= "~" for character in uri):
        raise BadLocation("must be printable ASCII without spaces; write %20 for a space")
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
    except ValueError as error:
        raise BadLocation(f"is no URI: {error}") from None
    if parts.scheme not in DATA_PROTOCOLS:
        raise BadLocation(f"must start with {' or '.join(f'{p}://' for p in DATA_PROTOCOLS)}")
    if "@" in parts.netloc and (parts.scheme not in ("abfs", "abfss") or parts.password is not None):
        raise BadLocation("must hold no user name or password: put them into a Secret and name it in secretRef")
    if (host == "") != (parts.scheme == "file"):
        raise BadLocation(
            "must name a file of the image, as in file:///data/iris.csv"
            if parts.scheme == "file"
            else "must name a host, a bucket or a claim after //"
        )
    if parts.scheme in ("abfs", "abfss") and not parts.username:
        raise BadLocation("must be abfs://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH")
    location = _taken_apart(uri, parts.scheme, parts.netloc, unquote(parts.path).lstrip("/"), parts.query)
    check_path(location.path.removesuffix("/"))
    if location.scheme in WEB and location.is_folder:
        raise BadLocation("must end in the name of one file: a folder cannot be listed over http")
    return location


def _taken_apart(uri: str, scheme: str, place: str, path: str, query: str) -> Location:
    if scheme in GIT:
        repository, _, path = path.partition("//")
        ref = parse_qs(query).get("ref", [_DEFAULT_REF])[0]
        if not ref[:1].isalnum():
            raise BadLocation("must name a branch, a tag or a commit in ?ref=")
        return Location(uri, scheme, f"{place}/{repository}", path, ref)
    if scheme == "oci":
        reference, _, path = path.partition("//")
        return Location(uri, scheme, f"{place}/{reference}", path)
    return Location(uri, scheme, place, path)


def check_path(path: str) -> None:
    """Nothing that a store or a URI says becomes a path before it has passed here.

    Raises:
        BadLocation: the path is absolute, leaves its folder, or has a part that no file can have everywhere.
    """
    if path == "":
        return
    for part in path.split("/"):
        if part in ("", ".", ".."):
            raise BadLocation(f"must not have the part {part!r} in its path: it has to stay inside")
        if "\\" in part or any(ord(character) < 32 or ord(character) == 127 for character in part):
            raise BadLocation("must not have a backslash or a control character in its path")
        if len(part.encode()) > 255:
            raise BadLocation("must not have a part longer than 255 bytes in its path")
