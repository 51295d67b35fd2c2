"""The container of a polling Job: what the stores say of the state of the data now, without downloading any of it.

Reads the instruction of the container that fetches (:mod:`tandem.runtime.instruction`) from the environment variable
TANDEM_POLL, and leaves a report in the container's termination message::

    {"data": [{"name": "iris", "version": "etag:5eb63bbbe01eeed093cb22bb8f5acdc3"},
              {"name": "labels", "code": 6, "message": "data set labels: … access denied (403); …"}]}

``version`` is '' where a store tells nothing by which a change could be known; ``code`` is the exit code with which a
fetch would have ended. One data set that cannot be asked for keeps no other from being told.

Exit codes: 2 the instruction is invalid.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec

from tandem.runtime import data, failure
from tandem.runtime.failure import Failure
from tandem.runtime.instruction import Data, Instruction, parse

VARIABLE: Final = "TANDEM_POLL"
TERMINATION_LOG: Final = "/dev/termination-log"
_AT_ONCE: Final = 4  # a store that does not answer keeps a thread for a minute
_LONGEST: Final = 512  # characters of a message


class Polled(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    version: str = ""
    code: int = 0
    message: str = ""


class Report(msgspec.Struct, frozen=True):
    data: tuple[Polled, ...]

    def encoded(self, limit: int) -> bytes:
        """As much of it as ``limit`` bytes hold: messages are shortened; what is cut is no JSON any more."""
        length = _LONGEST
        while True:
            told = tuple(msgspec.structs.replace(one, message=one.message[:length]) for one in self.data)
            text = msgspec.json.encode(Report(told))
            if len(text) <= limit or length == 0:
                return text
            length //= 2


def poll(instruction: Instruction) -> Report:
    """Ask for every data set."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return Report(tuple(pool.map(_poll, instruction.data)))


def _poll(data_set: Data) -> Polled:
    try:
        version = data.version_now(data_set)
    except Failure as told:
        print(f"data: {data_set.name}: {told}", flush=True)
        return Polled(data_set.name, code=told.exit_code, message=" ".join(str(told).split()))
    print(f"data: {data_set.name} {version or 'the store tells no version'}", flush=True)
    return Polled(data_set.name, version)


def command() -> None:
    instruction = parse(os.environ.get(VARIABLE), VARIABLE)
    report = poll(instruction)
    log = Path(os.environ.get("TANDEM_TERMINATION_LOG", TERMINATION_LOG))
    log.write_bytes(report.encoded(instruction.report_limit))


if __name__ == "__main__":
    sys.exit(failure.run(command))
