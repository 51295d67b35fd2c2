"""An MLflow small enough to be a value: what it has, what it answers, and what it does when it is told to.

It lists the models of a run that has ended, and refuses a run that was deleted and an alias that has moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Self

from tandem.api import names
from tandem.api.facts import (
    LoggedModel,
    LoggedProgress,
    MetricsSince,
    ModelNamed,
    ModelVersion,
    ProgressOf,
    Promotion,
    PromotionsOf,
    Query,
    RegisteredModel,
    RunNamed,
    RunNumbered,
    RunsOf,
    TrackedRun,
    Unavailable,
    VersionNumbered,
    VersionsFrom,
)
from tandem.api.plan import Action, EndRun, EnsureRun, MoveAlias, RegisterVersion, TagRun, TagVersion
from tests.mlflow_answers import asked_for

START: Final = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UID: Final = "uid-iris"


@dataclass
class MlflowRun:
    number: int
    run_id: str
    experiment: str
    tags: dict[str, str]
    started_at: datetime
    status: str = "RUNNING"
    metrics: dict[str, float] = field(default_factory=dict)
    metric_times: dict[str, int] = field(default_factory=dict)
    points: list[tuple[str, int, int, float]] = field(default_factory=list)  # metric, step, time, value
    ended_at: datetime | None = None
    models: list[LoggedModel] = field(default_factory=list)
    progress: LoggedProgress = field(default_factory=LoggedProgress)
    deleted: bool = False
    made: bool = False  # by the operator that goes on now

    def logged_since(self, asked: MetricsSince) -> dict[str, float]:
        points = [point for point in self.points if point[0] in asked.metrics and point[2] >= asked.since]
        return {name: value for name, _, _, value in sorted(points, key=lambda point: point[1:3])}


@dataclass
class Mlflow:
    now: datetime = START
    runs: list[MlflowRun] = field(default_factory=list)
    others: list[MlflowRun] = field(default_factory=list)  # of other resources
    versions: list[ModelVersion] = field(default_factory=list)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)  # (model, alias) → version
    ledger: list[Promotion] = field(default_factory=list)  # oldest first
    metrics_elsewhere: dict[str, dict[str, float]] = field(default_factory=dict)  # of runs that are not Tandem's
    outage: Unavailable | None = None

    def mlflow_down(self) -> Self:
        self.outage = self.outage or Unavailable(self.now, "TrackingUnavailable", "connection refused")
        return self

    def mlflow_up(self) -> Self:
        self.outage = None
        return self

    def run(self, number: int) -> MlflowRun:
        return next(run for run in self.runs if run.number == number)

    @property
    def last_run(self) -> MlflowRun:
        return self.runs[-1]

    def log(self, run_id: str, metrics: Mapping[str, float], models: int, status: str, step: int) -> None:
        run = self._run(run_id)
        run.points += [(name, step, round(self.now.timestamp() * 1000), value) for name, value in metrics.items()]
        for name in metrics:  # MLflow's value is the one of the highest step
            latest = max((point for point in run.points if point[0] == name), key=lambda point: point[1:3])
            run.metric_times[name], run.metrics[name] = latest[2:]
        run.status = status
        run.ended_at = run.ended_at if status == "RUNNING" else self.now
        for _ in range(models):
            name = f"m-{run.number}-{len(run.models) + 1}"
            run.models.append(LoggedModel(name, "model", "READY", self.now, f"mlflow-artifacts:/{name}"))

    def answer(self, query: Query[object]) -> object:
        """What it tells, or that it is away."""
        if self.outage:
            return self.outage
        match query:
            case RunsOf() | RunNumbered():
                return self._runs_of(query)
            case VersionsFrom(name, run_id):
                return tuple(v for v in self.versions if (v.name, v.run_id) == (name, run_id))
            case VersionNumbered(name, number):
                version = next((v for v in self.versions if (v.name, v.version) == (name, number)), None)
                return version and replace(version, metrics=self._metrics_of(version.run_id))
            case PromotionsOf(model):
                return tuple(entry for entry in reversed(self.ledger) if entry.model == model)
            case ModelNamed(name):
                aliases = {alias: version for (model, alias), version in self.aliases.items() if model == name}
                return RegisteredModel(name, any(v.name == name for v in self.versions), aliases)
            case RunNamed(run_id):
                named = [run for run in (*self.runs, *self.others) if run.run_id == run_id]
                return _tracked(named[0], ()) if named else None
            case ProgressOf() | MetricsSince():
                run = self._run(query.run_id)
                return run.progress if isinstance(query, ProgressOf) else run.logged_since(query)
        raise AssertionError(f"{query} is not MLflow's to answer")

    def mlflow_refuses(self, action: Action) -> tuple[str, str] | None:
        """Reason and message, where it does not do what it is told to."""
        if self.outage:
            return self.outage.reason, self.outage.message
        if isinstance(action, EnsureRun) and any(r.number == action.number and r.deleted for r in self.runs):
            return "RunDeleted", "ask for another run"
        if isinstance(action, MoveAlias):
            current = self.aliases.get((action.name, action.alias))
            if current not in {action.expected, action.version}:
                return "AliasMoved", f"it names version {current}"
        return None

    def mlflow_does(self, action: Action) -> None:
        match action:
            case EnsureRun():
                if not any(run.number == action.number and run.experiment == action.experiment for run in self.runs):
                    run_id = f"run-{action.number}" + ("" if action.experiment == "ml/iris" else action.experiment)
                    made = MlflowRun(action.number, run_id, action.experiment, dict(action.tags), self.now, made=True)
                    self.runs.append(made)
            case TagRun():
                self._run(action.run_id).tags.update(action.tags)
            case EndRun():
                if self._run(action.run_id).status == "RUNNING":
                    self._run(action.run_id).status = action.status
            case RegisterVersion():
                self._register(action)
            case TagVersion(name=name, version=number, tags=tags):
                self.versions = [
                    replace(v, tags={**v.tags, **tags}) if (v.name, v.version) == (name, number) else v
                    for v in self.versions
                ]
            case MoveAlias():
                self._move(action)
            case _:
                raise AssertionError(f"{action} is not MLflow's")

    def _runs_of(self, query: RunsOf | RunNumbered) -> tuple[TrackedRun, ...]:
        assert query.uid == UID
        mine = (_tracked(run) for run in self.runs if run.experiment == query.experiment and not run.deleted)
        return asked_for(query, mine)

    def _register(self, action: RegisterVersion) -> None:
        source = f"models:/{action.model_id}"
        wanted = (action.name, action.run_id, source)
        known = next((v for v in self.versions if (v.name, v.run_id, v.source) == wanted), None)
        if known is None:
            number = str(sum(v.name == action.name for v in self.versions) + 1)
            self.versions.append(ModelVersion(action.name, number, action.run_id, source, "READY", dict(action.tags)))
        else:
            tagged = replace(known, tags={**action.tags, **known.tags})
            self.versions = [tagged if version is known else version for version in self.versions]

    def _move(self, action: MoveAlias) -> None:
        previous, record = self.aliases.get((action.name, action.alias)), action.record
        assert record is not None, "no alias moves untold"
        self.aliases[action.name, action.alias] = action.version
        mine = (action.name, action.alias, action.version, record.uid, record.number)
        if not any((e.model, e.alias, e.version, e.uid, e.number) == mine for e in self.ledger):
            self.ledger.append(
                Promotion(
                    entry_id=f"entry-{len(self.ledger) + 1}",
                    model=action.name,
                    alias=action.alias,
                    previous="" if previous in {None, action.version} else str(previous),
                    version=action.version,
                    at=self.now,
                    actor=record.actor,
                    uid=record.uid,
                    number=record.number,
                    state="Done",
                    reason=record.reason,
                    approved_by=record.details.get(names.PROMOTION_APPROVED_BY, ""),
                )
            )

    def _metrics_of(self, run_id: str) -> dict[str, float]:
        ours = {run.run_id: run.metrics for run in self.runs}
        return dict({**ours, **self.metrics_elsewhere}.get(run_id, {}))

    def _run(self, run_id: str) -> MlflowRun:
        return next(run for run in self.runs if run.run_id == run_id)


def _tracked(run: MlflowRun, models: tuple[LoggedModel, ...] | None = None) -> TrackedRun:
    if models is None:
        models = () if run.status == "RUNNING" else tuple(run.models)
    status = "DELETED" if run.deleted else run.status
    return TrackedRun(
        run.run_id,
        "7",
        run.number,
        status,
        run.started_at,
        dict(run.metrics),
        dict(run.tags),
        models,
        metric_times={name: run.metric_times.get(name, 0) for name in run.metrics},
        ended_at=run.ended_at,
        made=run.made,
    )
