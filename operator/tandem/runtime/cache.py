"""A volume that keeps data sets by their digest: what is pinned is fetched once, and checked each time.

``<volume>/tandem/sha256/<64 hex digits>/<file>``, beside a manifest. Nothing of it is believed: every byte is hashed
again on its way into the workspace. A cache that is full or broken only costs time.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import msgspec

from tandem.runtime.manifest import Manifest

_MANIFEST = ".manifest.json"


def place(volume: Path, digest: str) -> Path:
    return volume / "tandem" / digest.replace(":", "/")


def known(volume: Path, digest: str) -> Manifest | None:
    """The manifest that the cache has for this digest, if it is one of it."""
    try:
        manifest = msgspec.json.decode((place(volume, digest) / _MANIFEST).read_bytes(), type=Manifest)
        return manifest if manifest.digest == digest else None
    except (OSError, msgspec.DecodeError, IndexError):
        return None


def keep(volume: Path, folder: Path, manifest: Manifest) -> str:
    """Copy a data set that was just checked into the cache; why that did not work, or ''."""
    target = place(volume, manifest.digest)
    partial = ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Several pods may do the same at once: each writes its own, the first one that is whole stays.
        partial = tempfile.mkdtemp(prefix=".", dir=target.parent)
        shutil.copytree(folder, partial, dirs_exist_ok=True)
        (Path(partial) / _MANIFEST).write_bytes(msgspec.json.encode(manifest))
        Path(partial).chmod(0o775)
        drop(target)
        Path(partial).rename(target)
    except (OSError, shutil.Error) as error:
        if partial:
            shutil.rmtree(partial, ignore_errors=True)
        return str(error.strerror or error) if isinstance(error, OSError) else "it could not be copied"
    return ""


def drop(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
