"""The baseline of the gate: the version that serves now, not merely the latest that was blessed (TFX's choice).

It is the version that ``gate.baseline.alias`` names; while that alias names none, the one that ``model.alias`` names,
so that a misspelt alias, or a model that nobody serves yet, does not make every run the first one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tandem.api import names
from tandem.api.facts import ModelNamed, Unavailable, VersionNumbered
from tandem.api.trainingjob_status import GateVerdict
from tandem.training.case import Case
from tandem.training.change import BaselineFound, Measured, NoBaseline, OwnVersion, Unreadable
from tandem.training.findings import Findings

NO_MODEL: Final = Unreadable("spec.model names no registered model in which a baseline could be")
_NOT_ASKED: Final = NoBaseline("any alias")
_SHOWN: Final = len("sha256:") + 12


def baseline_of(case: Case, found: Findings) -> BaselineFound | Unavailable | None:
    """The baseline; None while MLflow has not answered. MLflow is asked only if a rule asks for a change."""
    target, asked = case.spec.model, case.spec.gate.baseline
    if not changes(case):
        return _NOT_ASKED
    if target is None:
        return NO_MODEL
    model = case.draft.read(ModelNamed(target.name))
    if model is None or isinstance(model, Unavailable):
        return model
    number = model.aliases.get(asked.alias) or model.aliases.get(target.alias)
    if number is None:
        return NoBaseline(f"models:/{target.name}@{asked.alias}")
    query = VersionNumbered(target.name, number)
    version = case.draft.read(query)
    if isinstance(version, Unavailable):
        return version
    if version is None:
        gone = f"models:/{target.name}@{asked.alias} names version {number}, which MLflow does not know"
        return Unreadable(gone) if case.observed.facts.answered(query) else None
    if version.run_id == found.run.mlflow_run_id:
        return OwnVersion(number)
    return Measured(number, version.metrics, _difference(case, found, version.tags))


def changes(case: Case) -> bool:
    """Whether a rule of the gate asks for a change."""
    return any(threshold.change is not None for threshold in case.spec.gate.metrics)


def moved(recorded: tuple[GateVerdict, ...], baseline: BaselineFound) -> bool:
    """Whether the verdicts were given against another version than the one that serves now."""
    before = {verdict.baseline_version for verdict in recorded if verdict.baseline_version}
    match baseline:
        case Measured(version):
            return before != {version}
        case OwnVersion():
            return False
        case _:
            return bool(before)


def _difference(case: Case, found: Findings, tags: Mapping[str, str]) -> str:
    """How the data that the baseline was measured on differ from those of this run; '' if they are the same bytes."""
    compared = case.spec.gate.baseline.data or tuple(data.name for data in case.spec.data)
    if not compared:
        return "spec.data is empty, so there is no digest to tell"
    now = {data.name: data.digest for data in found.data}
    told = []
    for name in compared:
        mine, its = now.get(name, ""), tags.get(f"{names.TAG_DATA}.{name}", "")
        if not mine or mine != its:
            told.append(f"{name} was {its[:_SHOWN] or 'not recorded'}, is {mine[:_SHOWN] or 'not recorded'}")
    return ", ".join(told)
