"""What every step of the plan may look at: the observed world, the settings, the hour, and the draft it adds to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from tandem.api.children import Job, Pod
from tandem.api.conditions import Failed, Outcome, Retrying
from tandem.api.facts import Unavailable
from tandem.api.meta import Condition, condition_of
from tandem.api.plan import PREDECESSOR_REMAINS, Draft, Observed, Refusal
from tandem.api.trainingjob import TrainingJob, TrainingJobSpec
from tandem.api.trainingjob_status import RunStatus, TrainingJobStatus

# The condition that tells of a run's MLflow run and Job.
TRAINED: Final = "Trained"
# The condition that tells whether the alias has moved.
PROMOTED: Final = "Promoted"

# Refusals that pass by themselves, and those after which nothing is left to try: what the run made was deleted. Any
# other one needs a person, and says so as a failure (it is retried all the same).
TRANSIENT: Final = frozenset({"TrackingUnavailable", "AliasMoved", "RegistrationPending", PREDECESSOR_REMAINS})
FINAL: Final = frozenset({"RunDeleted", "LoggedModelMissing", "LoggedModelNotReady"})


@dataclass(frozen=True)
class TrainingSettings:
    """What the operator was started with; nothing of it can be set by a resource (no SSRF, no credential theft)."""

    runtime_image: str
    mlflow_uri: str


@dataclass(frozen=True)
class TrainingChildren:
    """The Jobs that this resource controls, and their pods."""

    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()


@dataclass(frozen=True)
class Pins:
    """What a reproduction takes from the run that it repeats, beside what the spec can say."""

    environment: Mapping[str, Mapping[str, str]]  # of each step
    source_digest: str = ""  # of a ConfigMap's files


@dataclass(frozen=True)
class Case:
    """One resource at one moment."""

    settings: TrainingSettings
    observed: Observed[TrainingJob, TrainingChildren]
    now: datetime
    draft: Draft
    pins: Pins | None = None

    @property
    def resource(self) -> TrainingJob:
        return self.observed.resource

    @property
    def spec(self) -> TrainingJobSpec:
        return self.resource.spec

    @property
    def status(self) -> TrainingJobStatus:
        return self.resource.status

    @property
    def experiment(self) -> str:
        meta = self.resource.metadata
        return self.spec.tracking.experiment or f"{meta.namespace}/{meta.name}"

    def recorded(self, type_: str, run: RunStatus) -> Condition | None:
        """The stored condition, if it is True and speaks of this run: what was recorded is never done again."""
        stored = self.status.run
        found = condition_of(self.status.conditions, type_)
        same_run = stored is not None and stored.number == run.number
        return found if same_run and found is not None and found.status == "True" else None


def unavailable(fact: Unavailable, what_for: str) -> Retrying:
    since = fact.since.strftime("%Y-%m-%d %H:%M:%SZ")
    return Retrying(fact.reason, f"{what_for}: waiting for MLflow since {since}: {fact.message}")


def refused(refusal: Refusal, what_for: str) -> Outcome:
    message = f"{what_for}: {refusal.message}"
    return (
        Retrying(refusal.reason, message)
        if refusal.reason in TRANSIENT
        else Failed(refusal.reason, message, final=refusal.reason in FINAL)
    )
