"""What the registry and the monitoring say about the version that serves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tandem.api.facts import Answer, Facts, ModelNamed, MonitoredModel, MonitorOf, Query, Unavailable, VersionNumbered
from tandem.api.plan import Draft
from tandem.api.trainingjob import DriftPolicy, DriftSignal
from tandem.drift.detectors import Baseline, Missing, exact, is_number, text_of


@dataclass(frozen=True, slots=True)
class Champion:
    """The version that serves. ``metrics``: of the run that made it. ``monitor``: None while nothing monitors it."""

    model: str
    version: str
    metrics: Mapping[str, float]
    monitor: MonitoredModel | None

    def baseline(self, signal: DriftSignal) -> Baseline:
        """The champion's own value of the signal's metric, as logged by the run that made it."""
        if signal.change is None:
            return Missing("the signal has no change")
        value = self.metrics.get(signal.metric)
        if value is None:
            made = f"the run that made {self.model} version {self.version}"
            return Missing(f"{made} logged no {signal.metric}; log it, or use min or max")
        if not is_number(value):
            return Missing(f"{signal.metric} of {self.model} version {self.version} is {text_of(value)}")
        return exact(value)


@dataclass(frozen=True, slots=True)
class Absent:
    """The registry answered: no version has the alias."""

    why: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """The champion cannot be judged now; why, or '' while the first answers are on their way."""

    why: str = ""


def look(draft: Draft, facts: Facts, model: str, policy: DriftPolicy) -> Champion | Absent | Unseen:
    """The champion as MLflow tells, or why it cannot be told. Asks only what the policy needs."""
    registered = _ask(draft, facts, ModelNamed(model))
    if isinstance(registered, Unseen):
        return registered
    version = registered.aliases.get(policy.alias) if registered.exists else None
    if version is None:
        return Absent(
            f"waiting for a version of {model} with alias {policy.alias}; to set it by hand: "
            f"MlflowClient().set_registered_model_alias({model!r}, {policy.alias!r}, <version>)"
        )
    metrics: Mapping[str, float] = {}
    if any(signal.change is not None for signal in policy.signals):
        made = _ask(draft, facts, VersionNumbered(model, version))
        if isinstance(made, Unseen):
            return made
        metrics = made.metrics if made is not None else {}
    monitor = _ask(draft, facts, MonitorOf(model, version, watched(policy)))
    if isinstance(monitor, Unseen):
        return monitor
    return Champion(model, version, metrics, monitor)


def watched(policy: DriftPolicy) -> tuple[str, ...]:
    """The names of the metrics to read, sample counts too; sorted, so that equal policies ask one question."""
    names = {signal.metric for signal in policy.signals}
    names |= {signal.sample_count_metric for signal in policy.signals if signal.sample_count_metric}
    return tuple(sorted(names))


def _ask(draft: Draft, facts: Facts, query: Query[Answer]) -> Answer | Unseen:
    answer = draft.read(query)
    if isinstance(answer, Unavailable):
        since = answer.since.strftime("%Y-%m-%d %H:%M:%SZ")
        why = f"{answer.reason}: {answer.message}"
        return Unseen(f"MLflow cannot be read since {since}, the last known state stays ({why})")
    if not facts.answered(query):
        return Unseen()
    return answer  # type: ignore[return-value]  # a None that was answered is an Answer
