"""Files of the image (``file://``) and of a PersistentVolumeClaim (``pvc://``)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from tandem.runtime.failure import AccessDenied, NotFetched, NotFound
from tandem.runtime.location import Location
from tandem.runtime.stores import version
from tandem.runtime.stores.entry import CHUNK, Entry

# What a container holds beside its image: the kernel's files, mounted Secrets, the workspace itself.
_CLOSED: Final = ("/proc", "/sys", "/dev", "/run", "/var/run", "/tandem", "/workspace")


def entries(location: Location, claim: Path | None) -> Iterator[Entry]:
    root, place = _place(location, claim)
    yield from files(root, place, location.is_folder)


def version_of(location: Location, claim: Path | None) -> str:
    """By sizes and times of modification: of files nobody says more."""
    _, place = _place(location, claim)
    told = [(entry.path, place / entry.path if location.is_folder else place) for entry in entries(location, claim)]
    states = [(path, file.stat()) for path, file in told]
    versions = [(path, version.of("modified", f"{state.st_mtime_ns} {state.st_size}")) for path, state in states]
    return version.of_members(versions) if location.is_folder else versions[0][1]


def _place(location: Location, claim: Path | None) -> tuple[Path, Path]:
    root = claim if location.scheme == "pvc" else Path("/")
    if root is None:
        raise NotFound(f"the claim {location.place} is not mounted")
    return root, root / location.path.removesuffix("/")


def files(root: Path, place: Path, is_folder: bool) -> Iterator[Entry]:
    """One file, or all below a folder; none of them outside of ``root``, also not by a link."""
    place_found = _inside(root, place)
    if place_found.is_dir() != is_folder and place_found.exists():
        is_, how = (
            ("a folder", "end it with '/'") if place_found.is_dir() else ("a file", "leave out the '/' at its end")
        )
        raise NotFound(f"{place.name or place} is {is_}: {how}")
    if not is_folder:
        yield _entry(place_found, place.name)
        return
    place_found.stat()  # a folder that is missing is an error, not an empty one
    for folder, names, found in os.walk(place_found, onerror=_raise):
        links = [name for name in names if (Path(folder) / name).is_symlink()]
        if links:
            raise NotFetched(
                f"{Path(folder, links[0]).relative_to(place_found)} is a link to a folder: name the folder itself"
            )
        for name in found:
            path = Path(folder) / name
            yield _entry(_inside(root, path), path.relative_to(place_found).as_posix())


def _entry(file: Path, path: str) -> Entry:
    status = file.stat()
    if not file.is_file():
        raise NotFetched(f"{path} is neither a file nor a folder")
    return Entry(path, partial(_read, file), size=status.st_size)


def _inside(root: Path, path: Path) -> Path:
    found, base = path.resolve(), root.resolve()
    if not found.is_relative_to(base):
        raise AccessDenied(f"{path.name} is a link that leads out of the volume")
    if base == Path("/") and any(found.is_relative_to(closed) for closed in map(Path, _CLOSED)):
        raise AccessDenied(f"{found} is no file of the image: {', '.join(_CLOSED)} cannot be named")
    return found


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as source:
        while chunk := source.read(CHUNK):
            yield chunk


def _raise(error: OSError) -> None:
    raise error
