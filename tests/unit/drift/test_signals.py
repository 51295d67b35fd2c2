"""The state of a signal: consecutive breaches, and what neither adds to them nor ends them."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.api.facts import MetricPoint, MonitoredModel
from tandem.api.trainingjob import DriftSignal
from tandem.api.trainingjob_status import SignalStatus
from tandem.drift.detectors import Missing, Window
from tandem.drift.signals import alarms, fold, relaxed, restarted, unmonitored, windows_of

NAN = math.nan
NONE = Missing("none")


def signal(**fields: Any) -> DriftSignal:
    return msgspec.convert({"metric": "accuracy", "min": "0.85", **fields}, DriftSignal)


def state(**fields: Any) -> SignalStatus:
    return SignalStatus(metric="accuracy", **fields)


def folded(*values: float, **fields: Any) -> SignalStatus:
    windows = [Window(step, value) for step, value in enumerate(values, start=1)]
    return fold(signal(**fields), state(), windows, NONE)


@pytest.mark.parametrize(
    ("rule", "values", "breaches", "expected", "alarm"),
    [
        ("nothing logged", (), 0, "Unknown", 0),
        ("a healthy window", (0.9,), 0, "Healthy", 0),
        ("a breach is not yet drift", (0.8,), 1, "Breached", 0),
        ("two of three", (0.8, 0.8), 2, "Breached", 0),
        ("the third in a row", (0.8, 0.8, 0.8), 3, "Drifted", 3),
        ("a healthy window ends the row", (0.8, 0.8, 0.9, 0.8), 1, "Breached", 0),
        ("and ends an alarm", (0.8, 0.8, 0.8, 0.9), 0, "Healthy", 0),
        ("an alarm keeps the window that raised it", (0.8, 0.8, 0.8, 0.8, 0.8), 5, "Drifted", 3),
        ("a second alarm has its own window", (0.8, 0.8, 0.8, 0.9, 0.8, 0.8, 0.8), 3, "Drifted", 7),
        ("NaN does not end the row", (0.8, 0.8, NAN, 0.8), 3, "Drifted", 4),
        ("NaN is no breach", (0.8, 0.8, NAN), 2, "Unknown", 0),
        ("NaN is not healthy", (0.9, NAN), 0, "Unknown", 0),
        ("NaN does not end an alarm", (0.8, 0.8, 0.8, NAN), 3, "Drifted", 3),
        ("nor does an infinity", (0.8, 0.8, 0.8, math.inf), 3, "Drifted", 3),
    ],
)
def test_breaches_are_counted_in_a_row(
    rule: str, values: tuple[float, ...], breaches: int, expected: str, alarm: int
) -> None:
    after = folded(*values)
    assert (after.breaches, after.state, after.alarm_step) == (breaches, expected, alarm), rule


def test_one_breach_is_enough_where_the_policy_says_so() -> None:
    assert folded(0.8, breaches={"count": 1}).state == "Drifted"


def test_state_shows_the_newest_value_and_the_baseline() -> None:
    after = fold(signal(change={"absolute": "-0.1"}), state(), [Window(7, 0.9)], Decimal("0.93"))
    assert (after.last_step, after.value, after.baseline) == (7, "0.9", "0.93")


@pytest.mark.parametrize(
    ("rule", "steps", "last", "breaches"),
    [
        ("in order", (1, 2, 3), 3, 3),
        ("a repeated step counts once", (1, 1, 1, 2), 2, 2),
        ("a late window is ignored", (1, 3, 2), 3, 2),
        ("step 0 is a metric without a step", (0, 0, 0), 0, 0),
    ],
)
def test_late_and_repeated_windows_are_ignored(rule: str, steps: tuple[int, ...], last: int, breaches: int) -> None:
    after = fold(signal(breaches={"count": 100}), state(), [Window(step, 0.8) for step in steps], NONE)
    assert (after.last_step, after.breaches) == (last, breaches), rule


# --- sample counts ---------------------------------------------------------------------------------------------------

COUNTED = {"sampleCountMetric": "n", "minSamples": 100}


def monitor(accuracy: dict[int, float], n: dict[int, float]) -> MonitoredModel:
    points = {"accuracy": accuracy, "n": n}
    return MonitoredModel(
        "run", {name: tuple(MetricPoint(*point) for point in logged.items()) for name, logged in points.items()}
    )


@pytest.mark.parametrize(
    ("rule", "accuracy", "n", "last", "breaches", "expected"),
    [
        ("enough", {1: 0.8}, {1: 100}, 1, 1, "Breached"),
        ("too few", {1: 0.8}, {1: 99}, 1, 0, "TooFewSamples"),
        ("too few does not end the row", {1: 0.8, 2: 0.8}, {1: 100, 2: 1}, 2, 1, "TooFewSamples"),
        ("the newest window waits for its count", {1: 0.8, 2: 0.8}, {1: 100}, 1, 1, "Breached"),
        ("the first one too", {1: 0.8}, {}, 0, 0, "Unknown"),
        ("an older one waits no longer", {1: 0.8, 2: 0.8}, {2: 100}, 2, 1, "Breached"),
    ],
)
def test_a_window_counts_when_its_samples_do(
    rule: str, accuracy: dict[int, float], n: dict[int, float], last: int, breaches: int, expected: str
) -> None:
    counted = signal(**COUNTED)
    after = fold(counted, state(), windows_of(counted, monitor(accuracy, n)), NONE)
    assert (after.last_step, after.breaches, after.state) == (last, breaches, expected), rule


def test_windows_carry_no_count_where_none_is_asked_for() -> None:
    assert windows_of(signal(), monitor({1: 0.8}, {1: 5})) == (Window(1, 0.8, None),)


# --- what happens to a state besides windows -------------------------------------------------------------------------


def test_an_edited_policy_that_asks_for_more_breaches_takes_the_alarm_back() -> None:
    before = state(breaches=3, state="Drifted", alarm_step=9)
    after = relaxed(signal(breaches={"count": 5}), before)
    assert (after.state, after.alarm_step, after.breaches) == ("Breached", 0, 3)


def test_an_edited_policy_that_asks_for_fewer_breaches_waits_for_the_next_window() -> None:
    edited = signal(breaches={"count": 2})
    before = state(last_step=9, breaches=2, state="Breached")
    assert fold(edited, before, [], NONE).state == "Breached"
    assert fold(edited, before, [Window(10, 0.8)], NONE).state == "Drifted"


@pytest.mark.parametrize(("before", "after"), [("Healthy", "Unknown"), ("Breached", "Unknown"), ("Drifted", "Drifted")])
def test_no_monitoring_is_never_healthy_and_ends_no_alarm(before: Any, after: str) -> None:
    assert unmonitored(state(state=before)).state == after


def test_a_restarted_count_keeps_the_place_in_the_metric() -> None:
    after = restarted(state(last_step=9, breaches=4, alarm_step=8, state="Drifted", value="0.8"))
    assert after == state(last_step=9, breaches=0, alarm_step=0, state="Breached", value="0.8")


def test_the_oldest_alarm_comes_first() -> None:
    late = SignalStatus(metric="late", state="Drifted", alarm_step=9)
    early = SignalStatus(metric="early", state="Drifted", alarm_step=3)
    assert [alarm.metric for alarm in alarms([late, SignalStatus(metric="fine"), early])] == ["early", "late"]


# --- one by one or all at once ---------------------------------------------------------------------------------------

VALUES = st.sampled_from([0.8, 0.85, 0.9, NAN, math.inf])
WINDOWS = st.lists(
    st.builds(Window, st.integers(0, 12), VALUES, st.sampled_from([None, 10.0, 100.0, NAN])), max_size=24
)


@given(WINDOWS, st.integers(1, 4), st.sampled_from([0, 100]), st.data())
def test_windows_fed_in_any_portions_end_in_the_same_state(
    windows: list[Window], count: int, least: int, data: st.DataObject
) -> None:
    policy = signal(breaches={"count": count}, sampleCountMetric="n", minSamples=least)
    whole = fold(policy, state(), windows, NONE)
    pieces = state()
    while windows:
        size = data.draw(st.integers(1, len(windows)))
        portion, windows = windows[:size], windows[size:]
        pieces = fold(policy, pieces, portion, NONE)
    assert pieces == whole


@given(WINDOWS, st.integers(1, 4))
def test_a_state_is_drifted_exactly_when_its_count_is_reached(windows: list[Window], count: int) -> None:
    after = fold(signal(breaches={"count": count}), state(), windows, NONE)
    assert (after.state == "Drifted") == (after.breaches >= count) == (after.alarm_step > 0)
    assert after.alarm_step <= after.last_step
