"""Step: the gate. A model passes when every threshold says yes; anything that is not a clear yes is a no.

Rules, closed on every edge (MLflow's own ``MetricThreshold`` lets NaN pass; TFX's Evaluator, steps 2 and 4, does not):
bounds are inclusive; a metric that was not logged, is NaN or infinite does not pass; a gate without thresholds has no
verdict, and nothing is promoted (tfx#5148: users forget them).
"""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal

from tandem.api import names
from tandem.api.conditions import Failed, Outcome, Passed, Undecided
from tandem.api.facts import TrackedRun, Unavailable
from tandem.api.gate import decimal
from tandem.api.plan import EndRun, TagRun
from tandem.api.trainingjob import GateVerdict, MetricThreshold
from tandem.training.case import Case, refused, unavailable
from tandem.training.findings import Findings
from tandem.training.provenance import lineage_tags, with_recorded_data
from tandem.training.track import tracked_run

BLESSED = "Blessed"

# MLflow's SQL store keeps an infinity as the largest double (measured on 3.17.2).
_LARGEST = 1.797e308

# A script may log thousands; MLflow keeps them all.
METRICS_LIMIT = 100


def judge(case: Case, found: Findings) -> tuple[Outcome | None, Findings]:
    recorded = case.recorded(BLESSED, found.run)
    if recorded and not rules_differ(case):
        return Passed(recorded.reason, recorded.message), found
    tracked = tracked_run(case, found.run, "trained")
    match tracked:
        case None:
            return None, found
        case Unavailable():
            return unavailable(tracked, "the gate needs the run's metrics"), found
    if tracked.status == "DELETED":
        told = f"MLflow run {found.run.mlflow_run_id} was deleted: there is nothing to judge; ask for another run"
        return Failed("RunDeleted", told), found
    if tracked.status == "RUNNING":  # the script left it open; MLflow lists its models when it is closed
        refusal = case.draft.act(EndRun(tracked.run_id, "FINISHED"))
        return (refused(refusal, "the run could not be closed in MLflow") if refusal else None), found
    found = replace(
        with_recorded_data(found, case.spec, tracked),
        tracked=tracked,
        metrics=_shown(case, tracked),
        gate=tuple(verdict(threshold, tracked) for threshold in case.spec.gate.metrics),
    )
    tags = {**lineage_tags(found), names.TAG_TRAINED: "true"}
    missing = {name: value for name, value in tags.items() if tracked.tags.get(name) != value}
    if missing:
        refusal = case.draft.act(TagRun(tracked.run_id, missing))
        return (refused(refusal, "the run's lineage could not be written to MLflow") if refusal else None), found
    return outcome(found.gate, tracked), found


def rules_differ(case: Case) -> bool:
    """Whether the recorded verdicts were given by other rules than the gate has now."""
    told = {(verdict.metric, verdict.rule) for verdict in case.status.gate}
    return told != {(threshold.name, describe(threshold)) for threshold in case.spec.gate.metrics}


def outcome(verdicts: tuple[GateVerdict, ...], tracked: TrackedRun) -> Outcome:
    if not verdicts:
        return Undecided("NoThresholds", "spec.gate.metrics is empty: there is no verdict, and nothing is promoted")
    failures = [verdict for verdict in verdicts if not verdict.passed]
    if not failures:
        return Passed("ThresholdsMet", "; ".join(f"{v.metric} {v.value} {v.rule}" for v in verdicts))
    if all(verdict.value for verdict in failures):
        return Failed("ThresholdNotMet", "; ".join(verdict.message for verdict in failures))
    logged = ", ".join(sorted(tracked.metrics)) or "none"
    told = "; ".join(verdict.message for verdict in failures)
    advice = "log it, or change spec.gate, which judges this run again"
    return Failed("MetricNotFound", f"{told}; metrics that the run logged: {logged}; {advice}")


def verdict(threshold: MetricThreshold, tracked: TrackedRun) -> GateVerdict:
    """The verdict on one threshold. ``min`` and ``max`` together are one rule: both must hold."""
    rule = describe(threshold)
    value = tracked.metrics.get(threshold.name)
    if value is None:
        return GateVerdict(metric=threshold.name, rule=rule, message=f"{threshold.name} was never logged")
    shown = number(value)
    if math.isnan(value) or abs(value) >= _LARGEST:
        message = f"{threshold.name} is {shown}, which no threshold lets through"
        return GateVerdict(metric=threshold.name, rule=rule, value=shown, message=message)
    exact = Decimal(repr(value))
    passed = (threshold.min is None or exact >= decimal(threshold.min)) and (
        threshold.max is None or exact <= decimal(threshold.max)
    )
    passed = passed and (threshold.min is not None or threshold.max is not None)
    return GateVerdict(
        metric=threshold.name,
        rule=rule,
        value=shown,
        passed=passed,
        message="" if passed else f"{threshold.name} is {shown}, the gate wants {rule}",
    )


def describe(threshold: MetricThreshold) -> str:
    bounds = [f"≥ {threshold.min}"] if threshold.min is not None else []
    bounds += [f"≤ {threshold.max}"] if threshold.max is not None else []
    return " and ".join(bounds) or "a min or a max"


def _shown(case: Case, tracked: TrackedRun) -> tuple[tuple[str, str], ...]:
    """What the status shows of the metrics: those of the gate, and as many others as keep it small."""
    asked = [t.name for t in case.spec.gate.metrics if t.name in tracked.metrics]
    chosen = list(dict.fromkeys([*asked, *sorted(tracked.metrics)]))[:METRICS_LIMIT]
    return tuple((name, number(tracked.metrics[name])) for name in sorted(chosen))


def number(value: float) -> str:
    """A metric as status shows it: exact as a double prints, NaN and infinities by name."""
    if math.isnan(value):
        return "NaN"
    if abs(value) >= _LARGEST:
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)
