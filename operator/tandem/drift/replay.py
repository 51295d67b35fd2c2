"""A policy over a metric's history, before it is switched on: when would it have alarmed, and how often for nothing?

Pure: the windows come from wherever there is a history (MLflow keeps all of it).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from tandem.api.trainingjob import DriftSignal
from tandem.api.trainingjob_status import SignalStatus
from tandem.drift.detectors import Baseline, Window, judge
from tandem.drift.signals import fold, restarted


@dataclass(frozen=True, slots=True)
class Replay:
    """``alarms``: the windows that would have started a run. ``judged``: windows that were healthy or breached."""

    alarms: tuple[Window, ...]
    judged: int
    breached: int
    end: SignalStatus


def replay(
    signal: DriftSignal, windows: Iterable[Window], baseline: Baseline, cooldown: timedelta = timedelta(0)
) -> Replay:
    """What the signal would have done, window by window.

    It is assumed that no run replaced the champion and that a run takes no time: each alarm starts one, for
    ``cooldown`` nothing is counted, and then the count begins again.
    """
    state = SignalStatus(metric=signal.metric)
    alarms: list[Window] = []
    outcomes: list[str] = []
    quiet_until = -math.inf
    for window in windows:
        if window.step <= state.last_step:
            continue
        outcomes.append(judge(signal, window, baseline).outcome)
        state = fold(signal, state, (window,), baseline)
        if window.step < quiet_until:
            state = restarted(state)
        elif state.state == "Drifted":
            alarms.append(window)
            quiet_until = window.step + cooldown.total_seconds() / 60
            state = restarted(state)
    breached = outcomes.count("Breached")
    return Replay(tuple(alarms), breached + outcomes.count("Healthy"), breached, state)


def expected_false_alarms(signal: DriftSignal, baseline: Decimal, samples: int, windows: int) -> float:
    """How many alarms chance alone raises in this many windows, when the model is as good as ever.

    Raises:
        ValueError: as :func:`windows_to_alarm`.
    """
    return windows / windows_to_alarm(signal, baseline, samples, float(baseline))


def windows_to_alarm(signal: DriftSignal, baseline: Decimal, samples: int, rate: float) -> float:
    """The mean number of windows to an alarm, for a metric that is a share of ``samples`` (accuracy, recall …).

    ``rate``: the true share. The baseline's own: the time to a false alarm; a worse one: the delay of a true one.
    Infinite when no window can breach. With p the chance of a breach, k in a row take (1 − pᵏ) / ((1 − p) pᵏ)
    windows on average (Feller, An Introduction to Probability Theory, vol. 1, XIII.7).

    Raises:
        ValueError: ``samples`` is less than one, or ``rate`` is no share.
    """
    if samples < 1 or not 0 <= rate <= 1:
        raise ValueError(f"need at least one sample and a rate from 0 to 1, not {samples} and {rate}")
    p = min(
        1.0,
        sum(_chance(hits, samples, rate) for hits in range(samples + 1) if _breaches(signal, hits, samples, baseline)),
    )
    k = signal.breaches.count
    if p**k == 0:
        return math.inf
    return float(k) if p == 1 else (1 - p**k) / ((1 - p) * p**k)


def _breaches(signal: DriftSignal, hits: int, samples: int, baseline: Decimal) -> bool:
    return judge(signal, Window(1, hits / samples, float(samples)), baseline).breached


def _chance(hits: int, samples: int, rate: float) -> float:
    """The binomial probability of so many hits; by logarithms, as factorials of thousands overflow."""
    if rate in {0, 1}:
        return float(hits == samples * rate)
    ways = math.lgamma(samples + 1) - math.lgamma(hits + 1) - math.lgamma(samples - hits + 1)
    return math.exp(ways + hits * math.log(rate) + (samples - hits) * math.log1p(-rate))
