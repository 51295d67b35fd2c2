"""What is recorded of a status, and which of many are one state."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Final

from cluster import paths
from tandem.api.meta import Json
from tandem.api.names import API_VERSION
from tests.crds import ROOT

# What decides what the plans say in the stories of the unit tests.
_SOURCES: Final = (
    "operator/tandem/**/*.py",
    "tests/unit/apps/*.py",
    "tests/unit/training/*.py",
    "tests/*.py",
    "tests/contract/kstatus/record*.py",
    "crds/*.yaml",
)
PLACE_VARIABLE: Final = "TANDEM_RECORDING"
_KEPT: Final = 4


def place() -> Path:
    """Where the recording of these very sources is, or is to be: one file for each digest of them."""
    digest = hashlib.sha256(platform.python_version().encode())
    for pattern in _SOURCES:
        for file in sorted(ROOT.glob(pattern)):
            digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return paths.cache() / "recordings" / f"{digest.hexdigest()[:32]}.json"


def keep(file: Path, recording: bytes) -> None:
    """Whole or not at all; older ones go."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes(recording)
    unfinished.replace(file)
    by_age = sorted(file.parent.glob("*.json"), key=lambda one: one.stat().st_mtime)
    for old in by_age[:-_KEPT]:
        old.unlink(missing_ok=True)


def recorded(kind: str, generation: int, status: Json) -> Json:
    """A resource of this kind with this status; enough of it for whoever judges by the status."""
    meta = {"name": "recorded", "generation": generation}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": meta, "status": status}


def state_of(body: Json) -> tuple[object, ...]:
    """Kind, phase, and what each condition says: the rest of the status are figures and names."""
    status = body["status"]
    said = tuple((c["type"], c["status"], c["reason"]) for c in status["conditions"])
    seen = status["observedGeneration"] == body["metadata"]["generation"]
    return body["kind"], status.get("phase"), seen, said


class Recordings:
    """One of each state: the first that came."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], Json] = {}

    def add(self, body: Json) -> None:
        state = state_of(body)
        if state not in self._kept:
            self._kept[state] = deepcopy(body)

    def __iter__(self) -> Iterator[Json]:
        return iter(self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)
