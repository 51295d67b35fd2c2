"""What one rule of the gate says about one run: pure arithmetic, exact, closed on every edge.

A rule has one of four results. *Passed*: everything that it asks for holds. *Failed*: something does not, or the
metric is missing, NaN or infinite. *Unknown*: nobody can say (too few samples, a baseline of other data, a relative
change of zero). *Skipped*: it asks for nothing but a change, and there is no baseline yet. Only the first is a yes.

Numbers are compared as they print: a metric is the decimal that ``repr`` gives for the double, a bound the decimal
that was written; differences and quotients are fractions of those, so that nothing is rounded on the way to a verdict.
docs/spec/trainingjob.md has the table of edges, tests/unit/training/test_rules.py a case for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from tandem.api.gate import ChangeThreshold, decimal
from tandem.api.trainingjob import Baseline, Gate, MetricThreshold
from tandem.api.trainingjob_status import GateVerdict
from tandem.training.change import (
    FAILED,
    PASSED,
    SKIPPED,
    UNKNOWN,
    BaselineFound,
    Finding,
    Measured,
    NoBaseline,
    OwnVersion,
    Question,
    judge_change,
    sample_count,
)
from tandem.training.intervals import wilson
from tandem.training.numbers import absence, exact, finite, number, short

_NOTHING: Final = NoBaseline("any alias")
_CHAMPION: Final = Baseline()


def verdicts(gate: Gate, metrics: Mapping[str, float], found: BaselineFound = _NOTHING) -> tuple[GateVerdict, ...]:
    """The verdict of every rule, one for each slice that it names."""
    return tuple(
        verdict(threshold, metrics, found, gate.baseline, slice_)
        for threshold in gate.metrics
        for slice_ in threshold.slices or ("",)
    )


def rules_of(gate: Gate) -> set[tuple[str, str]]:
    """What the verdicts of this gate are verdicts on: metric and rule."""
    return {
        (of_slice(threshold.name, slice_), describe(threshold, gate.baseline))
        for threshold in gate.metrics
        for slice_ in threshold.slices or ("",)
    }


def metrics_of(gate: Gate) -> set[str]:
    """Every metric of the run that the rules look at."""
    return {
        of_slice(name, slice_)
        for threshold in gate.metrics
        for name in (
            threshold.name,
            threshold.sample_count_metric,
            threshold.change.baseline_metric if threshold.change else None,
        )
        if name
        for slice_ in threshold.slices or ("",)
    }


def verdict(
    threshold: MetricThreshold,
    metrics: Mapping[str, float],
    found: BaselineFound = _NOTHING,
    baseline: Baseline = _CHAMPION,
    slice_: str = "",
) -> GateVerdict:
    """The verdict of one rule on one slice (on the whole, if it names none)."""
    metric = of_slice(threshold.name, slice_)
    value = metrics.get(metric)
    findings = _findings(threshold, metric, value, metrics, found, baseline, slice_)
    result = next(r for r in (FAILED, UNKNOWN, PASSED, SKIPPED) if any(f.result == r for f in findings))
    # What passed needs no words of its own, but a part that was skipped beside it, or a caveat, is told.
    told = [finding.message for finding in findings if finding.message and result in {finding.result, PASSED}]
    known = threshold.change is not None and isinstance(found, Measured | OwnVersion)
    return GateVerdict(
        metric=metric,
        rule=describe(threshold, baseline),
        result=result,
        value="" if value is None else number(value),
        bound=next((finding.bound for finding in findings if finding.bound), ""),
        baseline=next((finding.baseline for finding in findings if finding.baseline), ""),
        baseline_version=found.version if known and isinstance(found, Measured | OwnVersion) else "",
        passed=result == PASSED,
        message="; ".join(dict.fromkeys(told)),
    )


def describe(threshold: MetricThreshold, baseline: Baseline = _CHAMPION) -> str:
    """The rule in words; other words are another rule, by which a run is judged again."""
    parts = _bounds(threshold)
    if threshold.change is not None:
        parts += _changes(threshold.change, baseline)
    told = " and ".join(parts) or "a min or a max"
    if threshold.confidence is not None:
        told += f", with confidence {threshold.confidence}"
    if threshold.sample_count_metric is not None:
        told += f", {threshold.sample_count_metric} ≥ {max(threshold.min_samples, 1)}"
    return told


def of_slice(metric: str, slice_: str) -> str:
    """The metric of a slice, as a script logs it: accuracy/species:setosa."""
    return f"{metric}/{slice_}" if slice_ else metric


def _findings(
    threshold: MetricThreshold,
    metric: str,
    value: float | None,
    metrics: Mapping[str, float],
    found: BaselineFound,
    baseline: Baseline,
    slice_: str,
) -> list[Finding]:
    if value is None:
        return [Finding(FAILED, f"{metric} {absence(metric, metrics)}")]
    if not finite(value):
        return [Finding(FAILED, f"{metric} is {number(value)}, which no threshold lets through")]
    change = threshold.change
    if change is not None and change.absolute is None and change.relative is None:
        return [Finding(FAILED, f"the rule on {metric} has a change without a bound, which lets nothing through")]
    bounded = threshold.min is not None or threshold.max is not None
    if not bounded and change is None:
        return [Finding(FAILED, f"{metric} is {number(value)}, the gate wants {describe(threshold)}")]
    samples, why = _samples(threshold, metrics, slice_)
    if why:
        return [Finding(UNKNOWN, why)]
    findings = [_value(threshold, metric, value, samples)] if bounded else []
    if change is not None:
        counted = of_slice(threshold.sample_count_metric or "", slice_)
        measured = of_slice(change.baseline_metric, slice_) if change.baseline_metric else ""
        asked = Question(change, metric, value, measured, counted, samples, threshold.confidence)
        findings.append(judge_change(asked, metrics, found, compare_anyway=baseline.on_different_data == "Compare"))
    return findings


def _samples(threshold: MetricThreshold, metrics: Mapping[str, float], slice_: str) -> tuple[int, str]:
    """How many samples the run counted (0: nobody asks), or why that cannot be said."""
    if threshold.sample_count_metric is None:
        asked = threshold.min_samples or threshold.confidence
        return 0, "sampleCountMetric does not say which metric counts the samples" if asked else ""
    return sample_count(of_slice(threshold.sample_count_metric, slice_), metrics, threshold.min_samples)


def _value(threshold: MetricThreshold, metric: str, value: float, samples: int) -> Finding:
    """``min`` and ``max`` together are one rule: both must hold, of the value or of its confidence bounds."""
    low = high = exact(value)
    bound = surely = ""
    if threshold.confidence is not None:
        if not 0 <= low <= 1:
            return Finding(FAILED, f"{metric} is {number(value)}, and confidence is for proportions, from 0 to 1")
        low, high = wilson(low, samples, Decimal(threshold.confidence))
        ends = [f"at least {short(low)}"] if threshold.min is not None else []
        ends += [f"at most {short(high)}"] if threshold.max is not None else []
        bound = short(low if threshold.min is not None else high)
        surely = f" ({' and '.join(ends)} with confidence {threshold.confidence}, {samples} samples)"
    if (threshold.min is None or low >= decimal(threshold.min)) and (
        threshold.max is None or high <= decimal(threshold.max)
    ):
        return Finding(PASSED, bound=bound)
    wants = " and ".join(_bounds(threshold))
    return Finding(FAILED, f"{metric} is {number(value)}{surely}, the gate wants {wants}", bound)


def _bounds(threshold: MetricThreshold) -> list[str]:
    bounds = [f"≥ {threshold.min}"] if threshold.min is not None else []
    return bounds + ([f"≤ {threshold.max}"] if threshold.max is not None else [])


def _changes(change: ChangeThreshold, baseline: Baseline) -> list[str]:
    sign = "≥" if change.direction == "HigherIsBetter" else "≤"
    against = f"against {change.baseline_metric or baseline.alias}"
    if not change.baseline_metric:
        against += f" on {', '.join(baseline.data)}" if baseline.data else ""
        against += " on any data" if baseline.on_different_data == "Compare" else ""
    parts = [f"change {sign} {change.absolute} {against}"] if change.absolute is not None else []
    return parts + ([f"relative change {sign} {change.relative} {against}"] if change.relative is not None else [])
