"""Answers the questions of :mod:`tandem.api.facts` that MLflow can answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

from tandem.api import facts, names
from tandem.api.facts import (
    LATEST_RUNS,
    MetricsSince,
    ModelNamed,
    MonitorOf,
    ProgressOf,
    PromotionsOf,
    Query,
    RunNamed,
    RunNumbered,
    RunsOf,
    Unavailable,
    VersionNumbered,
    VersionsFrom,
)
from tandem.tracking import wire
from tandem.tracking.client import MlflowClient
from tandem.tracking.errors import TrackingError, TrackingFailure, TrackingUnavailable
from tandem.tracking.experiments import Experiments
from tandem.tracking.monitoring import Monitors
from tandem.tracking.outages import Outages
from tandem.tracking.promotions import Ledger
from tandem.tracking.runs import one_of_each, those_of, tracked
from tandem.tracking.transport import CONCURRENCY

Answers: TypeAlias = Mapping[Query[object], object]
Ask: TypeAlias = Callable[[], Awaitable[Mapping[Query[object], object]]]
FindRuns: TypeAlias = Callable[[str], Awaitable[tuple[facts.TrackedRun, ...]]]  # by the experiment's id

POLL_EVERY: Final = timedelta(seconds=10)


def poll_interval(query: Query[object], every: timedelta = POLL_EVERY) -> timedelta | None:
    """How often an answer goes stale by itself; None: only a write of our own, or a new ``after``, asks again.

    MLflow's webhooks are no substitute: they are lost while the receiver is down, and refuse receivers in a cluster.
    """
    if isinstance(query, ProgressOf):
        return 3 * every  # a request for each run that goes on: more seldom
    return every if isinstance(query, (ModelNamed, MonitorOf)) else None


def lot(query: Query[object]) -> str | None:
    """Models and their monitoring are each found by one search, however many are asked for; the rest one by one."""
    return type(query).__name__ if isinstance(query, (ModelNamed, MonitorOf)) else None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class TrackingReader:
    """One reader per MLflow server; it remembers what monitoring logged, and since when the server is away."""

    def __init__(
        self,
        client: MlflowClient,
        *,
        experiments: Experiments | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._client = client
        self._experiments = experiments or Experiments(client)
        self._now = now
        self._monitors = Monitors(client, now)
        self._ledger = Ledger(client, self._experiments, lambda: round(now().timestamp() * 1000))
        self._outages = Outages()
        self._known_models: set[str] = set()

    async def answer(self, queries: Collection[Query[object]]) -> Mapping[Query[object], object | Unavailable]:
        """An answer for each question, in as few requests as there can be; it never raises for what MLflow does.

        Raises:
            TypeError: a question that is not MLflow's to answer.
        """
        round_ = _Round()
        await asyncio.gather(*(round_.ask(some, ask) for some, ask in self._grouped(queries)))
        unavailable = self._outages.observe(round_.answers, round_.failures, self._now())
        return {**round_.answers, **unavailable}

    def _grouped(self, queries: Collection[Query[object]]) -> list[tuple[Sequence[Query[object]], Ask]]:
        models = [query for query in queries if isinstance(query, ModelNamed)]
        monitors = [query for query in queries if isinstance(query, MonitorOf)]
        grouped: list[tuple[Sequence[Query[object]], Ask]] = []
        if models:
            grouped.append((models, lambda: self._models(models)))
        if monitors:
            grouped.append((monitors, lambda: self._monitored(monitors)))
        for query in queries:
            if not isinstance(query, (ModelNamed, MonitorOf)):
                grouped.append(([query], self._asking(query)))
        return grouped

    def _asking(self, query: Query[object]) -> Ask:
        match query:
            case RunsOf():
                return lambda: self._one(query, self._runs(query))
            case RunNumbered():
                return lambda: self._one(query, self._numbered(query))
            case RunNamed():
                return lambda: self._one(query, self._run(query))
            case ProgressOf():
                return lambda: self._one(query, self._progress(query))
            case MetricsSince():
                return lambda: self._one(query, self._since(query))
            case VersionNumbered():
                return lambda: self._one(query, self._version(query))
            case VersionsFrom():
                return lambda: self._one(query, self._versions(query))
            case PromotionsOf():
                return lambda: self._one(query, self._ledger.answer(query))
            case _:
                raise TypeError(f"{type(query).__name__} is not a question for MLflow")

    async def _one(self, query: Query[object], answer: Awaitable[object]) -> Answers:
        return {query: await answer}

    async def _monitored(self, queries: Sequence[MonitorOf]) -> Answers:
        monitored = await self._monitors.answer(queries)
        return {query: monitored[query] for query in queries}

    async def _models(self, queries: Sequence[ModelNamed]) -> Answers:
        wanted = {query.name for query in queries}
        found: dict[str, wire.RegisteredModel] = {}
        pages = 0
        async for page in self._client.registered_models():
            pages += 1
            found |= {model.name: model for model in page.registered_models if model.name in wanted}
            if len(found) == len(wanted):
                break
        if pages > 1:
            # Pages are offsets: a model that somebody deletes meanwhile shifts another one out of sight.
            for name in (wanted - set(found)) & self._known_models:
                if model := await self._client.registered_model(name):
                    found[name] = model
        self._known_models = (self._known_models - wanted) | set(found)
        return {query: _registered_model(query.name, found.get(query.name)) for query in queries}

    async def _runs(self, query: RunsOf) -> tuple[facts.TrackedRun, ...]:
        async def latest(experiment_id: str) -> tuple[facts.TrackedRun, ...]:
            passed = f" AND tags.`{names.TAG_GATE_RESULT}` = 'Passed'" if query.passed else ""
            found = await self._client.search_runs(experiment_id, those_of(query.uid) + passed, latest=LATEST_RUNS)
            return tuple(map(tracked, one_of_each(found)))

        return await self._in_experiment(query.experiment, latest)

    async def _numbered(self, query: RunNumbered) -> tuple[facts.TrackedRun, ...]:
        async def numbered(experiment_id: str) -> tuple[facts.TrackedRun, ...]:
            found = await self._client.search_runs(experiment_id, those_of(query.uid, query.number))
            return tuple([tracked(run, await self._models_of(run)) for run in one_of_each(found)])

        return await self._in_experiment(query.experiment, numbered)

    async def _in_experiment(self, name: str, find: FindRuns) -> tuple[facts.TrackedRun, ...]:
        """What is found in the experiment of this name; nothing where it is missing or deleted."""

        async def ask() -> tuple[facts.TrackedRun, ...]:
            experiment_id = await self._experiments.active(name)
            return () if experiment_id is None else await find(experiment_id)

        return await self._experiments.trusted(name, ask)

    async def _models_of(self, run: wire.Run) -> Sequence[wire.LoggedModel]:
        """A run that goes on may still log others."""
        return await self._client.logged_models(run.info.experiment_id, run.info.run_id) if run.ended else ()

    async def _version(self, query: VersionNumbered) -> facts.ModelVersion | None:
        if not query.version.isdecimal():
            return None
        version = await self._client.model_version(query.name, query.version)
        if version is None:
            return None
        return _version(version, await self._metrics(version.run_id))

    async def _versions(self, query: VersionsFrom) -> tuple[facts.ModelVersion, ...]:
        found = await self._client.versions_from(query.name, query.run_id)
        metrics = await self._metrics(query.run_id) if found else {}
        return tuple(_version(version, metrics) for version in found)

    async def _run(self, query: RunNamed) -> facts.TrackedRun | None:
        run = await self._client.run(query.run_id)
        if run is None:
            return None
        found = tracked(run)
        return replace(found, status=facts.DELETED) if run.deleted else found

    async def _progress(self, query: ProgressOf) -> facts.LoggedProgress:
        run = await self._client.run(query.run_id)
        return wire.progress(run.data.metrics if run else ())

    async def _since(self, query: MetricsSince) -> Mapping[str, float]:
        found = {name: await self._client.points_since(query.run_id, name, query.since) for name in query.metrics}
        latest = {
            name: max(points, key=lambda point: (point.step, point.timestamp))
            for name, points in found.items()
            if points
        }
        return {name: point.number for name, point in latest.items()}

    async def _metrics(self, run_id: str) -> Mapping[str, float]:
        run = await self._client.run(run_id) if run_id else None
        return run.metrics if run else {}


class _Round:
    """One round of questions, a few at a time; after one that nobody answered, the rest is not even asked."""

    def __init__(self) -> None:
        self.answers: dict[Query[object], object] = {}
        self.failures: dict[Query[object], TrackingFailure] = {}
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._away: TrackingFailure | None = None

    async def ask(self, some: Sequence[Query[object]], ask: Ask) -> None:
        async with self._slots:
            if self._away is not None:
                self.failures |= dict.fromkeys(some, self._away)
                return
            try:
                self.answers |= await ask()
            except TrackingFailure as failure:
                self.failures |= dict.fromkeys(some, failure)
                answered = (
                    failure.answered if isinstance(failure, TrackingUnavailable) else isinstance(failure, TrackingError)
                )
                if not answered:
                    self._away = failure


def _registered_model(name: str, model: wire.RegisteredModel | None) -> facts.RegisteredModel:
    if model is None:
        return facts.RegisteredModel(name, exists=False)
    aliases = {entry.alias: entry.version for entry in model.aliases}
    return facts.RegisteredModel(name, exists=True, aliases=aliases, tags=wire.pairs(model.tags))


def _version(version: wire.ModelVersion, metrics: Mapping[str, float]) -> facts.ModelVersion:
    return facts.ModelVersion(
        name=version.name,
        version=version.version,
        run_id=version.run_id,
        source=version.source,
        status=version.status,
        tags=wire.pairs(version.tags),
        metrics=metrics,
    )
