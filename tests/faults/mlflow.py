"""MLflow in memory: what Tandem's plans ask of it and write to it, an outage switch, and a count of every write."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from tandem.api import names
from tandem.api.facts import (
    LoggedModel,
    LoggedProgress,
    MetricPoint,
    MetricsSince,
    ModelNamed,
    ModelVersion,
    MonitoredModel,
    MonitorOf,
    ProgressOf,
    Promotion,
    PromotionsOf,
    Query,
    RegisteredModel,
    RunNumbered,
    RunsOf,
    Told,
    TrackedRun,
    Unavailable,
    VersionNumbered,
    VersionsFrom,
)
from tandem.api.plan import (
    EndRun,
    EnsureRun,
    MoveAlias,
    Outside,
    PromotionRecord,
    Refused,
    RegisterVersion,
    TagRun,
    TagVersion,
)
from tandem.tracking import lot
from tests.mlflow_answers import asked_for

T = TypeVar("T")

POLL_EVERY = timedelta(seconds=0.1)


@dataclass
class Mlflow:
    """The server: what survives every crash of the operator. ``writes`` are those that changed something."""

    runs: dict[str, TrackedRun] = field(default_factory=dict)  # by run id
    experiments: dict[str, str] = field(default_factory=dict)  # run id → experiment
    owners: dict[str, str] = field(default_factory=dict)  # run id → uid of the resource
    versions: list[ModelVersion] = field(default_factory=list)
    aliases: dict[tuple[str, str], str] = field(default_factory=dict)  # (model, alias) → version
    ledger: list[Promotion] = field(default_factory=list)  # oldest first
    monitors: dict[tuple[str, str], MonitoredModel] = field(default_factory=dict)  # (model, version)
    outage: Unavailable | None = None
    writes: list[str] = field(default_factory=list)

    # --- what others do ----------------------------------------------------------------------------------------------

    def logs(self, run_id: str, metrics: Mapping[str, float], status: str = "FINISHED") -> None:
        """A script that ends its run; MLflow lists the model that it logged."""
        run = self.runs[run_id]
        model = LoggedModel(f"m-{run_id}", "model", "READY", _now(), f"mlflow-artifacts:/{run_id}")
        times = {**run.metric_times, **dict.fromkeys(metrics, round(_now().timestamp() * 1000))}
        known = {**run.metrics, **metrics}
        self.runs[run_id] = replace(
            run, metrics=known, status=status, models=(model,), metric_times=times, ended_at=_now()
        )

    def add_version(self, model: str, namespace: str = "default") -> str:
        number = str(sum(version.name == model for version in self.versions) + 1)
        tags = {names.TAG_NAMESPACE: namespace}
        self.versions.append(ModelVersion(model, number, f"run-{model}-{number}", "", "READY", tags))
        return number

    def monitor(self, model: str, version: str, metric: str, *values: float) -> None:
        points = tuple(MetricPoint(step, value) for step, value in enumerate(values, start=1))
        self.monitors[model, version] = MonitoredModel(f"monitor-{model}-{version}", {metric: points})

    def breaks(self, reason: str = "TrackingUnavailable") -> None:
        self.outage = Unavailable(_now(), reason, "connection refused")

    def recovers(self) -> None:
        self.outage = None

    # --- what it answers ---------------------------------------------------------------------------------------------

    def answer(self, query: Query[object]) -> object:
        if self.outage is not None:
            return self.outage
        match query:
            case RunsOf() | RunNumbered():
                return self._runs_of(query)
            case ProgressOf() | MetricsSince():
                return LoggedProgress() if isinstance(query, ProgressOf) else {}
            case VersionsFrom(name, run_id):
                return tuple(v for v in self.versions if (v.name, v.run_id) == (name, run_id))
            case ModelNamed(name):
                aliases = {alias: number for (model, alias), number in self.aliases.items() if model == name}
                return RegisteredModel(name, any(v.name == name for v in self.versions), aliases)
            case VersionNumbered(name, number):
                return next((v for v in self.versions if (v.name, v.version) == (name, number)), None)
            case PromotionsOf(model):
                return tuple(entry for entry in reversed(self.ledger) if entry.model == model)
            case MonitorOf(model, number):
                return self.monitors.get((model, number))
        raise AssertionError(f"nobody answers {query}")

    def carry_out(self, write: Outside) -> bool:
        """Whether it changed anything."""
        if self.outage is not None:
            raise Refused(self.outage.reason, self.outage.message)
        before = (dict(self.runs), list(self.versions), dict(self.aliases), list(self.ledger))
        match write:
            case EnsureRun():
                self._ensure(write)
            case TagRun(run_id, tags):
                self.runs[run_id] = replace(self.runs[run_id], tags={**self.runs[run_id].tags, **tags})
            case EndRun(run_id, status):
                if self.runs[run_id].status == "RUNNING":
                    self.runs[run_id] = replace(self.runs[run_id], status=status, ended_at=_now())
            case RegisterVersion():
                self._register(write)
            case TagVersion(name=name, version=number, tags=tags):
                self.versions = [
                    replace(v, tags={**v.tags, **tags}) if (v.name, v.version) == (name, number) else v
                    for v in self.versions
                ]
            case MoveAlias():
                self._move(write)
        changed = before != (self.runs, self.versions, self.aliases, self.ledger)
        if changed:
            self.writes.append(write.id)
        return changed

    def told(self, write: EnsureRun) -> Told:
        """As the writer tells it when it has made the first run in an experiment of its own."""
        first = list(self.experiments.values()).count(write.experiment) == 1
        if not first:
            return {}
        only = (replace(self.runs[_run_id(write)], made=True),)
        return {
            RunsOf(write.uid, write.experiment): only,
            RunNumbered(write.uid, write.experiment, write.number): only,
        }

    def _runs_of(self, query: RunsOf | RunNumbered) -> tuple[TrackedRun, ...]:
        asked = (query.uid, query.experiment)
        mine = (run for id_, run in self.runs.items() if (self.owners[id_], self.experiments[id_]) == asked)
        return asked_for(query, mine)

    def _ensure(self, write: EnsureRun) -> None:
        run_id = _run_id(write)
        if run_id not in self.runs:
            self.runs[run_id] = TrackedRun(run_id, "7", write.number, "RUNNING", _now(), tags=dict(write.tags))
            self.owners[run_id], self.experiments[run_id] = write.uid, write.experiment

    def _register(self, write: RegisterVersion) -> None:
        source = write.source
        if not any((v.name, v.run_id, v.source) == (write.name, write.run_id, source) for v in self.versions):
            number = str(sum(v.name == write.name for v in self.versions) + 1)
            metrics = self.runs[write.run_id].metrics
            made = ModelVersion(write.name, number, write.run_id, source, "READY", dict(write.tags), metrics)
            self.versions.append(made)

    def _move(self, write: MoveAlias) -> None:
        current = self.aliases.get((write.name, write.alias))
        if current not in {write.expected, write.version}:
            raise Refused("AliasMoved", f"alias {write.alias} names version {current}")
        self.aliases[write.name, write.alias] = write.version
        if write.record is not None:
            self._note(write, write.record, current or "")

    def _note(self, write: MoveAlias, record: PromotionRecord, previous: str) -> None:
        mine = (write.name, write.alias, write.version, record.uid, record.number)
        if any((e.model, e.alias, e.version, e.uid, e.number) == mine for e in self.ledger):
            return
        entry_id, at = f"entry-{len(self.ledger) + 1}", _now()
        self.ledger.append(Promotion(entry_id, *mine[:2], previous, write.version, at, record.actor, *mine[3:], "Done"))


@dataclass
class Tracking:
    """The source of one operator process (``tandem.engine.facts.Source``); a dead one reaches nothing any more.

    The process has an event loop of its own; the server lives in ``home``.
    """

    server: Mlflow
    wrote: Callable[[str], None]
    home: asyncio.AbstractEventLoop
    dead: bool = False

    async def answer(self, queries: Collection[Query[object]]) -> Mapping[Query[object], object]:
        async def answers() -> Mapping[Query[object], object]:
            return {query: self.server.answer(query) for query in queries}

        return await self._at_home(answers())

    def poll_interval(self, query: Query[object]) -> timedelta | None:
        return POLL_EVERY if isinstance(query, ModelNamed | MonitorOf) else None

    def lot(self, query: Query[object]) -> str | None:
        return lot(query)

    async def carry_out(self, write: Outside) -> Told:
        async def carried_out() -> Told:
            changed = not self.dead and self.server.carry_out(write)
            if changed:
                self.wrote(write.id)
            return self.server.told(write) if changed and isinstance(write, EnsureRun) else {}

        return await self._at_home(carried_out())

    async def _at_home(self, coroutine: Coroutine[Any, Any, T]) -> T:
        result = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(coroutine, self.home))
        if self.dead:
            await asyncio.Event().wait()
        return result


def _now() -> datetime:
    return datetime.now(UTC)


def _run_id(write: EnsureRun) -> str:
    return f"run-{write.uid}-{write.number}-{write.experiment}"
