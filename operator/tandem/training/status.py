"""The status of a TrainingJob, written from what the steps found: one writer, one place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from tandem.api.conditions import (
    READY,
    RECONCILING,
    Awaiting,
    Failed,
    Outcome,
    Passed,
    Undecided,
    Working,
    condition,
    shortened,
    summarise,
    transitions,
    waiting_since,
)
from tandem.api.meta import Condition, ConditionStatus, Json, condition_of, to_json
from tandem.api.trainingjob_status import RunStatus, TrainingJobStatus
from tandem.training.approval import AWAITING
from tandem.training.case import PROMOTED, TRAINED, Case
from tandem.training.data_change import DATA_POLLED, data_poll_conditions, data_poll_status
from tandem.training.findings import Findings
from tandem.training.history import COMPLETE, entry_of, known_history, trimmed
from tandem.training.schedule import SCHEDULED, schedule_conditions, schedule_status
from tandem.training.triggers import STOPPED, asked

FAILED: Final = "Failed"
SUSPENDED: Final = "Suspended"
DRIFTED: Final = "Drifted"

_PHASES: Final = {
    "DataValidated": "Running",
    "Trained": "Running",
    "Reproduced": "Validating",
    "Blessed": "Validating",
    "Registered": "Registering",
    "Promoted": "Promoting",
}


def run_status(case: Case, found: Findings, outcomes: Mapping[str, Outcome]) -> Json:
    """The status while a run goes on, and at the moment in which it ends."""
    last_type = list(outcomes)[-1]
    last = outcomes[last_type]
    failed = isinstance(last, Failed)
    complete = isinstance(last, (Passed, Undecided))
    # A failure that heals by itself has not ended the run, nor has one of which something outside is still open.
    # One that waits for a person has: the next one does not wait with it.
    awaiting = isinstance(last, Awaiting)
    ended = complete or awaiting or (isinstance(last, Failed) and last.final and not found.open_ends)
    run = _ended(found.run, case.now) if ended else msgspec.structs.replace(found.run, completion_time=None)
    result = settled_outcome(found)
    conditions = list(summarise(outcomes, case.status.conditions, _generation(case), case.now, result))
    if ended and not awaiting:
        reason, message = ("RunComplete", result.message) if complete else (last.reason, last.message)
        conditions.append(_true(case, COMPLETE if complete else FAILED, reason, message))
    conditions += _drifted(case)
    history = known_history(case, run)
    if ended:
        version = found.model.version if found.model else ""
        history = (entry_of(run, COMPLETE if complete else last.reason, version, _key_figure(found)), *history)
    phase = (last.reason if awaiting else COMPLETE if complete else FAILED) if ended else _PHASES[last_type]
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
            approval=found.approval,
            reproduction=found.reproduction,
            promotions=found.promotions,
            last_handled_reconcile_at=_handled(case, run),
            history=trimmed(case, history),
        ),
    )


def stopped_status(case: Case, run: RunStatus) -> Json:
    """The run was stopped before its end: it has ended, and one that goes on in its place is due."""
    ended = _ended(run, case.now)
    told = Working(STOPPED, f"run {run.number} was stopped before its end")
    entry = entry_of(ended, SUSPENDED if case.spec.suspend else "Superseded")
    before = msgspec.structs.replace(
        case.status,
        run=ended,
        last_handled_reconcile_at=_handled(case, run),
        history=trimmed(case, (entry, *known_history(case, run))),
    )
    return _held(case, before, told, "Stopped")


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
            phase=_settled_phase(conditions),
            run=run,
            history=trimmed(case, case.status.history),
        ),
    )


def held_status(case: Case, outcome: Outcome, run: RunStatus | None) -> Json:
    """No run can start or go on: say why, and keep everything that is known."""
    before = case.status
    if run is not None and (before.run is None or before.run.number != run.number):
        handled, history = _handled(case, run), trimmed(case, known_history(case, run))
        before = msgspec.structs.replace(before, run=run, last_handled_reconcile_at=handled, history=history)
    if isinstance(outcome, Undecided):
        return _suspended(case, before, outcome)
    return _held(case, before, outcome, "Pending" if run is None else "Stopping")


def _held(case: Case, before: TrainingJobStatus, outcome: Outcome, phase: str) -> Json:
    generation = _generation(case)
    told = summarise({TRAINED: outcome}, case.status.conditions, generation, case.now, Passed("", ""))
    conditions = (*told, *_drifted(case))
    status = msgspec.structs.replace(before, observed_generation=generation, phase=phase, conditions=conditions)
    return _write(case, status)


def _suspended(case: Case, before: TrainingJobStatus, outcome: Undecided) -> Json:
    """What was settled stays told; nothing reconciles, so nothing says that it does."""
    generation, told = _generation(case), before.conditions
    kept = [c for c in told if c.type not in {DRIFTED, SUSPENDED, RECONCILING}]
    ready = condition_of(tuple(kept), READY)
    if ready is None or ready.status == "Unknown" or condition_of(told, RECONCILING):
        ready = condition(READY, "Unknown", outcome.reason, outcome.message, told, generation, case.now)
        kept = [ready, *(c for c in kept if c.type != READY)]
    conditions = [msgspec.structs.replace(c, observed_generation=generation) for c in kept]
    if before.run is not None and before.run.completion_time is None:
        gone = msgspec.structs.replace(
            before.run, step="", step_start_time=None, progress=None, attempt_start_time=None
        )
        # Its pods are gone, and what they were at: the time in which nothing moves begins anew with the next one.
        before = msgspec.structs.replace(before, run=gone)
        trains = condition(TRAINED, "Unknown", outcome.reason, outcome.message, told, generation, case.now)
        conditions = [trains if (c.type, c.status) == (TRAINED, "Unknown") else c for c in conditions]
    conditions.append(_true(case, SUSPENDED, outcome.reason, outcome.message))
    conditions += _drifted(case)
    status = msgspec.structs.replace(
        before, observed_generation=generation, phase=SUSPENDED, conditions=tuple(conditions)
    )
    return _write(case, status)


def settled_outcome(found: Findings) -> Passed:
    """What Ready says when every step has passed."""
    if found.model is not None:
        figure = _key_figure(found)
        at = f"@{found.model.alias}" if found.model.alias else ""
        told = f"run {found.run.number} gave model {found.model.name}{at} version {found.model.version}"
        return Passed("Succeeded", f"{told} ({figure})" if figure else told)
    if found.reproduction is not None:
        return Passed("Succeeded", f"run {found.run.number} reproduced run {found.reproduction.mlflow_run_id}")
    return Passed("Succeeded", f"run {found.run.number} is complete")


def _write(case: Case, status: TrainingJobStatus) -> Json:
    schedule = schedule_status(case, status.run)
    data_poll = data_poll_status(case, status)
    others = tuple(c for c in status.conditions if c.type not in {SCHEDULED, DATA_POLLED})
    conditions = (*others, *schedule_conditions(case, schedule), *data_poll_conditions(case, data_poll))
    since = waiting_since(case.status.conditions, case.status.waiting_since, conditions, case.now)
    status = msgspec.structs.replace(
        status, schedule=schedule, data_poll=data_poll, conditions=conditions, waiting_since=since
    )
    case.draft.events.extend(transitions(case.status.conditions, status.conditions))
    told = to_json(status)
    told.pop("drift", None)  # the model-drift controller's, and its alone
    return told


def _ended(run: RunStatus, now: datetime) -> RunStatus:
    ended = run.completion_time or now.replace(microsecond=0)
    return msgspec.structs.replace(run, completion_time=ended, step="", step_start_time=None, node_pods=None)


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
        number = float(value)
    except ValueError:
        return value
    return f"{number:.4g}" if math.isfinite(number) else value


def _handled(case: Case, run: RunStatus) -> str:
    """A person's token counts as handled by the run that started when it was already there."""
    stored = case.status.run
    if stored is not None and stored.number == run.number:
        return case.status.last_handled_reconcile_at
    # A run that was found again answers the token it was started for; the annotation may have changed since.
    return run.trigger.id if run.trigger.type == "Requested" else asked(case)


def _settled_phase(conditions: Sequence[Condition]) -> str:
    """The phase that a suspension had overwritten."""
    if any((c.type, c.reason) == (PROMOTED, AWAITING) for c in conditions):
        return AWAITING
    return next((c.type for c in conditions if c.type in {COMPLETE, FAILED}), COMPLETE)
