"""The last container of a reproduction: is the model that was just made the one that the original run made?

Reads from the environment TANDEM_REPRODUCTION (``{"original": "<MLflow run id>"}``) and MLFLOW_RUN_ID, downloads the
last model that each of the two runs logged, compares them file by file (:mod:`tandem.runtime.likeness`), and leaves in
its own MLflow run

- the tag ``tandem.dev/reproduction``: ``{"same": false, "files": 8, "difference": "model.pkl has other bytes: …"}``,
- the artifact ``tandem/reproduction.json``: every file with both digests, and what of it was left out.

Models that differ are a finding, not a failure. Exit codes: 2 the instruction is invalid, 9 MLflow did not answer.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from tandem.api import names
from tandem.runtime import failure, models
from tandem.runtime.failure import NotRecorded
from tandem.runtime.instruction import InstructionInvalid
from tandem.runtime.likeness import Compared, compare, first_difference
from tandem.runtime.record import RUN_VARIABLE, speaks
from tandem.runtime.redact import redacted

VARIABLE: Final = "TANDEM_REPRODUCTION"
ARTIFACT: Final = f"{names.MANAGED_BY}/reproduction.json"
_LONGEST: Final = 2048  # characters of a difference; MLflow takes 8000 of a tag


class Instruction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    original: str


class Result(msgspec.Struct, frozen=True):
    """What the operator reads."""

    same: bool
    files: int = 0
    difference: str = ""


def reproduced(client: Any, run_id: str, original: str, scratch: Path) -> tuple[Result, tuple[Compared, ...]]:
    """The comparison of the models of two runs; ``client``: MLflow's."""
    mine, theirs = models.last_of(client, run_id), models.last_of(client, original)
    if mine is None or theirs is None:
        which = f"this run, {run_id}," if mine is None else f"the original, {original},"
        return Result(False, 0, f"{which} has no model: nothing was logged with mlflow.<flavor>.log_model"), ()
    compared = compare(models.downloaded(mine, scratch / "mine"), models.downloaded(theirs, scratch / "original"))
    difference = first_difference(compared)
    return Result(not difference and bool(compared), len(compared), difference[:_LONGEST]), compared


def parse(environment: Mapping[str, str]) -> tuple[str, str]:
    """This run, and the one that it is to repeat.

    Raises:
        InstructionInvalid: one of them is not told.
    """
    try:
        original = msgspec.json.decode(environment.get(VARIABLE, ""), type=Instruction).original
    except msgspec.DecodeError as error:
        raise InstructionInvalid(f"{VARIABLE} is not a valid instruction: {error}") from None
    run_id = environment.get(RUN_VARIABLE, "")
    if not run_id:
        raise InstructionInvalid(f"{RUN_VARIABLE} is empty: there is no run whose model could be compared")
    return run_id, original


def command() -> None:
    run_id, original = parse(os.environ)
    if not speaks():
        return
    from mlflow.tracking.client import MlflowClient

    try:
        client = MlflowClient()
        with tempfile.TemporaryDirectory() as scratch:
            result, compared = reproduced(client, run_id, original, Path(scratch))
        told = {"original": original, "files": msgspec.to_builtins(compared)}
        client.log_dict(run_id, told, ARTIFACT)
        client.set_tag(run_id, names.TAG_REPRODUCTION, msgspec.json.encode(result).decode())
    except Exception as error:  # MLflow's client raises its own, and whatever requests raises
        words = redacted(" ".join(str(error).split()))[:300]
        raise NotRecorded(f"the models could not be compared, MLflow did not answer: {words}") from None
    print(f"{result.files} files compared: {result.difference or 'the same model'}", flush=True)


if __name__ == "__main__":
    sys.exit(failure.run(command))
