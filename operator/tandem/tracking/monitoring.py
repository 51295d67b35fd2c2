"""What monitoring logged, for any number of models at the price of one search (docs/design/monitoring-runs.md).

A monitor logs its points into one run per model version, each batch together with ``eval_ts``: when it was evaluated,
in seconds since the epoch. So one search, ``eval_ts > T``, finds the runs that changed since the search before, and
only their points are read. What such a watermark cannot see (clocks further apart than OVERLAP, runs that were
deleted) is found by a sweep without it, every SWEEP_EVERY.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from tandem.api import names
from tandem.api.facts import MetricPoint, MonitoredModel, MonitorOf
from tandem.tracking import wire
from tandem.tracking.client import POINTS_PER_RUN, RUNS_PER_HISTORY, MlflowClient

OVERLAP: Final = timedelta(minutes=1)
SWEEP_EVERY: Final = timedelta(minutes=15)
FORGET_AFTER: Final = timedelta(hours=1)
# Hourly windows: six weeks of them. A thousand models with three metrics of so many points are some 300 MB.
POINTS_KEPT: Final = 1000
# A window may be logged again when more of its labels are there: so many steps (minutes) back are read again.
REVISED_STEPS: Final = 2 * 24 * 60

_AsOf: TypeAlias = tuple[float, int, int]

_IS_MONITOR: Final = f"tags.`{names.TAG_ROLE}` = '{names.ROLE_MONITOR}'"


@dataclass(frozen=True, slots=True)
class _Run:
    """A monitoring run as the last search showed it."""

    run_id: str
    age: tuple[int, str]
    evaluated_at: float
    last: Mapping[str, wire.Metric]  # of each metric the point with the highest step

    def as_of(self, metric: str) -> _AsOf:
        """Changes with every evaluation; two of one second differ in their windows."""
        last = self.last[metric]
        return self.evaluated_at, last.step, last.timestamp


@dataclass(slots=True)
class _Series:
    """The points of one metric of one run, and as of which evaluation."""

    as_of: _AsOf
    points: dict[int, float] = field(default_factory=dict)
    ordered: tuple[MetricPoint, ...] = ()


class Monitors:
    """Answers :class:`MonitorOf`; asking again costs one request while nothing was evaluated."""

    def __init__(self, client: MlflowClient, now: Callable[[], datetime], *, points_kept: int = POINTS_KEPT) -> None:
        self._client = client
        self._now = now
        self._points_kept = points_kept
        self._lock = asyncio.Lock()
        self._experiment_id: str | None = None
        self._searched_at: datetime | None = None
        self._swept_at: datetime | None = None
        self._runs: dict[tuple[str, str], _Run] = {}
        self._series: dict[tuple[str, str], _Series] = {}
        self._asked_at: dict[str, datetime] = {}

    async def answer(self, queries: Collection[MonitorOf]) -> dict[MonitorOf, MonitoredModel | None]:
        """Raises the failures of :class:`MlflowClient`; what was read before stays read."""
        async with self._lock:
            now = self._now()
            await self._discover(now)
            await self._read(queries)
            self._forget(queries, now)
            return {query: self._monitored(query) for query in queries}

    async def _discover(self, now: datetime) -> None:
        sweep = self._searched_at is None or self._swept_at is None or now - self._swept_at >= SWEEP_EVERY
        if sweep or self._experiment_id is None:
            experiment = await self._client.experiment_named(names.MONITORING_EXPERIMENT)
            if experiment is None or experiment.deleted:
                self._experiment_id, self._swept_at, self._runs = None, None, {}
                return
            self._experiment_id = experiment.experiment_id
        changed = ""
        if not sweep and self._searched_at is not None:
            changed = f" AND metrics.{names.EVALUATED_AT_METRIC} > {(self._searched_at - OVERLAP).timestamp():.0f}"
        found = await self._client.search_runs(self._experiment_id, _IS_MONITOR + changed)
        if sweep:
            self._runs, self._swept_at = {}, now
        self._searched_at = now
        for run in found:
            self._index(run)

    def _index(self, found: wire.Run) -> None:
        tags, metrics = found.tags, found.metrics
        evaluated_at = metrics.get(names.EVALUATED_AT_METRIC, math.nan)
        if names.TAG_MODEL not in tags or names.TAG_MODEL_VERSION not in tags or not math.isfinite(evaluated_at):
            return  # nothing was evaluated yet
        model = (tags[names.TAG_MODEL], tags[names.TAG_MODEL_VERSION])
        last = {metric.key: metric for metric in found.data.metrics}
        known = self._runs.get(model)
        if known is None or found.age <= known.age:
            self._runs[model] = _Run(found.info.run_id, found.age, evaluated_at, last)

    async def _read(self, queries: Collection[MonitorOf]) -> None:
        stale: dict[str, dict[str, _Run]] = {}
        for query in queries:
            run = self._runs.get((query.model, query.version))
            if run is None:
                continue
            for metric in query.metrics:
                series = self._series.get((run.run_id, metric))
                if metric in run.last and (series is None or series.as_of != run.as_of(metric)):
                    stale.setdefault(metric, {})[run.run_id] = run
        for metric, runs in stale.items():
            # Runs of which nothing was read yet go together: the first step asked for is that of the whole request.
            in_order = sorted(runs.values(), key=lambda run: self._first_step(run, metric))
            for some in _in_groups(in_order, RUNS_PER_HISTORY):
                await self._read_metric(metric, some)

    async def _read_metric(self, metric: str, runs: Sequence[_Run]) -> None:
        start = min(self._first_step(run, metric) for run in runs)
        end = max(run.last[metric].step for run in runs)
        rows: dict[str, list[wire.Metric]] = {run.run_id: [] for run in runs}
        for row in await self._client.metric_history(list(rows), metric, start_step=start, end_step=end):
            rows[row.run_id].append(row)
        for run in runs:
            complete = rows[run.run_id]
            if len(complete) >= POINTS_PER_RUN:
                complete = await self._newest(run, metric, start, end)
            self._keep(run, metric, complete)

    async def _newest(self, run: _Run, metric: str, start: int, end: int) -> list[wire.Metric]:
        """At least the newest points that are kept: as many as there are, none left out.

        The server thins out what is too long for one answer, evenly; so the steps are halved until nothing is.
        """
        rows = await self._client.metric_history([run.run_id], metric, start_step=start, end_step=end)
        if len(rows) < POINTS_PER_RUN or start == end:
            return rows
        middle = (start + end) // 2
        newer = await self._newest(run, metric, middle + 1, end)
        if len(newer) >= self._points_kept:
            return newer
        return await self._newest(run, metric, start, middle) + newer

    def _first_step(self, run: _Run, metric: str) -> int:
        series = self._series.get((run.run_id, metric))
        return max(0, series.ordered[-1].step - REVISED_STEPS) if series and series.ordered else 0

    def _keep(self, run: _Run, metric: str, rows: Sequence[wire.Metric]) -> None:
        series = self._series.setdefault((run.run_id, metric), _Series(run.as_of(metric)))
        series.points |= {row.step: row.number for row in rows}  # of one step, the value with the latest timestamp
        kept = sorted(series.points)[-self._points_kept :]
        series.points = {step: series.points[step] for step in kept}
        series.ordered = tuple(MetricPoint(step, value) for step, value in series.points.items())
        series.as_of = run.as_of(metric)

    def _monitored(self, query: MonitorOf) -> MonitoredModel | None:
        run = self._runs.get((query.model, query.version))
        if run is None:
            return None
        found = {metric: self._series.get((run.run_id, metric)) for metric in query.metrics}
        return MonitoredModel(run.run_id, {metric: series.ordered for metric, series in found.items() if series})

    def _forget(self, queries: Collection[MonitorOf], now: datetime) -> None:
        for query in queries:
            if run := self._runs.get((query.model, query.version)):
                self._asked_at[run.run_id] = now
        gone = {run_id for run_id, asked_at in self._asked_at.items() if now - asked_at > FORGET_AFTER}
        for run_id in gone:
            del self._asked_at[run_id]
        if gone:
            self._series = {key: series for key, series in self._series.items() if key[0] not in gone}


def _in_groups(runs: Sequence[_Run], size: int) -> Iterator[Sequence[_Run]]:
    for start in range(0, len(runs), size):
        yield runs[start : start + size]
