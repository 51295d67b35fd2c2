"""Snapshots for tests: small, and every value in them is checked somewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from demo.state import ChapterLine, EventLine, Snapshot
from tandem.api.appdeployment import AppDeployment
from tandem.api.trainingjob import TrainingJob

BEGUN = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return BEGUN + timedelta(seconds=seconds)


def ready(status: str, reason: str, message: str = "") -> dict[str, object]:
    return {
        "type": "Ready",
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-05-01T12:00:00Z",
        "observedGeneration": 1,
    }


TRAINING_JOB = {
    "metadata": {"name": "iris", "uid": "u1", "namespace": "demo", "generation": 1},
    "spec": {"steps": [{"name": "train", "command": ["python", "train.py"]}]},
    "status": {
        "phase": "Running",
        "keyFigure": "accuracy=0.9722",
        "conditions": [ready("Unknown", "JobRunning")],
        "run": {"number": 2, "trigger": {"type": "Drift"}, "specDigest": "d", "step": "train"},
        "model": {"name": "iris", "version": "1"},
        "drift": {"signals": [{"metric": "accuracy", "value": "0.71", "breaches": 3, "state": "Drifted"}]},
    },
}
APP = {
    "metadata": {"name": "iris", "uid": "u2", "namespace": "demo", "generation": 1},
    "spec": {"model": {"name": "iris", "alias": "challenger"}},
    "status": {
        "phase": "Progressing",
        "conditions": [ready("Unknown", "RollingOut")],
        "stable": {"revision": 1, "digest": "a", "model": {"name": "iris", "version": "1"}},
        "candidate": {"revision": 2, "digest": "b", "model": {"name": "iris", "version": "2"}},
    },
}
WEB = {
    "metadata": {"name": "web", "uid": "u3", "namespace": "demo", "generation": 3},
    "spec": {"image": "web:broken"},
    "status": {
        "phase": "Degraded",
        "conditions": [ready("False", "ProbeFailed", "revision 3 was not ready within 30 seconds")],
        "stable": {"revision": 2, "digest": "c", "image": "web:2"},
    },
}


def training_job() -> TrainingJob:
    return msgspec.convert(TRAINING_JOB, TrainingJob)


def app(object_: object = APP) -> AppDeployment:
    return msgspec.convert(object_, AppDeployment)


def event(uid: str, seconds: float, reason: str = "TrafficSwitched", message: str = "", **other: object) -> EventLine:
    return EventLine(
        uid=uid,
        at=after(seconds),
        warning=bool(other.get("warning", False)),
        reason=reason,
        about=str(other.get("about", "appdeployment/iris")),
        by=str(other.get("by", "tandem.dev/operator")),
        message=message,
    )


def snapshot(*chapters: ChapterLine) -> Snapshot:
    return Snapshot("tandem", "demo", BEGUN, chapters or (ChapterLine("Train"), ChapterLine("Serve")))
