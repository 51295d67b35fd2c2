"""What is recorded of a status, and which of many are one state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tandem.api.meta import Json
from tandem.api.names import API_VERSION

FILE: Final = "TANDEM_RECORDING"


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
        self._kept.setdefault(state_of(body), body)

    def __iter__(self) -> Iterator[Json]:
        return iter(self._kept.values())

    def __len__(self) -> int:
        return len(self._kept)
