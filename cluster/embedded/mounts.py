"""mount(2), called directly: by the time the node's root is rearranged, the mount program may be out of sight."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

MS_BIND = 4096
MS_REC = 16384
MS_SHARED = 1 << 20

_libc = ctypes.CDLL(None, use_errno=True)


def mount(kind: str, target: Path, *, data: str = "", flags: int = 0) -> None:
    target.mkdir(parents=True, exist_ok=True)
    _mount(kind, str(target), kind, flags, data)


def bind(source: Path | int, target: Path) -> None:
    """`source` may be an open folder: it is found even where its path is covered by now."""
    path = Path(f"/proc/self/fd/{source}") if isinstance(source, int) else source
    if path.is_dir():
        target.mkdir(parents=True, exist_ok=True)
    _mount(str(path), str(target), "", MS_BIND, "")


def propagate(flags: int) -> None:
    _mount("none", "/", "", MS_REC | flags, "")


def _mount(source: str, target: str, kind: str, flags: int, data: str) -> None:
    if _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"mount {kind or source}: {os.strerror(number)}", target)
