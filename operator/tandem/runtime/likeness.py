"""Whether two folders of model files are the same model: every file, byte for byte, but for what cannot be the same.

What is left out, and nothing else:

- ``MLmodel``: the ids of run and model, the time, the place in the artifact store, and the size of all files together
  (which are compared themselves).
- ``*.skops``, MLflow's format of scikit-learn models, is an archive in which skops writes the time, and names objects
  by where they lay in memory (``__id__``, and files of arrays after it): each is a number, in the order of appearance.
- Other archives (``.npz``, ``.keras``, ``.pt``, ``.zip``): the times of their members.
- ``registered_model_meta``: MLflow adds it when a registered version is downloaded.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from tandem.runtime.models import ADDED

_LEFT_OUT: Final = frozenset(
    {"run_id", "model_id", "model_uuid", "utc_time_created", "artifact_path", "model_size_bytes"}
)
_CHUNK: Final = 1 << 20


class Compared(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One file. ``left_out``: what of it was not compared; '' where every byte was."""

    path: str
    sha256: str = ""  # of the file that was made now; '' where there is none
    original_sha256: str = ""
    left_out: str = ""
    difference: str = ""


def compare(mine: Path, original: Path) -> tuple[Compared, ...]:
    """Every file of the two, by path; those that are in one of them only first."""
    now, then = _files(mine), _files(original)
    paths = sorted(now | then, key=lambda path: (path in now and path in then, path))
    return tuple(_compare(path, now.get(path), then.get(path)) for path in paths)


def first_difference(compared: tuple[Compared, ...]) -> str:
    return next((f"{one.path} {one.difference}" for one in compared if one.difference), "")


def _files(folder: Path) -> dict[str, Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {path.relative_to(folder).as_posix(): path for path in found if path.name not in ADDED}


def _compare(path: str, mine: Path | None, original: Path | None) -> Compared:
    if mine is None:
        assert original is not None
        return Compared(path, original_sha256=_sha256(original), difference="is missing")
    if original is None:
        return Compared(path, _sha256(mine), difference="is there, and was not")
    now, then = _sha256(mine), _sha256(original)
    if now == then:
        return Compared(path, now, then)
    left_out, difference = _looked_into(path, mine, original)
    if not left_out:
        sizes = f"({mine.stat().st_size} bytes, {original.stat().st_size} before)"
        difference = f"has other bytes: sha256 {now[:12]}…, it was {then[:12]}… {sizes}"
    return Compared(path, now, then, left_out, difference)


def _looked_into(path: str, mine: Path, original: Path) -> tuple[str, str]:
    """What was left out, and the first difference in the rest; ('', '') for a file that is nothing but bytes."""
    try:
        if path.rpartition("/")[2] == "MLmodel":
            return ", ".join(sorted(_LEFT_OUT)), _fields(_metadata(mine), _metadata(original))
        if path.endswith(".skops"):
            return "addresses in memory, times", _fields(_skops(mine), _skops(original))
        if zipfile.is_zipfile(mine) and zipfile.is_zipfile(original):
            return "times of members", _fields(_members(mine), _members(original))
    except (OSError, ValueError, KeyError, yaml.YAMLError, zipfile.BadZipFile, RecursionError):
        pass  # not what its name says: bytes then
    return "", ""


def _fields(now: Mapping[str, object], then: Mapping[str, object]) -> str:
    for name in sorted(now.keys() | then.keys()):
        if now.get(name) != then.get(name):
            return f"differs in {name}: {_shown(now.get(name))}, it was {_shown(then.get(name))}"
    return ""


def _metadata(file: Path) -> dict[str, object]:
    read = yaml.safe_load(file.read_text())
    if not isinstance(read, dict):
        raise ValueError("no mapping")
    return {name: value for name, value in read.items() if name not in _LEFT_OUT}


def _members(file: Path) -> dict[str, object]:
    with zipfile.ZipFile(file) as archive:
        return {name: _digest_of(archive, name) for name in archive.namelist()}


def _skops(file: Path) -> dict[str, object]:
    """The tree of the schema as paths and values; an array by its bytes."""
    with zipfile.ZipFile(file) as archive:
        schema = json.loads(archive.read("schema.json"))
        arrays = {name: _digest_of(archive, name) for name in archive.namelist() if name != "schema.json"}
    seen: dict[object, int] = {}
    return dict(_leaves(schema, "", arrays, seen))


def _leaves(value: Any, path: str, arrays: Mapping[str, str], seen: dict[object, int]) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == "__id__":
                yield f"{path}.{name}", seen.setdefault(inner, len(seen))
            else:
                yield from _leaves(inner, f"{path}.{name}", arrays, seen)
    elif isinstance(value, list):
        yield f"{path}.length", len(value)
        for place, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{place}]", arrays, seen)
    else:
        yield path, arrays.get(value, value) if isinstance(value, str) else value


def _digest_of(archive: zipfile.ZipFile, name: str) -> str:
    sha256 = hashlib.sha256()
    with archive.open(name) as member:
        while chunk := member.read(_CHUNK):
            sha256.update(chunk)
    return f"sha256:{sha256.hexdigest()}"


def _sha256(file: Path) -> str:
    with file.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _shown(value: object) -> str:
    text = "nothing" if value is None else json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:79]}…"
