"""The part of a rule that asks how a metric has changed against the baseline: TFMA's change threshold, closed.

difference = value − baseline. HigherIsBetter: difference ≥ absolute, difference / |baseline| ≥ relative; LowerIsBetter:
≤. Both bounds must hold. TFX's Evaluator (TFMA, metrics_validator.py) divides by the baseline itself, so that with a
negative one the worse passes; MLflow's ``min_relative_change`` lets NaN pass. Here neither does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeAlias

from tandem.api.gate import ChangeThreshold, decimal
from tandem.training.intervals import newcombe
from tandem.training.numbers import absence, exact, finite, number, short, signed

PASSED: Final = "Passed"
FAILED: Final = "Failed"
UNKNOWN: Final = "Unknown"
SKIPPED: Final = "Skipped"


@dataclass(frozen=True, slots=True)
class NoBaseline:
    """Nothing is there to compare with: the first model."""

    where: str  # models:/iris@champion


@dataclass(frozen=True, slots=True)
class OwnVersion:
    """The baseline is the version made from this very run: it was promoted before, and its verdict was lost since."""

    version: str


@dataclass(frozen=True, slots=True)
class Unreadable:
    """There is a baseline, but nothing is known of it."""

    why: str


@dataclass(frozen=True, slots=True)
class Measured:
    """A baseline and what its run logged; ``difference`` says how its data differ from the candidate's, if they do."""

    version: str
    metrics: Mapping[str, float] = field(default_factory=dict)
    difference: str = ""


BaselineFound: TypeAlias = NoBaseline | OwnVersion | Unreadable | Measured


@dataclass(frozen=True, slots=True)
class Finding:
    """What one part of a rule says."""

    result: str
    message: str = ""
    bound: str = ""
    baseline: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one metric of the candidate."""

    change: ChangeThreshold
    metric: str
    value: float
    measured: str = ""  # the metric by which the candidate's own run measured the baseline, if it did
    counted: str = ""  # the metric that counts samples
    samples: int = 0
    confidence: str | None = None


@dataclass(frozen=True, slots=True)
class _Before:
    """The baseline's value, whose it is, and of how many samples it is (0: nobody asks)."""

    value: float
    whose: str
    samples: int


def judge_change(
    asked: Question, metrics: Mapping[str, float], found: BaselineFound, *, compare_anyway: bool
) -> Finding:
    """The verdict on a change; ``compare_anyway`` although the baseline was measured on other data."""
    match found:
        case NoBaseline(where):
            return Finding(SKIPPED, f"nothing is at {where} yet, so {asked.metric} has nothing to be compared with")
        case OwnVersion(version):
            return Finding(PASSED, f"version {version}, the baseline, was made from this very run")
        case Unreadable(why):
            return Finding(UNKNOWN, why)
    before = _before(asked, metrics, found)
    if isinstance(before, Finding):
        return before
    shown, caveat = number(before.value), ""
    if found.difference and not asked.measured:
        caveat = f"{before.whose} was measured on other data: {found.difference}"
        if not compare_anyway:
            advice = "measure the baseline in this run and name that metric in change.baselineMetric"
            return Finding(UNKNOWN, f"{caveat}; {advice}", baseline=shown)
    result = _compare(asked, before)
    told = "; ".join(filter(None, (result.message, caveat)))
    return Finding(result.result, told, result.bound, shown)


def sample_count(name: str, metrics: Mapping[str, float], least: int = 1) -> tuple[int, str]:
    """The number of samples that a run logged under this name, or why nothing can be judged on it."""
    value = metrics.get(name)
    if value is None:
        return 0, f"{name}, the number of samples, {absence(name, metrics)}"
    if not finite(value) or value < 0 or not value.is_integer():
        return 0, f"{name} is {number(value)}, which is no number of samples"
    least = max(least, 1)
    if value < least:
        return 0, f"{name} is {int(value)}: nothing is judged on fewer than {least} samples"
    return int(value), ""


def _before(asked: Question, metrics: Mapping[str, float], found: Measured) -> _Before | Finding:
    name, source = (asked.measured, metrics) if asked.measured else (asked.metric, found.metrics)
    whose = f"{name} of {'this run' if asked.measured else f'version {found.version}'}"
    value = source.get(name)
    if value is None:
        return Finding(UNKNOWN, f"{whose}, the baseline, {absence(name, source)}")
    if not finite(value):
        why = f"{whose}, the baseline, is {number(value)}, with which nothing can be compared"
        return Finding(UNKNOWN, why, baseline=number(value))
    if asked.confidence is None or asked.measured:  # what this run measured, it measured on the same samples
        return _Before(value, whose, asked.samples)
    samples, why = sample_count(asked.counted, found.metrics)
    if why:
        return Finding(UNKNOWN, f"of version {found.version}, the baseline: {why}", baseline=number(value))
    return _Before(value, whose, samples)


def _compare(asked: Question, before: _Before) -> Finding:
    change, higher = asked.change, asked.change.direction == "HigherIsBetter"
    now, then = exact(asked.value), exact(before.value)
    difference = Fraction(now) - Fraction(then)
    told = f"{asked.metric} is {number(asked.value)}, {before.whose} is {number(before.value)}"
    decisive, bound, surely = difference, "", ""
    if asked.confidence is not None:
        if not (0 <= now <= 1 and 0 <= then <= 1):
            result = UNKNOWN if 0 <= now <= 1 else FAILED
            return Finding(result, f"{told}, and confidence is for proportions, from 0 to 1")
        interval = newcombe(now, asked.samples, then, before.samples, Decimal(asked.confidence))
        decisive = Fraction(interval.lower if higher else interval.upper)
        bound = short(decisive)
        surely = f" ({'at least' if higher else 'at most'} {bound} with confidence {asked.confidence})"
    told += f": a change of {signed(difference)}{surely}, the gate wants {'≥' if higher else '≤'}"
    if change.absolute is not None and not _holds(decisive, change.absolute, higher):
        return Finding(FAILED, f"{told} {change.absolute}", bound)
    if change.relative is None:
        return Finding(PASSED, bound=bound)
    if then == 0:
        advice = "give change.absolute instead"
        return Finding(UNKNOWN, f"{before.whose}, the baseline, is 0, of which nothing is a part: {advice}", bound)
    # By the size of the baseline: divided by a negative one, the better would look like the worse.
    if _holds(decisive / abs(Fraction(then)), change.relative, higher):
        return Finding(PASSED, bound=bound)
    return Finding(FAILED, f"{told} {change.relative} of the baseline", bound)


def _holds(change: Fraction, bound: str, higher: bool) -> bool:
    wanted = Fraction(decimal(bound))
    return change >= wanted if higher else change <= wanted
