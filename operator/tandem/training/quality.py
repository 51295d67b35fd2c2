"""Data quality: the verdicts of the container that checks the data, before any of the user's own runs.

What fails stops the run: TFX's ExampleValidator writes its verdict down, and nothing reads it (tfx-addons#153).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Final, Literal

import msgspec

from tandem.api.children import ContainerStatus
from tandem.api.conditions import Failed, Outcome, Passed, Undecided
from tandem.api.facts import RunsOf, TrackedRun, Unavailable
from tandem.api.trainingjob import TrainingJobSpec
from tandem.api.trainingjob_status import RunStatus
from tandem.training.case import TRAINED, Case
from tandem.training.findings import Findings
from tandem.training.inputs import checked

DATA_VALIDATED: Final = "DataValidated"
CHECKS_FAILED: Final = "ChecksFailed"


class JudgedData(msgspec.Struct, frozen=True):
    name: Annotated[str, msgspec.Meta(max_length=63)]
    verdict: Literal["Passed", "Failed", "NoBaseline"]
    message: Annotated[str, msgspec.Meta(max_length=4096)] = ""

    def __str__(self) -> str:
        return f"data set {self.name}: {self.message}" if self.message else f"data set {self.name}"


class ValidateReport(msgspec.Struct, frozen=True):
    data: Annotated[tuple[JudgedData, ...], msgspec.Meta(max_length=16)]


def report_of(container: ContainerStatus | None) -> ValidateReport | None:
    """What the container told, whether the data passed or not; read strictly, for it comes from inside a pod."""
    terminated = container.state.terminated if container else None
    if terminated is None:
        return None
    try:
        return msgspec.json.decode(terminated.message, type=ValidateReport)
    except msgspec.DecodeError:
        return None


def with_verdicts(found: Findings, container: ContainerStatus | None) -> Findings:
    """The findings with the verdict on each data set that was checked."""
    report = report_of(container)
    told = {judged.name: judged for judged in report.data} if report else {}
    return replace(
        found,
        data=tuple(
            msgspec.structs.replace(data, verdict=told[data.name].verdict, message=told[data.name].message)
            if data.name in told
            else data
            for data in found.data
        ),
    )


def with_condition(case: Case, found: Findings, outcomes: Mapping[str, Outcome]) -> Mapping[str, Outcome]:
    """The outcomes with that of the checks, which come before training; it takes the place of a training that they
    stopped."""
    trained = outcomes.get(TRAINED)
    if not checked(case.spec) or trained is None:
        return outcomes
    if isinstance(trained, Failed) and trained.reason == CHECKS_FAILED:
        return {DATA_VALIDATED: trained}
    return {DATA_VALIDATED: _outcome(found, case.spec, trained), **outcomes}


def _outcome(found: Findings, spec: TrainingJobSpec, trained: Outcome) -> Outcome:
    told = {data.name: data for data in found.data if data.verdict}
    if any(data.verdict == "Failed" for data in told.values()):
        return Undecided("ChecksPending", "data failed their checks; the Job is about to end")
    if all(data.name in told for data in checked(spec)):
        words = [f"{data.name}: {data.message}" if data.message else data.name for data in told.values()]
        return Passed("ChecksPassed", "; ".join(words))
    if isinstance(trained, Passed):
        return Passed("ChecksPassed", "training began, and it does not with data that fail")
    return Undecided("ChecksPending", "the data are checked when they have been fetched")


def baseline(case: Case, run: RunStatus) -> tuple[TrackedRun, ...] | Unavailable | None:
    """The latest run before this one that passed the gate, if there is one: what its data are compared with.

    None while MLflow has not answered. It is asked only where data are checked, and there was a run before.
    """
    if not checked(case.spec) or run.number == 1:
        return ()
    answer = case.draft.read(RunsOf(case.resource.metadata.uid, case.experiment, passed=True))
    if answer is None or isinstance(answer, Unavailable):
        return answer
    return tuple(blessed for blessed in answer if blessed.number < run.number)[-1:]
