"""What a data set consists of: every file with its size and SHA-256; and the one digest that stands for all of it.

The digest of a single file is the file's own (``sha256sum iris.csv``). That of a folder is the digest of its manifest,
one line per file, ordered by path::

    cd folder && find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum
"""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

MANIFEST_LIMIT: Final = 100_000  # files: more of them are one archive, or a table format of its own


class File(msgspec.Struct, frozen=True):
    """``path`` is relative to the data set's folder."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True):
    files: tuple[File, ...]
    folder: bool

    @property
    def digest(self) -> str:
        if not self.folder:
            return f"sha256:{self.files[0].sha256}"
        lines = [f"{file.sha256}  {file.path}\n" for file in sorted(self.files, key=lambda f: f.path.encode())]
        return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}"

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)
