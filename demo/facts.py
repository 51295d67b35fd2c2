"""What each chapter found out: typed, so that tests can assert what the screen only shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from demo.visitor import Tally
from tandem.api import names
from tandem.api.appdeployment import AppDeployment
from tandem.api.trainingjob import TrainingJob
from tandem.api.trainingjob_status import RetrainRequest


@dataclass(frozen=True)
class Prediction:
    """One answer of the model server. ``headers``: names in lower case."""

    said: tuple[str, ...]
    headers: Mapping[str, str]

    @property
    def model(self) -> str:
        return self.headers.get(names.HEADER_MODEL_NAME.lower(), "")

    @property
    def version(self) -> str:
        return self.headers.get(names.HEADER_MODEL_VERSION.lower(), "")

    @property
    def run_id(self) -> str:
        return self.headers.get(names.HEADER_RUN_ID.lower(), "")


@dataclass(frozen=True)
class Trained:
    """``aliases``: of the registered model, when training was over."""

    job: TrainingJob
    aliases: Mapping[str, str]

    @property
    def version(self) -> str:
        return self.job.status.model.version if self.job.status.model else ""


@dataclass(frozen=True)
class Served:
    app: AppDeployment
    aliases: Mapping[str, str]
    prediction: Prediction

    @property
    def version(self) -> str:
        return served_version(self.app)


@dataclass(frozen=True)
class Watched:
    """What the drift controller said; ``job``: when it said it."""

    job: TrainingJob

    @property
    def accuracy(self) -> str:
        drift = self.job.status.drift
        return drift.signals[0].value if drift and drift.signals else ""


@dataclass(frozen=True)
class Drifted:
    """``alarm``: the moment in which a run was requested; ``trained``: the run that answered it."""

    alarm: Watched
    request: RetrainRequest
    trained: Trained


@dataclass(frozen=True)
class Released:
    """``refused``: the state in which the broken version was set aside."""

    first: AppDeployment
    second: AppDeployment
    refused: AppDeployment


@dataclass(frozen=True)
class Link:
    """One step of a lineage: ``MLflow run  3b92… ``."""

    what: str
    value: str


@dataclass(frozen=True)
class Lineage:
    """From a prediction back to what made it; ``tags``: of the registered version."""

    prediction: Prediction
    tags: Mapping[str, str]
    links: tuple[Link, ...]


@dataclass(frozen=True)
class Story:
    """Everything that happened, for the summary. ``visitors``: app → what its visitor counted."""

    trained: Trained
    served: Served
    healthy: Watched
    drifted: Drifted
    replaced: Served
    recovered: Watched
    released: Released
    lineage: Lineage
    visitors: Mapping[str, Tally] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        return sum(tally.failures for tally in self.visitors.values())


def served_version(app: AppDeployment) -> str:
    """The model version that has the traffic; '' where none has."""
    stable = app.status.stable
    return stable.model.version if stable and stable.model else ""
