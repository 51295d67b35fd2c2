"""One file of a store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

CHUNK = 1 << 20


@dataclass(frozen=True)
class Entry:
    """``path``: below the data set's folder, as the store says it: not checked yet. ``read``: its bytes, in chunks.

    ``size`` and ``sha256``: what the store promises, where it does; what arrives is compared.
    """

    path: str
    read: Callable[[], Iterator[bytes]]
    size: int | None = None
    sha256: str = ""
