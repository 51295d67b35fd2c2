"""kstatus itself, as Flux and Helm link it: the Go library, behind 30 lines that read JSON."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

from cluster.embedded import parts
from cluster.embedded.parts import Part
from tandem.api.meta import Json

SOURCE = Path(__file__).parent / "oracle"


class Verdict(msgspec.Struct, frozen=True):
    status: str  # InProgress, Current, Failed, Terminating; Unknown: the object cannot be judged
    message: str


def oracle() -> Part:
    version = parts.pinned("kstatus", "github.com/fluxcd/cli-utils", SOURCE)
    return Part("kstatus", version, "half a minute the first time", module=SOURCE)


def verdicts(objects: Iterable[Json]) -> list[Verdict]:
    """One for each, in their order. Builds the program when that was not done before on this machine."""
    stream = "\n".join(json.dumps(body) for body in objects)
    program = parts.ensure(oracle()).binary("kstatus")
    done = subprocess.run([program], input=stream.encode(), capture_output=True, check=True)
    return [msgspec.json.decode(line, type=Verdict) for line in done.stdout.splitlines()]
