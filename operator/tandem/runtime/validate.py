"""The second step of a training pod (init container ``validate``): the data of one run against their checks.

Reads its instruction from the environment variable TANDEM_VALIDATE and the data from the workspace::

    {"data": [{"name": "iris", "checks": {…}}], "baseline": {"run": 3, "mlflowRunId": "…"} or null,
     "workspace": "/workspace", "reportLimit": 4096}

and leaves, in the artifacts of the MLflow run, ``tandem/data/<name>/statistics.json`` (what the next run is compared
with) and ``tandem/data/<name>/checks.json`` (all that was found), and in the container's termination message
``{"data": [{"name", "verdict", "message"}]}``.

While MLflow is away it waits (:mod:`tandem.runtime.patience`).

Exit codes: 2 the instruction is invalid, 9 MLflow did not answer, 10 a data set does not hold what its checks say.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

import msgspec

from tandem.runtime import failure, patience, record
from tandem.runtime.failure import Failure
from tandem.runtime.instruction import InstructionInvalid
from tandem.runtime.quality.checks import Checks
from tandem.runtime.quality.findings import Finding
from tandem.runtime.quality.inspection import Inspection, inspect
from tandem.runtime.quality.kept import Kept
from tandem.runtime.quality.statistics import Statistics

VARIABLE: Final = "TANDEM_VALIDATE"
TERMINATION_LOG: Final = "/dev/termination-log"
_TOLD: Final = 5  # findings in a message; all are in checks.json

Verdict: TypeAlias = Literal["Passed", "Failed", "NoBaseline"]


class ChecksFailed(Failure):
    """Training on this data would be training on something that nobody meant."""

    exit_code: ClassVar[int] = 10


class Baseline(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """The latest run that passed the gate."""

    run: int
    mlflow_run_id: str


class DataSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
    checks: Checks


class Instruction(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    data: tuple[DataSet, ...]
    baseline: Baseline | None = None
    workspace: str = "/workspace"
    report_limit: Annotated[int, msgspec.Meta(ge=128, le=4096)] = 4096


class Judged(msgspec.Struct, frozen=True, omit_defaults=True):
    name: str
    verdict: Verdict
    message: str = ""


class Report(msgspec.Struct, frozen=True):
    data: tuple[Judged, ...]

    def encoded(self, limit: int) -> bytes:
        """As much as ``limit`` bytes hold: messages are shortened, those of what failed last."""
        text = msgspec.json.encode(self)
        length = 1024
        while len(text) > limit and length > 0:
            length = length * 2 // 3
            shorter = [msgspec.structs.replace(one, message=_cut(one, length)) for one in self.data]
            text = msgspec.json.encode(Report(tuple(shorter)))
        return text


def _cut(judged: Judged, length: int) -> str:
    kept = length if judged.verdict == "Failed" else length // 4
    return judged.message if len(judged.message) <= kept else f"{judged.message[: max(kept - 1, 0)]}…"


def validate(instruction: Instruction, kept: Kept) -> Report:
    """Check every data set, and keep with the run what was found.

    Raises:
        InstructionInvalid: a pattern is no regular expression.
        NotRecorded: MLflow did not answer, so that nothing could be compared or kept.
    """
    for data_set in instruction.data:
        if problem := data_set.checks.broken_pattern():
            raise InstructionInvalid(f"data set {data_set.name}: {problem}")
    return Report(tuple(_judge(data_set, instruction, kept) for data_set in instruction.data))


def _judge(data_set: DataSet, instruction: Instruction, kept: Kept) -> Judged:
    name, checks = data_set.name, data_set.checks
    before, absent = _before(data_set, instruction, kept)
    folder = Path(instruction.workspace) / "data" / name
    found = inspect(folder, checks, kept.digest(name), before)
    kept.keep(name, found)
    judged = _verdict(name, found, absent)
    print(f"data: {name} {judged.verdict}{': ' if judged.message else ''}{judged.message}", flush=True)
    return judged


def _before(data_set: DataSet, instruction: Instruction, kept: Kept) -> tuple[Statistics | None, str]:
    """The statistics to compare with, or why there are none."""
    if data_set.checks.baseline == "None":
        return None, ""
    if instruction.baseline is None:
        return None, "nothing to compare with: no run has passed the gate yet"
    statistics = kept.statistics(instruction.baseline.mlflow_run_id, data_set.name)
    if statistics is None:
        return None, f"nothing to compare with: run {instruction.baseline.run} kept no statistics of this data set"
    return statistics, ""


def _verdict(name: str, found: Inspection, absent: str) -> Judged:
    if found.findings:
        return Judged(name, "Failed", in_words(found.findings))
    rows = f"{found.statistics.rows} rows" if found.statistics else ""
    return Judged(name, "NoBaseline", f"{rows}; {absent}") if absent else Judged(name, "Passed", rows)


def in_words(findings: tuple[Finding, ...]) -> str:
    told = "; ".join(str(finding) for finding in findings[:_TOLD])
    more = len(findings) - _TOLD
    return f"{told}; and {more} more in the run's artifact checks.json" if more > 0 else told


def parse(text: str | None) -> Instruction:
    """Raises: InstructionInvalid."""
    try:
        return msgspec.json.decode(text or "", type=Instruction)
    except msgspec.DecodeError as error:
        raise InstructionInvalid(f"{VARIABLE} is not a valid instruction: {error}") from None


def command() -> None:
    instruction = parse(os.environ.get(VARIABLE))
    record.tell_soon()
    report = validate(instruction, Kept(os.environ, patience.of(os.environ)))
    log = Path(os.environ.get("TANDEM_TERMINATION_LOG", TERMINATION_LOG))
    log.write_bytes(report.encoded(instruction.report_limit))
    failed = [judged for judged in report.data if judged.verdict == "Failed"]
    if failed:
        raise ChecksFailed("; ".join(f"data set {judged.name}: {judged.message}" for judged in failed))


if __name__ == "__main__":
    sys.exit(failure.run(command))
