"""The plan of a TrainingJob: an ordered list of steps, each of which passes, works, fails or waits.

::

    choose a run ─► track ─► train ─► judge ─► register ─► promote ─► settled
        ▲            MLflow    Job      gate      version     alias       │
        └──── spec changed · drift found · a person asks ◄───────────────┘

Pure: no clock, no client, no randomness. What a step cannot know yet it reads as a fact (and is planned again when
the fact arrives); what it wants done it adds to the draft. A step's outcome that was recorded in the status for this
run is never done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TypeAlias

from tandem.api.conditions import Outcome, Passed, Undecided
from tandem.api.plan import Draft, Observed, Plan
from tandem.api.trainingjob import TrainingJob
from tandem.api.trainingjob_status import RunStatus
from tandem.training import approval, gate, promotion, quality, registry, reproduction, track, train
from tandem.training.case import PROMOTED, TRAINED, Case, TrainingChildren, TrainingSettings
from tandem.training.findings import Findings
from tandem.training.history import COMPLETE
from tandem.training.housekeeping import tidy
from tandem.training.run import Current, Held, Settled, Stopped, Unanswered, choose
from tandem.training.status import held_status, run_status, settled_status, stopped_status

Step: TypeAlias = Callable[[Case, Findings], tuple[Outcome | None, Findings]]


def plan(settings: TrainingSettings, observed: Observed[TrainingJob, TrainingChildren], now: datetime) -> Plan:
    """What to do for this TrainingJob now, and what its status says."""
    draft = Draft(observed.facts, observed.refusals, now)
    case = Case(settings, observed, now, draft)
    match choose(case):
        case Unanswered():
            return draft.finish(None)
        case Held(outcome, run):
            return draft.finish(held_status(case, outcome, run))
        case Stopped(run):
            return draft.finish(stopped_status(case, run))
        case Settled(run) if not _unfinished(case, run):
            tidy(case, run)
            return draft.finish(settled_status(case, run))
        case Settled(run) | Current(run):
            return _walk(case, recall(case, run))


def steps(case: Case) -> Iterator[tuple[str, Step]]:
    """The steps of this spec, each under the condition that tells its outcome."""
    target = case.spec.model
    if case.spec.reproduce_from is not None:
        yield TRAINED, reproduction.find
    yield TRAINED, track.track
    yield TRAINED, train.train
    if case.spec.reproduce_from is not None:
        yield reproduction.REPRODUCED, reproduction.conclude
        return
    yield gate.BLESSED, gate.judge
    if target is not None:
        yield registry.REGISTERED, lambda case, found: registry.register(case, found, target)
        yield PROMOTED, lambda case, found: promotion.promote(case, found, target)


def _walk(case: Case, found: Findings) -> Plan:
    """Take the steps in order, up to the first that has not passed."""
    outcomes: dict[str, Outcome] = {}
    for condition, step in steps(case):
        outcome, found = step(case, found)
        if outcome is None:  # asked outside, not answered yet: nothing to tell
            return case.draft.finish(None)
        outcomes[condition] = outcome
        if not isinstance(outcome, (Passed, Undecided)):
            break
    told = reproduction.with_condition(case, quality.with_condition(case, found, outcomes))
    return case.draft.finish(run_status(case, found, told))


def recall(case: Case, run: RunStatus) -> Findings:
    """What the status has recorded of this run already; nothing, if it speaks of another one."""
    status = case.status
    if status.run is None or status.run.number != run.number:
        return Findings(run=run)
    return Findings(
        run=run,
        failure=status.failure,
        source=status.source,
        image=status.image,
        data=status.data,
        metrics=tuple(sorted(status.metrics.items())),
        gate=status.gate,
        model=status.model,
        approval=status.approval,
        reproduction=status.reproduction,
        promotions=status.promotions,
    )


def _unfinished(case: Case, run: RunStatus) -> bool:
    """The last run trained, and the spec now asks for something of it that needs no training.

    It did not pass and the gate's rules are others now: it is judged by those. It did, and the model or the alias has
    another name now: it is put there. It waits for a person, and the person has decided, or the gate has other rules.
    """
    if case.recorded(TRAINED, run) is None:
        return False
    passed = case.recorded(gate.BLESSED, run) is not None
    if not passed and gate.rules_differ(case):
        return True
    target, model = case.spec.model, case.status.model
    if approval.held(case, run):
        return target is None or approval.news(case, run, target) or gate.rules_differ(case)
    if target is None or case.recorded(COMPLETE, run) is None:
        return False
    return model is None or model.name != target.name or (passed and model.alias != target.alias)
