"""Byte code of the locked libraries, from one clone to the next: to compile it takes half a minute of processor time.

``python -m checks.bytecode`` takes what an earlier clone has kept of the very same files; a run of all checks that has
passed keeps it. Python compares each file's time and size before it believes any of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cluster.paths import REPOSITORY, cache

_LOCKED: Final = REPOSITORY / "requirements" / "dev.txt"
_UNUSED: Final = 30 * 24 * 3600.0  # seconds after which what nobody took is deleted


@dataclass(frozen=True)
class Bytecode:
    """``compiled``: that of this environment's libraries; ``kept``: that of the same ones, for other clones."""

    compiled: Path
    kept: Path

    def take(self) -> bool:
        """Whether there was something to take. What is compiled here already (pip itself) stays."""
        if not self.kept.exists():
            return False
        shutil.copytree(self.kept, self.compiled, copy_function=_link, dirs_exist_ok=True)
        os.utime(self.kept)
        return True

    def keep(self) -> bool:
        """Whether there was something to keep, and nothing kept yet."""
        if self.kept.exists() or not self.compiled.exists():
            return False
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.kept.parent, prefix=".") as scratch:
            whole = Path(scratch) / self.kept.name
            shutil.copytree(self.compiled, whole, copy_function=_link)
            try:
                whole.rename(self.kept)
            except OSError:
                if not self.kept.exists():  # else another clone was faster
                    raise
        for other in self.kept.parent.iterdir():
            if time.time() - other.stat().st_mtime > _UNUSED:
                shutil.rmtree(other, ignore_errors=True)
        return True


def of_this_environment() -> list[Bytecode]:
    """Of what is locked and of Python's own library; none where it is not kept apart (the Makefile sees to that)."""
    if sys.pycache_prefix is None:
        return []
    # uv gives every clone the same files. Should it have unpacked them anew, they have another time.
    return [
        _of(sys.pycache_prefix, "purelib", "kopf/__init__.py", _LOCKED.read_bytes()),
        _of(sys.pycache_prefix, "stdlib", "os.py", b""),
    ]


def _of(compiled: str, place: str, a_file: str, content: bytes) -> Bytecode:
    sources = Path(sysconfig.get_path(place))
    written = (sources / a_file).stat().st_mtime_ns
    key = hashlib.sha256(f"{sources.name} {sys.version} {written}".encode() + content).hexdigest()[:16]
    return Bytecode(Path(compiled) / sources.relative_to("/"), cache() / "bytecode" / key)


def _link(source: str, target: str) -> None:
    """A hard link where there can be one: Python replaces byte code, and never edits it."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


if __name__ == "__main__":
    for part in of_this_environment():
        part.take()
