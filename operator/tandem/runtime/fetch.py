"""The first step of a training pod (init container ``fetch``): code and data of one run into /workspace.

Reads its instruction from the environment variable TANDEM_FETCH (:mod:`tandem.runtime.instruction`) and leaves

- the code in ``<workspace>/src``, an empty folder when the image holds it,
- each data set in ``<workspace>/data/<name>/<file name>``,
- a report in the container's termination message: ``{"commit": …, "data": [{"name", "digest", "bytes"}]}``,
  with ``"files"``, the digest of a ConfigMap's files, where the code is one.

Exit codes: 2 the instruction is invalid, 3 a data set is not the pinned version, 4 something could not be fetched.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from tandem.runtime import data, failure, source
from tandem.runtime.instruction import VARIABLE, Instruction, parse
from tandem.runtime.redact import redacted

# The kubelet's default path; tests use another.
TERMINATION_LOG: Final = "/dev/termination-log"


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was fetched. The kubelet cuts a termination message at 4096 bytes: 16 data sets need at most 3,100."""

    commit: str | None
    data: tuple[data.Fetched, ...]
    files: str | None = None


def fetch(instruction: Instruction) -> Report:
    """Fetch everything, code first: it is small, and wrong more often than the data is."""
    commit = files = None
    folder = instruction.source_folder
    if instruction.git:
        commit = source.clone(instruction.git, folder)
        print(f"code: {redacted(instruction.git.url)} {instruction.git.ref} is commit {commit}", flush=True)
    elif instruction.files:
        files = source.copy_files(Path(instruction.files), folder)
        print(f"code: {len(list(folder.iterdir()))} files of the ConfigMap, {files}", flush=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
    fetched = []
    for data_set in instruction.data:
        result = data.fetch(data_set, instruction.data_file(data_set))
        print(f"data: {result.name} {result.digest} {result.bytes} bytes", flush=True)
        fetched.append(result)
    return Report(commit, tuple(fetched), files)


def command() -> None:
    report = fetch(parse(os.environ.get(VARIABLE)))
    Path(os.environ.get("TANDEM_TERMINATION_LOG", TERMINATION_LOG)).write_bytes(msgspec.json.encode(report))


if __name__ == "__main__":
    sys.exit(failure.run(command))
