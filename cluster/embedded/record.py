"""What is written down about a started cluster, so that another command finds it again."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cluster.embedded.network import Slot
from cluster.embedded.processes import Process


@dataclass(frozen=True)
class Record:
    outer: Process  # killed, it takes everything with it
    inner: Process  # process 1 of the cluster's own namespaces
    slot: Slot

    @property
    def alive(self) -> bool:
        return self.outer.alive and self.inner.alive


def write(state: Path, record: Record) -> None:
    partial = state / "cluster.json.part"
    partial.write_text(json.dumps(asdict(record)))
    partial.replace(state / "cluster.json")


def read(state: Path) -> Record | None:
    try:
        content = json.loads((state / "cluster.json").read_text())
    except FileNotFoundError:
        return None
    return Record(Process(**content["outer"]), Process(**content["inner"]), Slot(**content["slot"]))
