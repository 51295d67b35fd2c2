"""The first step of a training pod (init container ``fetch``): code and data of one run into /workspace.

Reads its instruction from the environment variable TANDEM_FETCH (:mod:`tandem.runtime.instruction`) and leaves

- the code in ``<workspace>/src``, an empty folder when the image holds it,
- each data set in ``<workspace>/data/<name>/…``,
- each data set as an input of the MLflow run, with its manifest (:mod:`tandem.runtime.record`),
- a report in the container's termination message: ``{"commit": …, "data": [{"name", "digest", "bytes", …}]}``,
  with ``"files"``, the digest of a ConfigMap's files, where the code is one.

While a store, a Git server or MLflow is away it waits (:mod:`tandem.runtime.patience`).

Exit codes: 2 the instruction is invalid, 3 a data set is not the pinned version, 4 something could not be fetched,
5 it is not there, 6 access was denied, 7 nobody answers, 8 the volume is full, 9 MLflow did not take the record.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from tandem.runtime import data, failure, patience, record, source
from tandem.runtime.instruction import VARIABLE, Data, Instruction, parse
from tandem.runtime.patience import Patience, none
from tandem.runtime.redact import redacted

# The kubelet's default path; tests use another.
TERMINATION_LOG: Final = "/dev/termination-log"


class FetchedData(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    digest: str
    bytes: int = -1
    rows: int | None = None
    files: int = 0  # of a folder
    version: str = ""  # what its store says of its state


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was fetched.

    The kubelet keeps 4096 bytes of a termination message, and 12 KiB for all containers of a pod together, cut anywhere
    (kubelet, ``normalizeStatus``): with sixteen steps 682 bytes are left, and what is cut is no JSON any more.
    """

    commit: str | None
    data: tuple[FetchedData, ...]
    files: str | None = None

    def encoded(self, limit: int) -> bytes:
        """As much of it as ``limit`` bytes hold: first counts are left out, then data sets; MLflow has them all."""
        shorter = tuple(FetchedData(found.name, found.digest) for found in self.data)
        for told in (self.data, *(shorter[:count] for count in range(len(shorter), -1, -1))):
            text = msgspec.json.encode(msgspec.structs.replace(self, data=told))
            if len(text) <= limit:
                break
        return text


def fetch(instruction: Instruction, waits: Patience | None = None) -> Report:
    """Fetch everything, code first: it is small, and wrong more often than the data is.

    ``waits``: for whoever is away; not at all unless it is given.
    """
    commit = files = None
    folder, waits, git = instruction.source_folder, waits or none(), instruction.git
    if git:
        commit = waits.outlast(lambda: source.clone(git, folder))
        print(f"code: {redacted(git.url)} {git.ref} is commit {commit}", flush=True)
    elif instruction.files:
        files = source.copy_files(Path(instruction.files), folder)
        print(f"code: {len(list(folder.iterdir()))} files of the ConfigMap, {files}", flush=True)
        if instruction.files_digest not in (None, files):
            raise data.DigestMismatch(
                f"the ConfigMap of spec.source.configMapRef has other files than the run that is reproduced: "
                f"expected {instruction.files_digest}, it is {files}"
            )
    else:
        folder.mkdir(parents=True, exist_ok=True)
    fetched = [_fetch(data_set, instruction.data_folder(data_set), waits) for data_set in instruction.data]
    waits.outlast(lambda: record.record(instruction.data, fetched))
    return Report(commit, tuple(_reported(found) for found in fetched), files)


def _fetch(data_set: Data, folder: Path, waits: Patience) -> data.Fetched:
    found = waits.outlast(lambda: data.fetch(data_set, folder))
    manifest = found.manifest
    told = [f"{len(manifest.files)} files"] if manifest.folder else []
    told += [f"{found.rows} rows"] if found.rows is not None else []
    told += ["from its cache"] if found.cached else []
    print(f"data: {found.name} {', '.join([manifest.digest, f'{manifest.size} bytes', *told])}", flush=True)
    return found


def _reported(found: data.Fetched) -> FetchedData:
    manifest = found.manifest
    files = len(manifest.files) if manifest.folder else 0
    return FetchedData(found.name, manifest.digest, manifest.size, found.rows, files, found.version)


def command() -> None:
    instruction = parse(os.environ.get(VARIABLE))
    if instruction.data:
        record.tell_soon()
        record.warm_up()
    report = fetch(instruction, patience.of(os.environ))
    log = Path(os.environ.get("TANDEM_TERMINATION_LOG", TERMINATION_LOG))
    log.write_bytes(report.encoded(instruction.report_limit))


if __name__ == "__main__":
    code = failure.run(command)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: MLflow may still be on its way in (record.warm_up), and an interpreter that ends under a library
    # that starts can end by a signal: the exit code is what the operator reads.
    os._exit(code)
