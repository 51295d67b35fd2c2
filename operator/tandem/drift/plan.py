"""The plan of the model-drift controller: from a TrainingJob and MLflow's answers to ``status.drift``.

::

    champion ──► windows ──► signals ──► alarm ──► brakes ──► request ──► (the operator runs) ──► cooldown ─┐
        ▲                       ▲                                                                          │
        └── another version ────┴────────────────────── the count begins again ◄────────────────────────────┘

It owns ``status.drift`` and nothing else, and has no action at all: drift asks for a candidate, the gate decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from tandem.api import names
from tandem.api.conditions import shortened
from tandem.api.facts import Facts
from tandem.api.meta import to_json
from tandem.api.plan import Draft, Observed, Plan
from tandem.api.trainingjob import DriftPolicy, TrainingJob
from tandem.api.trainingjob_status import DriftStatus
from tandem.drift import signals
from tandem.drift.champion import Absent, Champion, Unseen, look
from tandem.drift.watch import Watch


@dataclass(frozen=True)
class DriftSettings:
    """What the drift controller was started with."""

    monitoring_experiment: str = names.MONITORING_EXPERIMENT


def plan(settings: DriftSettings, observed: Observed[TrainingJob, None], now: datetime) -> Plan:
    """What drift has to say about one TrainingJob now."""
    job = observed.resource
    if job.metadata.deletion_timestamp is not None:
        return Plan()
    policy = job.spec.retrain.drift
    if policy is None:
        return Plan(status={"drift": None} if job.status.drift is not None else None)
    draft = Draft(observed.facts, observed.refusals, now)
    status = _status(settings, job, policy, draft, observed.facts, now)
    return draft.finish({"drift": to_json(status)} if status is not None else None)


def _status(
    settings: DriftSettings, job: TrainingJob, policy: DriftPolicy, draft: Draft, facts: Facts, now: datetime
) -> DriftStatus | None:
    known = job.status.drift or DriftStatus()
    if job.spec.model is None:
        return _unmonitored(known, "spec.retrain.drift watches a registered model: set spec.model.name")
    match look(draft, facts, job.spec.model.name, policy):
        case Champion() as champion:
            return Watch(settings.monitoring_experiment, job, policy, champion, draft, now).status(known)
        case Absent(why=why):
            return _unmonitored(known, why)
        case Unseen(why=""):
            return job.status.drift  # the first answers are on their way: what was said stays said
        case Unseen(why=why):
            return msgspec.structs.replace(known, message=shortened(why))


def _unmonitored(known: DriftStatus, why: str) -> DriftStatus:
    states = tuple(signals.unmonitored(state) for state in known.signals)
    return msgspec.structs.replace(known, signals=states, message=shortened(why))
