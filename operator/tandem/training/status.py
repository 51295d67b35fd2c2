"""The status of a TrainingJob, written from what the steps found: one writer, one place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import msgspec

from tandem.api import names
from tandem.api.conditions import (
    READY,
    Failed,
    Outcome,
    Passed,
    Undecided,
    condition,
    shortened,
    summarise,
    transitions,
)
from tandem.api.meta import Condition, ConditionStatus, Json, to_json
from tandem.api.trainingjob import HistoryEntry, RunStatus, TrainingJobStatus
from tandem.training.case import Case
from tandem.training.findings import Findings

COMPLETE: Final = "Complete"
FAILED: Final = "Failed"
SUSPENDED: Final = "Suspended"
DRIFTED: Final = "Drifted"

_PHASES: Final = {"Trained": "Running", "Blessed": "Validating", "Registered": "Registering", "Promoted": "Promoting"}


def run_status(case: Case, found: Findings, outcomes: Mapping[str, Outcome], superseded: RunStatus | None) -> Json:
    """The status while a run goes on, and at the moment in which it ends."""
    last_type = list(outcomes)[-1]
    last = outcomes[last_type]
    failed = isinstance(last, Failed)
    complete = isinstance(last, (Passed, Undecided))
    # A failure that heals by itself has not ended the run, nor has one of which something outside is still open.
    ended = complete or (isinstance(last, Failed) and last.final and not found.open_ends)
    run = _ended(found.run, case.now) if ended else msgspec.structs.replace(found.run, completion_time=None)
    result = settled_outcome(found)
    conditions = list(summarise(outcomes, case.status.conditions, _generation(case), case.now, result))
    if ended:
        reason, message = ("RunComplete", result.message) if complete else (last.reason, last.message)
        conditions.append(_true(case, COMPLETE if complete else FAILED, reason, message))
    conditions += _drifted(case)
    history = _history(case, superseded, "Superseded") if superseded else case.status.history
    if ended:
        entry = _entry(run, "Complete" if complete else last.reason, found)
        history = _with(entry, history, case.spec.history_limit)
    phase = ("Complete" if complete else "Failed") if ended else _PHASES[last_type]
    return _write(
        case,
        TrainingJobStatus(
            observed_generation=_generation(case),
            phase="Failed" if failed else phase,
            key_figure=_key_figure(found),
            conditions=tuple(conditions),
            run=run,
            failure=found.failure,
            source=found.source,
            image=found.image,
            data=found.data,
            metrics=dict(found.metrics),
            gate=found.gate,
            model=found.model,
            last_handled_reconcile_at=_handled(case, run),
            history=history,
        ),
    )


def settled_status(case: Case, run: RunStatus) -> Json:
    """Nothing is due: everything stays as it was told, stamped with the generation it still holds for."""
    kept = [c for c in case.status.conditions if c.type not in {DRIFTED, SUSPENDED}]
    conditions = [msgspec.structs.replace(c, observed_generation=_generation(case)) for c in kept]
    conditions += _drifted(case)
    if case.spec.suspend:
        conditions.append(_true(case, SUSPENDED, SUSPENDED, "no further run starts while spec.suspend is true"))
    return _write(
        case,
        msgspec.structs.replace(
            case.status,
            observed_generation=_generation(case),
            conditions=tuple(conditions),
            run=run,
            history=case.status.history[: case.spec.history_limit],
        ),
    )


def held_status(case: Case, outcome: Outcome, run: RunStatus | None) -> Json:
    """No run can start or go on: say why, and keep everything that is known."""
    before, generation = case.status, _generation(case)
    if isinstance(outcome, Undecided):
        kept = [c for c in before.conditions if c.type not in {DRIFTED, SUSPENDED}]
        conditions = [msgspec.structs.replace(c, observed_generation=generation) for c in kept]
        if not conditions:
            conditions.append(
                condition(READY, "Unknown", outcome.reason, outcome.message, before.conditions, generation, case.now)
            )
        conditions.append(_true(case, SUSPENDED, outcome.reason, outcome.message))
        phase = "Suspended"
    else:
        conditions = list(summarise({"Trained": outcome}, before.conditions, generation, case.now, Passed("", "")))
        phase = "Pending"
    conditions += _drifted(case)
    return _write(
        case,
        msgspec.structs.replace(
            before, observed_generation=generation, phase=phase, conditions=tuple(conditions), run=run or before.run
        ),
    )


def settled_outcome(found: Findings) -> Passed:
    """What Ready says when every step has passed."""
    if found.model is not None:
        figure = _key_figure(found)
        at = f"@{found.model.alias}" if found.model.alias else ""
        told = f"run {found.run.number} gave model {found.model.name}{at} version {found.model.version}"
        return Passed("Succeeded", f"{told} ({figure})" if figure else told)
    return Passed("Succeeded", f"run {found.run.number} is complete")


def _write(case: Case, status: TrainingJobStatus) -> Json:
    case.draft.events.extend(transitions(case.status.conditions, status.conditions))
    told = to_json(status)
    told.pop("drift", None)  # the model-drift controller's, and its alone
    return told


def _ended(run: RunStatus, now: datetime) -> RunStatus:
    return msgspec.structs.replace(run, completion_time=run.completion_time or now.replace(microsecond=0), step="")


def _generation(case: Case) -> int:
    return case.resource.metadata.generation


def _true(case: Case, type_: str, reason: str, message: str) -> Condition:
    return condition(type_, "True", reason, message, case.status.conditions, _generation(case), case.now)


def _drifted(case: Case) -> list[Condition]:
    """Mirrors what the model-drift controller wrote; one writer owns the conditions."""
    drift = case.status.drift
    if drift is None or case.spec.retrain.drift is None:
        return []
    drifted = [s for s in drift.signals if s.state == "Drifted"]
    unknown = [s for s in drift.signals if s.state in {"Unknown", "TooFewSamples"}]
    status: ConditionStatus
    if drifted:
        status, reason = "True", "DriftDetected"
    elif unknown or not drift.signals:
        status, reason = "Unknown", "NotEnoughEvidence"
    else:
        status, reason = "False", "WithinBounds"
    told = "; ".join(f"{s.metric} {s.value or 'unknown'}, champion {s.baseline or 'unknown'}" for s in drift.signals)
    message = shortened(f"version {drift.champion_version}: {told}" if not drift.message else drift.message)
    before = case.status.conditions
    return [condition(DRIFTED, status, reason, message, before, _generation(case), case.now)]


def _key_figure(found: Findings) -> str:
    """The first thing that the gate asks for: what a person looks at first."""
    if found.gate and found.gate[0].value:
        return f"{found.gate[0].metric}={_short(found.gate[0].value)}"
    return ""


def _short(value: str) -> str:
    try:
        return f"{float(value):.4g}"
    except ValueError:
        return value


def _handled(case: Case, run: RunStatus) -> str:
    """A person's token counts as handled by the run that started when it was already there."""
    stored = case.status.run
    started_now = stored is None or stored.number != run.number
    token = case.resource.metadata.annotations.get(names.REQUESTED_AT_ANNOTATION, "")
    return token if started_now else case.status.last_handled_reconcile_at


def _entry(run: RunStatus, result: str, found: Findings | None) -> HistoryEntry:
    assert run.completion_time is not None
    return HistoryEntry(
        number=run.number,
        trigger=run.trigger,
        result=result,
        completion_time=run.completion_time,
        mlflow_run_id=run.mlflow_run_id,
        version=found.model.version if found and found.model else "",
        key_figure=_key_figure(found) if found else "",
    )


def _history(case: Case, superseded: RunStatus, result: str) -> tuple[HistoryEntry, ...]:
    ended = msgspec.structs.replace(superseded, completion_time=case.now.replace(microsecond=0))
    return _with(_entry(ended, result, None), case.status.history, case.spec.history_limit)


def _with(entry: HistoryEntry, history: tuple[HistoryEntry, ...], limit: int) -> tuple[HistoryEntry, ...]:
    """Newest first; a run that was judged again replaces its own entry."""
    others = [other for other in history if other.number != entry.number]
    return tuple(sorted([entry, *others], key=lambda e: -e.number)[: max(limit, 1)])
