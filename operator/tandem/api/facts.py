"""Facts from outside the cluster, and the questions that ask for them.

A plan never calls out. It *reads* facts; a source answers the question in its own time, keeps the answer fresh and
wakes the resource when it changes. A question is a value, so two resources that ask the same share one answer.

``after`` makes a question new: the answer to ``RunNumbered(…, after="trained")`` was fetched after somebody had seen
that run's Job complete. So the metrics that a gate judges are never those of a moment too early, and no clock of one
machine is compared with the clock of another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, Literal, TypeAlias, TypeVar

Answer = TypeVar("Answer", covariant=True)


@dataclass(frozen=True, slots=True)
class Query(Generic[Answer]):
    """A question to a source. Subclasses say what it asks and what type answers it."""


# New answers to questions, told by whoever wrote what they depend on: they need not be asked again.
Told: TypeAlias = Mapping["Query[object]", object]


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The source could not answer: an observation too (unknown since when, and why)."""

    since: datetime
    reason: str  # CamelCase: TrackingUnavailable, MLflowHostRejected …
    message: str


class Facts:
    """The answers that a plan may read: a view of the store at one moment."""

    def __init__(self, answers: Mapping[Query[object], object | Unavailable] | None = None) -> None:
        self._answers = answers or {}

    def read(self, query: Query[Answer]) -> Answer | Unavailable | None:
        """The answer; ``Unavailable``; or None while nobody has answered yet."""
        return self._answers.get(query)  # type: ignore[return-value]  # a Query[A] is only ever answered by an A

    def answered(self, query: Query[object]) -> bool:
        """Whether somebody has answered; tells "there is none" (a None that was answered) from "not known yet"."""
        return query in self._answers


# --- MLflow runs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LoggedModel:
    """An MLflow 3 LoggedModel (``mlflow.<flavor>.log_model``)."""

    model_id: str
    name: str
    status: str  # READY, PENDING, FAILED
    created_at: datetime
    artifact_uri: str


DELETED: Final = "DELETED"  # no word of MLflow's: of a run that somebody deleted


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """One MLflow run that Tandem made for one run of a TrainingJob."""

    run_id: str
    experiment_id: str
    number: int  # of the TrainingJob's runs: 1, 2, 3 …
    status: str  # MLflow's words: RUNNING, FINISHED, FAILED, KILLED
    started_at: datetime
    metrics: Mapping[str, float] = field(default_factory=dict)  # latest value of each; NaN and infinities kept
    tags: Mapping[str, str] = field(default_factory=dict)
    models: tuple[LoggedModel, ...] = ()  # oldest first
    metric_times: Mapping[str, int] = field(
        default_factory=dict
    )  # of each, in ms since the epoch: its script's own word
    ended_at: datetime | None = None  # by the clock of whoever ended it last; one that was taken up again keeps it
    made: bool = False  # by this process, just now: then no Job of it can have been made before


# Whoever has lost a status finds all of it again: as many as spec.historyLimit allows, and the run that goes on.
LATEST_RUNS: Final = 51


@dataclass(frozen=True, slots=True)
class RunsOf(Query[tuple[TrackedRun, ...]]):
    """The latest MLflow runs of one TrainingJob (by its uid), one of each number, lowest first, without their models.

    At most ``LATEST_RUNS``: what trains every day for years must not cost more with each of them. ``passed``: of those
    that passed the gate.
    """

    uid: str
    experiment: str
    passed: bool = False


@dataclass(frozen=True, slots=True)
class RunNumbered(Query[tuple[TrackedRun, ...]]):
    """One MLflow run of a TrainingJob by its number, with the models it logged if it has ended; empty if there is none.

    Where there are several of one number, the one that was made first.
    """

    uid: str
    experiment: str
    number: int
    after: str = ""


@dataclass(frozen=True, slots=True)
class RunNamed(Query[TrackedRun | None]):
    """One MLflow run by its id, without its models, whoever made it; status DELETED for one that was deleted.

    Answered None when MLflow knows no such run. Asked once: what is on record of a run that has ended stays.
    """

    run_id: str


@dataclass(frozen=True, slots=True)
class MetricsSince(Query[Mapping[str, float]]):
    """Of these metrics of one run, what was logged since a moment: the value of the highest step, as MLflow counts.

    One that was not logged since is left out. Asked once, of a run that has ended.
    """

    run_id: str
    metrics: tuple[str, ...]
    since: int  # in ms since the epoch


@dataclass(frozen=True, slots=True)
class LoggedProgress:
    """How far a run has come by what it logged; system metrics do not count: a process that hangs has them too."""

    percentage: int | None = None  # the metric `progress`, 0 to 100
    step: int | None = None  # the highest step of any metric
    last_metric_at: datetime | None = None  # by the clock of whoever logged it


@dataclass(frozen=True, slots=True)
class ProgressOf(Query[LoggedProgress]):
    """The progress of one MLflow run that goes on; polled, one request for each."""

    run_id: str
    after: str = ""


# --- MLflow model registry -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelVersion:
    name: str
    version: str
    run_id: str
    source: str
    status: str  # READY, PENDING_REGISTRATION, FAILED_REGISTRATION
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)  # of the run that made it


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model and its aliases; ``exists`` is False when the registry does not know the name."""

    name: str
    exists: bool
    aliases: Mapping[str, str] = field(default_factory=dict)  # alias → version
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ModelNamed(Query[RegisteredModel]):
    """A registered model by name; polled, one request for all names together."""

    name: str


@dataclass(frozen=True, slots=True)
class VersionNumbered(Query[ModelVersion | None]):
    """One version of a registered model; answered None when there is no such version."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class VersionsFrom(Query[tuple[ModelVersion, ...]]):
    """The versions of one registered model that were made from one MLflow run."""

    name: str
    run_id: str
    after: str = ""


@dataclass(frozen=True, slots=True)
class Promotion:
    """An entry of the promotion ledger: an alias was moved, or was about to be."""

    entry_id: str  # of the MLflow run that is the entry
    model: str
    alias: str
    previous: str  # the version that the alias named before; empty when it named none, or nobody knows any more
    version: str
    at: datetime
    actor: str  # TrainingJob ml/iris
    uid: str  # of that resource
    number: int  # of its run
    state: Literal["Open", "Done", "Abandoned"]  # Open: written ahead of the move, which was not seen to be done
    reason: str = ""
    approved_by: str = ""


@dataclass(frozen=True, slots=True)
class PromotionsOf(Query[tuple[Promotion, ...]]):
    """The latest promotions of a model, and all that one run of one resource made; latest first."""

    model: str
    uid: str
    number: int


# --- Monitoring ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MetricPoint:
    step: int  # start of the window, in minutes since the epoch
    value: float


@dataclass(frozen=True, slots=True)
class MonitoredModel:
    """What monitoring logged for one version of a model: each metric's points, lowest step first."""

    run_id: str
    points: Mapping[str, tuple[MetricPoint, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MonitorOf(Query[MonitoredModel | None]):
    """The monitoring run of one version of a model; None while nothing monitors it. Polled, one search for all."""

    model: str
    version: str
    metrics: tuple[str, ...]


# --- Configuration ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ConfigMapContent:
    """What a ConfigMap holds, by its digest alone (:mod:`tandem.api.configuration`): nothing else is kept of it."""

    digest: str


@dataclass(frozen=True, slots=True)
class ConfigMapNamed(Query[ConfigMapContent | None]):
    """A ConfigMap that a resource refers to, in that resource's namespace; None while there is none. Polled."""

    namespace: str
    name: str
