"""MLflow's JSON, typed: the fields that Tandem reads of what the REST API answers (MLflow 3.17).

Times are milliseconds since the epoch; steps of monitoring metrics are minutes since the epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from tandem.api.facts import LoggedProgress

ENDED: Final = frozenset({"FINISHED", "FAILED", "KILLED"})

PROGRESS_METRIC: Final = "progress"  # what a step may log to tell how far it is, in per cent
_FIRST: Final = datetime.min.replace(tzinfo=UTC).timestamp()
_LAST: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
_SYSTEM: Final = "system/"  # mlflow.enable_system_metrics_logging(): a thread of its own, that hangs with nobody

# MLflow's SQL store cannot hold an infinity: it keeps the largest float instead, and answers that.
_LARGEST: Final = 1.7976931348623157e308


class Wire(msgspec.Struct, frozen=True):
    """Base of every answer: unknown fields are ignored, so that a newer server does not break an older operator."""


class Pair(Wire, frozen=True):
    """A tag or a parameter."""

    key: str
    value: str = ""


class Metric(Wire, frozen=True):
    """A point of a metric; ``run_id`` is there in histories of several runs only."""

    key: str
    value: float | Literal["NaN", "Infinity", "-Infinity"] = 0.0
    timestamp: int = 0
    step: int = 0
    run_id: str = ""

    @property
    def number(self) -> float:
        """NaN comes as the string "NaN", an infinity as the largest float (measured, 3.17.2)."""
        value = float(self.value)
        return math.copysign(math.inf, value) if abs(value) >= _LARGEST else value


class RunInfo(Wire, frozen=True):
    run_id: str
    experiment_id: str = ""
    status: str = "RUNNING"
    start_time: int = 0
    end_time: int = 0
    lifecycle_stage: str = "active"


class RunData(Wire, frozen=True):
    metrics: tuple[Metric, ...] = ()
    params: tuple[Pair, ...] = ()
    tags: tuple[Pair, ...] = ()


class Run(Wire, frozen=True):
    info: RunInfo
    data: RunData = RunData()

    @property
    def age(self) -> tuple[int, str]:
        """Sorts the older first. Of two runs that claim the same number, reader and writer both take the older."""
        return self.info.start_time, self.info.run_id

    @property
    def deleted(self) -> bool:
        return self.info.lifecycle_stage == "deleted"

    @property
    def ended(self) -> bool:
        return self.info.status in ENDED

    @property
    def tags(self) -> dict[str, str]:
        return pairs(self.data.tags)

    @property
    def metrics(self) -> dict[str, float]:
        return {metric.key: metric.number for metric in self.data.metrics}


class Experiment(Wire, frozen=True):
    experiment_id: str
    name: str = ""
    lifecycle_stage: str = "active"

    @property
    def deleted(self) -> bool:
        return self.lifecycle_stage == "deleted"


class LoggedModelInfo(Wire, frozen=True):
    model_id: str
    name: str = ""
    creation_timestamp_ms: int = 0
    artifact_uri: str = ""
    status: str = ""
    source_run_id: str = ""


class LoggedModel(Wire, frozen=True):
    """MLflow 3's LoggedModel. Its own metrics are not read: a NaN is answered there as 0.0 (measured, 3.17.2)."""

    info: LoggedModelInfo

    @property
    def status(self) -> str:
        """READY, PENDING, FAILED."""
        return self.info.status.removeprefix("LOGGED_MODEL_").removeprefix("UPLOAD_")


class Alias(Wire, frozen=True):
    alias: str
    version: str


class RegisteredModel(Wire, frozen=True):
    name: str
    aliases: tuple[Alias, ...] = ()
    tags: tuple[Pair, ...] = ()

    def version_of(self, alias: str) -> str | None:
        return next((entry.version for entry in self.aliases if entry.alias == alias), None)


class ModelVersion(Wire, frozen=True):
    name: str
    version: str
    run_id: str = ""
    source: str = ""
    status: str = "READY"
    status_message: str = ""
    tags: tuple[Pair, ...] = ()


class RunAnswer(Wire, frozen=True):
    run: Run


class RunsPage(Wire, frozen=True):
    runs: tuple[Run, ...] = ()
    next_page_token: str = ""


class ExperimentAnswer(Wire, frozen=True):
    experiment: Experiment


class ExperimentCreated(Wire, frozen=True):
    experiment_id: str


class LoggedModelAnswer(Wire, frozen=True):
    model: LoggedModel


class LoggedModelsPage(Wire, frozen=True):
    models: tuple[LoggedModel, ...] = ()
    next_page_token: str = ""


class HistoryAnswer(Wire, frozen=True):
    metrics: tuple[Metric, ...] = ()
    next_page_token: str = ""


class RegisteredModelAnswer(Wire, frozen=True):
    registered_model: RegisteredModel


class RegisteredModelsPage(Wire, frozen=True):
    registered_models: tuple[RegisteredModel, ...] = ()
    next_page_token: str = ""


class ModelVersionAnswer(Wire, frozen=True):
    model_version: ModelVersion


class ModelVersionsPage(Wire, frozen=True):
    model_versions: tuple[ModelVersion, ...] = ()
    next_page_token: str = ""


class Failure(Wire, frozen=True):
    error_code: str
    message: str = ""


def progress(metrics: Iterable[Metric]) -> LoggedProgress:
    own = [metric for metric in metrics if not metric.key.startswith(_SYSTEM)]
    if not own:
        return LoggedProgress()
    told = next((metric.number for metric in own if metric.key == PROGRESS_METRIC), math.nan)
    return LoggedProgress(
        percentage=None if math.isnan(told) else int(min(max(told, 0.0), 100.0)),
        step=max(metric.step for metric in own),
        last_metric_at=moment(max(metric.timestamp for metric in own)),
    )


def pairs(entries: Iterable[Pair]) -> dict[str, str]:
    return {entry.key: entry.value for entry in entries}


def moment(milliseconds: int) -> datetime:
    """MLflow keeps whatever number a client sends: one that no calendar has is the nearest day that there is."""
    return datetime.fromtimestamp(min(max(milliseconds / 1000, _FIRST), _LAST), tz=UTC)
