"""A cluster and an MLflow small enough to be values: they carry out what a plan says, and show what a plan may see.

It behaves like the engine in what the plan depends on: a question is answered only after it was asked; an answer grows
stale until a write of our own asks again (models by name are polled); a status is a merge patch, checked by the CRD's
own schema. Every pass checks the status contract (:mod:`tests.unit.training.contract`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from tandem.api import names
from tandem.api.facts import (
    Facts,
    ModelNamed,
    ProgressOf,
    Query,
    Unavailable,
)
from tandem.api.meta import Condition, Json, condition_of
from tandem.api.plan import (
    Action,
    Apply,
    Create,
    Delete,
    Emit,
    EndRun,
    EnsureRun,
    MoveAlias,
    Observed,
    Plan,
    Refusal,
    RegisterVersion,
    TagRun,
    TagVersion,
)
from tandem.api.trainingjob import TrainingJob
from tandem.api.trainingjob_status import TrainingJobStatus
from tandem.engine.controller import status_difference
from tandem.training.case import TrainingSettings
from tandem.training.plan import plan
from tests.unit.training import contract
from tests.unit.training.cluster import POLL_JOB, Cluster, env_of
from tests.unit.training.mlflow import UID, Mlflow

SETTINGS = TrainingSettings(runtime_image="tandem-runtime:1", mlflow_uri="http://mlflow.mlflow:5000")
OWNED = frozenset(TrainingJobStatus.__struct_encode_fields__) - {"drift"}

SPEC: Json = {
    "steps": [{"name": "features", "command": ["python", "f.py"]}, {"name": "train", "command": ["python", "t.py"]}],
    "source": {"git": {"url": "https://git.example/iris.git"}},
    "data": [{"name": "iris", "storageUri": "https://data.example/iris.csv"}],
    "parameters": {"max_iter": "200"},
    "gate": {"metrics": [{"name": "accuracy", "min": "0.9"}]},
    "model": {"name": "iris"},
}
DRIFT_POLICY: Json = {"drift": {"signals": [{"metric": "accuracy", "min": "0.85"}]}}


_POLLED = (ModelNamed, ProgressOf)


@dataclass
class World(Cluster, Mlflow):
    spec: Json = field(default_factory=lambda: json.loads(json.dumps(SPEC)))
    annotations: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    generation: int = 1
    status: Json = field(default_factory=lambda: {"observedGeneration": -1})
    refuse: dict[type[Action], tuple[str, str]] = field(default_factory=dict)
    done: list[Action] = field(default_factory=list)  # what was carried out, in order
    events: list[Emit] = field(default_factory=list)
    statuses: list[Json] = field(default_factory=list)  # each that was written
    answers: dict[Query[object], object] = field(default_factory=dict)
    refusals: dict[str, Refusal] = field(default_factory=dict)

    # --- what people do ----------------------------------------------------------------------------------------------

    def change(self, **spec: object) -> World:
        self.spec = {key: value for key, value in {**self.spec, **spec}.items() if value is not None}
        self.generation += 1
        return self

    def ask(self, token: str) -> World:
        self.annotations[names.REQUESTED_AT_ANNOTATION] = token
        return self

    def alarm(self, request: str = "alarm-1") -> World:
        """The model-drift controller asks for a run."""
        wanted = {"id": request, "reason": "accuracy 0.8", "requestedAt": self.now.isoformat()}
        signals = [{"metric": "accuracy", "state": "Drifted", "value": "0.8", "baseline": "0.93", "alarmStep": 1}]
        self.status["drift"] = {"championVersion": "1", "signals": signals, "retrainRequest": wanted}
        return self

    def lose_status(self) -> World:
        """Somebody wiped it; the model-drift controller writes its part anew."""
        drift = self.status.get("drift")
        self.status = {"observedGeneration": -1, **({"drift": drift} if drift else {})}
        return self

    def restart(self) -> World:
        """The operator's memory is gone."""
        self.answers, self.refusals = {}, {}
        for run in self.runs:
            run.made = False
        return self

    def wait(self, seconds: float) -> World:
        self.now += timedelta(seconds=seconds)
        return self

    def decide(self, approved: str = "", rejected: str = "", by: str = "", because: str = "") -> World:
        """A person approves or rejects a run, named by its MLflow id."""
        given = {
            names.APPROVED_ANNOTATION: approved,
            names.REJECTED_ANNOTATION: rejected,
            names.DECIDED_BY_ANNOTATION: by,
            names.DECIDED_BECAUSE_ANNOTATION: because,
        }
        for name, value in given.items():
            self.annotations.pop(name, None)
            if value:
                self.annotations[name] = value
        return self

    # --- what a training does ----------------------------------------------------------------------------------------

    def logs(self, metrics: Mapping[str, float], models: int = 1, status: str = "FINISHED", step: int = 0) -> World:
        """What the script logs into the run that its environment names."""
        self.log(env_of(self.job)["MLFLOW_RUN_ID"], metrics, models, status, step)
        return self

    def completes(self, metrics: Mapping[str, float] | None = None, models: int = 1) -> World:
        """The script logs, ends its run and exits 0."""
        return self.logs({"accuracy": 0.95} if metrics is None else metrics, models).succeeds()

    # --- what a plan sees --------------------------------------------------------------------------------------------

    @property
    def resource(self) -> TrainingJob:
        meta = {
            "name": "iris",
            "namespace": "ml",
            "uid": UID,
            "generation": self.generation,
            "annotations": self.annotations,
            "labels": self.labels,
        }
        return msgspec.convert({"metadata": meta, "spec": self.spec, "status": self.status}, TrainingJob)

    def plan(self) -> Plan:
        return plan(SETTINGS, Observed(self.resource, self.children, Facts(self.answers), self.refusals), self.now)

    # --- what the engine does ----------------------------------------------------------------------------------------

    def reconcile(self, crash_after: int | None = None) -> bool:
        """One pass; True when it changed anything. After ``crash_after`` actions the operator dies and comes back."""
        self.now += timedelta(seconds=1)
        self.take_away()
        made = self.plan()
        contract.check_plan(self, made)
        news = self._subscribe(made)
        for place, action in enumerate(made.actions):
            if place == crash_after:
                self.restart()
                return True
            refused = self._refusal(action)
            if refused:
                self._remember(action, *refused)
                return True
            self.refusals.pop(action.id, None)
            self._carry_out(action)
            self.done.append(action)
        if crash_after is not None:
            self.restart()
            return True
        return self._tell(made) or bool(made.actions) or news

    def settle(self, patience: int = 60) -> World:
        """Plan and carry out until a pass changes nothing: then the next one must not either."""
        for _ in range(patience):
            if not self.reconcile():
                self.check_rest()
                return self
        raise AssertionError(f"no rest after {patience} passes: {self.plan()}")

    def check_rest(self) -> None:
        made = self.plan()
        assert made.actions == ()
        assert made.status is None or status_difference(self.status, made.status, OWNED) == {}

    def _subscribe(self, made: Plan) -> bool:
        """Answers to what this plan read: old ones stay, until they are polled or asked again."""
        before = self.answers
        self.answers = {
            query: before[query]
            if query in before and not isinstance(query, _POLLED) and not isinstance(before[query], Unavailable)
            else self.answer(query)
            for query in made.reads
        }
        return self.answers != before

    def _tell(self, made: Plan) -> bool:
        if made.status is None:
            return False
        difference = status_difference(self.status, made.status, OWNED)
        if not difference:
            return False
        self.status = json.loads(json.dumps(_merge(self.status, difference)))
        self.statuses.append(self.status)
        self.events.extend(made.events)
        return True

    def _refusal(self, action: Action) -> tuple[str, str] | None:
        outside = isinstance(action, EnsureRun | TagRun | EndRun | RegisterVersion | TagVersion | MoveAlias)
        return (self.mlflow_refuses(action) if outside else None) or self.refuse.get(type(action))

    def _remember(self, action: Action, reason: str, message: str) -> None:
        before = self.refusals.get(action.id)
        since, attempts = (before.since, before.attempts + 1) if before else (self.now, 1)
        rest = timedelta(seconds=min(2**attempts, 300))
        self.refusals[action.id] = Refusal(reason, message, since, self.now + rest, attempts)

    def _carry_out(self, action: Action) -> None:
        match action:
            case Create(manifest):
                self.create(json.loads(json.dumps(manifest)))
            case Apply(manifest):
                self.apply(json.loads(json.dumps(manifest)))
            case Delete(name=name, uid=uid):
                self.delete(name, uid)
            case _:
                self.mlflow_does(action)
                self.answers = {query: self.answer(query) for query in self.answers}  # the engine asks again

    # --- what a reader asks ------------------------------------------------------------------------------------------

    def condition(self, type_: str) -> Condition | None:
        return condition_of(self.resource.status.conditions, type_)

    def told(self, type_: str) -> tuple[str, str] | None:
        """Status and reason of a condition."""
        found = self.condition(type_)
        return (found.status, found.reason) if found else None

    @property
    def creations(self) -> list[str]:
        made = [action.manifest for action in self.done if isinstance(action, Create)]
        names_of_jobs = [manifest["metadata"]["name"] for manifest in made if manifest["kind"] == "Job"]
        return [name for name in names_of_jobs if name != POLL_JOB]

    @property
    def polls(self) -> int:
        """How many polling Jobs were made."""
        made = [action.manifest["metadata"]["name"] for action in self.done if isinstance(action, Create)]
        return made.count(POLL_JOB)

    @property
    def figure(self) -> Json:
        """The status without times: what two histories that end alike have in common."""
        timeless: Json = _timeless(self.status)
        return timeless


def trained(**spec: object) -> World:
    """Run 1 has just completed; nothing was judged yet."""
    return (World().change(**spec) if spec else World()).settle().completes()


def complete(**spec: object) -> World:
    """Run 1 passed, was registered and promoted."""
    world = trained(**spec).settle()
    assert world.status["phase"] == "Complete", world.status
    return world


def kinds(actions: Sequence[Action]) -> list[str]:
    return [type(action).__name__ for action in actions]


def _merge(stored: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(stored) if isinstance(stored, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(item) for key, item in value.items() if not key.endswith(("Time", "Since"))}
    return [_timeless(item) for item in value] if isinstance(value, list) else value
