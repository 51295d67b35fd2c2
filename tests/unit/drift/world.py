"""A small world for the drift plan: a TrainingJob, an MLflow that answers, and a clock. No part of it is Tandem's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tandem.api.facts import (
    Facts,
    MetricPoint,
    ModelNamed,
    ModelVersion,
    MonitoredModel,
    MonitorOf,
    Query,
    RegisteredModel,
    Unavailable,
    VersionNumbered,
)
from tandem.api.plan import Observed, Plan
from tandem.api.trainingjob import TrainingJob
from tandem.api.trainingjob_status import DriftStatus
from tandem.drift.champion import watched
from tandem.drift.plan import DriftSettings, plan

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
HOUR = 60  # steps are minutes
FIRST = int(NOW.timestamp()) // 60
GOOD, BAD = 0.91, 0.80

Points = tuple[tuple[int, float], ...]


def windows(*values: float, start: int = FIRST) -> Points:
    """Hourly windows of one metric."""
    return tuple((start + HOUR * place, value) for place, value in enumerate(values))


def signal(**fields: Any) -> dict[str, Any]:
    """A signal as a user writes it; by default accuracy must be at least 0.85."""
    bounds = {} if fields.keys() & {"min", "max", "change"} else {"min": "0.85"}
    return {"metric": "accuracy", **bounds, **fields}


@dataclass(frozen=True)
class World:
    """``versions``: the metrics of the run that made each. ``monitors``: what monitoring logged for each."""

    signals: tuple[dict[str, Any], ...] = (signal(),)
    champion: str | None = "1"
    versions: Mapping[str, Mapping[str, float]] = field(default_factory=lambda: {"1": {"accuracy": 0.93}})
    monitors: Mapping[str, Mapping[str, Points] | None] = field(default_factory=lambda: {"1": {}})
    metadata: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    status: Mapping[str, Any] = field(default_factory=dict)
    cooldown: str = "1h"
    unavailable: Mapping[type[Query[Any]], Unavailable] = field(default_factory=dict)
    unanswered: tuple[type[Query[Any]], ...] = ()

    @property
    def job(self) -> TrainingJob:
        drift = {"signals": list(self.signals)} if self.signals else None
        spec = {
            "steps": [{"name": "train", "command": ["python", "train.py"]}],
            "model": {"name": "iris"},
            "retrain": {"cooldown": self.cooldown, **({"drift": drift} if drift else {})},
        }
        metadata = {"name": "iris", "namespace": "ml", "uid": "uid-1", "generation": 1, **self.metadata}
        return msgspec.convert(
            {"metadata": metadata, "spec": {**spec, **self.spec}, "status": self.status}, TrainingJob
        )

    @property
    def facts(self) -> Facts:
        policy = self.job.spec.retrain.drift
        names = watched(policy) if policy else ()
        answers: dict[Query[object], object] = {
            ModelNamed("iris"): RegisteredModel(
                "iris", exists=True, aliases={"champion": self.champion} if self.champion else {}
            )
        }
        for version, metrics in self.versions.items():
            answers[VersionNumbered("iris", version)] = ModelVersion(
                "iris", version, f"run-{version}", "", "READY", metrics=metrics
            )
        for version, logged in self.monitors.items():
            answers[MonitorOf("iris", version, names)] = _monitored(version, logged) if logged is not None else None
        return Facts(
            {
                query: self.unavailable.get(type(query), answer)
                for query, answer in answers.items()
                if type(query) not in self.unanswered
            }
        )

    def plan(self, now: datetime = NOW) -> Plan:
        return plan(DriftSettings(), Observed(self.job, None, self.facts), now)

    def after(self, now: datetime = NOW) -> World:
        """The world once the plan was carried out: its status went to the API server and came back as JSON."""
        made = self.plan(now)
        return self if made.status is None else replace(self, status={**self.status, **made.status})

    def settled(self, now: datetime = NOW) -> World:
        """Like ``after``, and planned again without any difference: at rest nothing is written."""
        settled = self.after(now)
        assert settled.after(now).status == settled.status, "the plan moves at rest"
        assert settled.plan(now).events == (), "the plan repeats its Events at rest"
        return settled

    @property
    def drift(self) -> DriftStatus:
        found = self.job.status.drift
        assert found is not None, "nothing was said about drift"
        return found

    def logging(self, *values: float, metric: str = "accuracy", version: str = "1", start: int | None = None) -> World:
        """More windows, after those that are there."""
        logged = dict(self.monitors.get(version) or {})
        there = logged.get(metric, ())
        begin = start if start is not None else (there[-1][0] + HOUR if there else FIRST)
        logged[metric] = there + windows(*values, start=begin)
        return replace(self, monitors={**self.monitors, version: logged})

    def with_run(self, number: int, trigger: Mapping[str, str], completed: datetime | None = None) -> World:
        """The operator started a run, and ended it if ``completed``."""
        run: dict[str, Any] = {"number": number, "trigger": dict(trigger), "specDigest": "d"}
        if completed is not None:
            run["completionTime"] = completed.isoformat()
        return replace(self, status={**self.status, "run": run})

    def with_answer(self, completed: datetime | None = None) -> World:
        """The operator started the run that the open request asks for."""
        request = self.drift.retrain_request
        assert request is not None, "no request is open"
        return self.with_run(2, {"type": "Drift", "id": request.id}, completed)

    def promoting(self, version: str) -> World:
        known = {version: {"accuracy": 0.93}, **self.versions}
        return replace(self, champion=version, versions=known, monitors={version: {}, **self.monitors})


def alarmed(**fields: Any) -> World:
    """Three breaches in a row, carried out: the request is open."""
    return World(**fields).logging(BAD, BAD, BAD).settled()


def down(since: datetime = NOW) -> Unavailable:
    return Unavailable(since, "TrackingUnavailable", "connection refused")


def hours(number: float) -> timedelta:
    return timedelta(hours=number)


def _monitored(version: str, logged: Mapping[str, Points]) -> MonitoredModel:
    return MonitoredModel(
        f"monitor-{version}",
        {metric: tuple(MetricPoint(step, value) for step, value in points) for metric, points in logged.items()},
    )
