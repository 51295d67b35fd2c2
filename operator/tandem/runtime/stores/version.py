"""What a store says of the state of its data: short words that change when the data do, got without downloading.

A version is compared with another one of the same data set, and with nothing else. An ETag is preferred to a version
or a time: S3 and Google make it of the content, so that the same bytes put there again are no change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

_LIMIT: Final = 72  # of characters; a report has to hold sixteen of them
_SHOWN: Final = 32  # hexadecimal digits of a hash


def of(kind: str, text: str) -> str:
    """``etag:0x8D…``; a hash of the text where that is long, or nothing that can be shown."""
    plain = text.isascii() and text.isprintable() and len(text) + len(kind) < _LIMIT
    return f"{kind}:{text if plain else _hash(text.encode())}"


def of_object(e_tag: str | None, version: str | None, modified: object, size: int | None) -> str:
    """Of one object, by what its store tells; '' where it tells nothing."""
    if e_tag:
        return of("etag", e_tag.removeprefix("W/").strip('"'))
    if version:
        return of("version", version)
    return of("modified", f"{modified} {size}") if modified else ""


def of_members(members: Iterable[tuple[str, str]]) -> str:
    """Of a folder, by the paths and versions of what is in it; '' where one of them has none, or nothing is there."""
    known = sorted(members)
    if not known or not all(version for _, version in known):
        return ""
    lines = "".join(f"{version}  {path}\n" for path, version in known)
    return of("members", f"{len(known)} {_hash(lines.encode())}")


def of_content(body: bytes) -> str:
    return of("sha256", _hash(body))


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:_SHOWN]
