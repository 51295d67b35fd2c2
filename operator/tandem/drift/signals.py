"""Folding the windows of a metric into the state of a signal.

The state lives in the resource's status (``lastStep``, ``breaches``), so a restart loses nothing, and windows fed one
by one end in the same state as windows fed all at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import reduce

import msgspec

from tandem.api.facts import MetricPoint, MonitoredModel
from tandem.api.trainingjob import DriftSignal
from tandem.api.trainingjob_status import SignalStatus
from tandem.drift.detectors import Baseline, Missing, Verdict, Window, judge, text_of


def windows_of(signal: DriftSignal, monitor: MonitoredModel) -> tuple[Window, ...]:
    """The windows of a signal's metric, each with its sample count, in the order in which they were logged.

    A value and its sample count may arrive in two requests. So while the newest window still lacks the count that
    ``minSamples`` needs, it is left for the next look; an older one without a count will not get it any more.
    """
    points = monitor.points.get(signal.metric, ())
    counts = _by_step(monitor.points.get(signal.sample_count_metric, ()) if signal.sample_count_metric else ())
    windows = tuple(Window(point.step, point.value, counts.get(point.step)) for point in points)
    newest = max((window.step for window in windows), default=0)
    if not signal.min_samples or newest in counts:
        return windows
    return tuple(window for window in windows if window.step != newest)


def fold(signal: DriftSignal, before: SignalStatus, windows: Iterable[Window], baseline: Baseline) -> SignalStatus:
    """The state after these windows; late, repeated and older ones are ignored."""

    def after(state: SignalStatus, window: Window) -> SignalStatus:
        if window.step <= state.last_step:
            return state
        return _seen(signal, state, window, judge(signal, window, baseline))

    start = msgspec.structs.replace(
        relaxed(signal, before), baseline="" if isinstance(baseline, Missing) else str(baseline)
    )
    return reduce(after, windows, start)


def _seen(signal: DriftSignal, state: SignalStatus, window: Window, verdict: Verdict) -> SignalStatus:
    # Neither a breach nor healthy leaves the count alone: three breaches with a gap between them are three in a row.
    breaches = {"Breached": state.breaches + 1, "Healthy": 0}.get(verdict.outcome, state.breaches)
    drifted = breaches >= signal.breaches.count
    return SignalStatus(
        metric=signal.metric,
        last_step=window.step,
        value=text_of(window.value),
        baseline=state.baseline,
        breaches=breaches,
        alarm_step=(state.alarm_step or window.step) if drifted else 0,
        state="Drifted" if drifted else verdict.outcome,
    )


def relaxed(signal: DriftSignal, state: SignalStatus) -> SignalStatus:
    """The state under a policy that may have been edited: an alarm needs the count that is asked for now."""
    if state.state == "Drifted" and state.breaches < signal.breaches.count:
        return msgspec.structs.replace(state, state="Breached", alarm_step=0)
    return state


def unmonitored(state: SignalStatus) -> SignalStatus:
    """No metrics is not healthy; an alarm stands until a window says otherwise."""
    return state if state.state == "Drifted" else msgspec.structs.replace(state, state="Unknown")


def restarted(state: SignalStatus) -> SignalStatus:
    """The count begins again; what the last window said stays."""
    return msgspec.structs.replace(
        state, breaches=0, alarm_step=0, state="Breached" if state.state == "Drifted" else state.state
    )


def last_logged(windows: Iterable[Window]) -> int:
    return max((window.step for window in windows), default=0)


def alarms(states: Iterable[SignalStatus]) -> Iterator[SignalStatus]:
    """The drifted signals, the oldest alarm first."""
    # alarm_step may be missing in a status that an older version wrote: the last window is the next best evidence.
    return iter(sorted((s for s in states if s.state == "Drifted"), key=alarm_step))


def alarm_step(state: SignalStatus) -> int:
    return state.alarm_step or state.last_step


def _by_step(points: Iterable[MetricPoint]) -> dict[int, float]:
    return {point.step: point.value for point in points}
