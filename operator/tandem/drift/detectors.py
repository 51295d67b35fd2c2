"""Detectors: a window of a monitored metric and its baseline in, a statistic and "breached or not" out.

A detector never guesses. What it cannot judge (no baseline, too few samples, NaN) is neither a breach nor healthy:
measured on public streams, treating gaps as healthy hides outages, and treating them as breaches retrains on them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal, TypeAlias

from tandem.api.gate import decimal
from tandem.api.trainingjob import DriftSignal

# MLflow stores ±inf as the largest double (measured on 3.17.2), so a "number" up there is an infinity.
_INFINITE: Final = 1.79e308


@dataclass(frozen=True, slots=True)
class Window:
    """One point of a monitored metric.

    ``step``: start of the window, minutes since the epoch. ``samples``: how many predictions it summarises, or None
    when the monitor did not log it.
    """

    step: int
    value: float
    samples: float | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no baseline, and why."""

    why: str


Baseline: TypeAlias = Decimal | Missing
Outcome: TypeAlias = Literal["Healthy", "Breached", "TooFewSamples", "Unknown"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one window says. ``statistic`` is what the detector compared with its limit."""

    outcome: Outcome
    statistic: Decimal | None = None
    why: str = ""

    @property
    def breached(self) -> bool:
        return self.outcome == "Breached"


Detector: TypeAlias = Callable[[Decimal, Baseline], Verdict]


def below(limit: Decimal) -> Detector:
    """Breached when the value is smaller than ``limit``."""
    return lambda value, _: _verdict(value, value < limit, f"below min {limit}")


def above(limit: Decimal) -> Detector:
    """Breached when the value is larger than ``limit``."""
    return lambda value, _: _verdict(value, value > limit, f"above max {limit}")


def lost(least_change: Decimal) -> Detector:
    """Breached when value − baseline is smaller than ``least_change`` (a tolerated loss is negative)."""

    def judge(value: Decimal, baseline: Baseline) -> Verdict:
        if isinstance(baseline, Missing):
            return Verdict("Unknown", why=f"the change cannot be judged: {baseline.why}")
        change = value - baseline
        why = f"{change:+} to the champion's {baseline}, allowed {least_change}"
        return _verdict(change, change < least_change, why)

    return judge


def detectors_of(signal: DriftSignal) -> tuple[Detector, ...]:
    """The detectors that a signal's bounds name."""
    found: list[Detector] = []
    if signal.min is not None:
        found.append(below(decimal(signal.min)))
    if signal.max is not None:
        found.append(above(decimal(signal.max)))
    if signal.change is not None:
        found.append(lost(decimal(signal.change.absolute)))
    return tuple(found)


def judge(signal: DriftSignal, window: Window, baseline: Baseline) -> Verdict:
    """One window by all bounds of a signal: one breach is enough; healthy needs every bound to have said so."""
    if not is_number(window.value):
        return Verdict("Unknown", why=f"the value is {text_of(window.value)}")
    if signal.min_samples and not _enough(window.samples, signal.min_samples):
        counted = "an unknown number of" if window.samples is None else text_of(window.samples)
        return Verdict("TooFewSamples", why=f"{counted} samples, minSamples is {signal.min_samples}")
    verdicts = [detector(exact(window.value), baseline) for detector in detectors_of(signal)]
    if not verdicts:
        return Verdict("Unknown", why="the signal has none of min, max and change")
    for outcome in ("Breached", "Unknown"):
        decisive = next((verdict for verdict in verdicts if verdict.outcome == outcome), None)
        if decisive is not None:
            return decisive
    return verdicts[0]


def is_number(value: float) -> bool:
    return math.isfinite(value) and abs(value) < _INFINITE


def exact(value: float) -> Decimal:
    """The number that was logged, as it is written: 0.9 is 0.9, not 0.90000000000000002220446."""
    return Decimal(text_of(value))


def text_of(value: float) -> str:
    """A metric as status shows it: NaN and the infinities by name, whole numbers without ``.0``."""
    if math.isnan(value):
        return "NaN"
    if not is_number(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _verdict(statistic: Decimal, breached: bool, why: str) -> Verdict:
    return Verdict("Breached", statistic, why) if breached else Verdict("Healthy", statistic)


def _enough(samples: float | None, least: int) -> bool:
    return samples is not None and is_number(samples) and samples >= least
