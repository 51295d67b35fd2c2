"""A policy over a history: the alarms it would have raised, and those that chance alone raises."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tandem.api.trainingjob import DriftSignal
from tandem.drift.detectors import Missing, Window
from tandem.drift.replay import expected_false_alarms, replay, windows_to_alarm
from tests.examples import examples

NONE = Missing("none")
CHAMPION = Decimal("0.9")


def signal(**fields: Any) -> DriftSignal:
    bounds = {} if fields.keys() & {"min", "max", "change"} else {"min": "0.85"}
    return msgspec.convert({"metric": "accuracy", **bounds, **fields}, DriftSignal)


def drop(absolute: str, count: int) -> DriftSignal:
    return signal(change={"absolute": f"-{absolute}"}, breaches={"count": count})


def hourly(*values: float) -> list[Window]:
    return [Window(60 * place, value) for place, value in enumerate(values, start=1)]


@pytest.mark.parametrize(
    ("rule", "values", "cooldown", "alarms"),
    [
        ("nothing", (), 0, ()),
        ("healthy", (0.9, 0.9), 0, ()),
        ("the third breach in a row", (0.8, 0.8, 0.8), 0, (3,)),
        ("the count begins again after an alarm", (0.8,) * 6, 0, (3, 6)),
        ("within the cooldown nothing is counted", (0.8,) * 6, 3, (3,)),
        ("after the cooldown the count begins again", (0.8,) * 8, 3, (3, 8)),
        ("NaN is no breach", (0.8, 0.8, math.nan, 0.8), 0, (4,)),
    ],
)
def test_a_replay_raises_the_alarms_of_the_policy(
    rule: str, values: tuple[float, ...], cooldown: int, alarms: tuple[int, ...]
) -> None:
    done = replay(signal(), hourly(*values), NONE, timedelta(hours=cooldown))
    assert tuple(window.step // 60 for window in done.alarms) == alarms, rule


def test_a_replay_tells_how_many_windows_it_could_judge() -> None:
    done = replay(signal(), hourly(0.9, 0.8, math.nan, 0.9), NONE)
    assert (done.judged, done.breached, done.end.last_step, done.end.state) == (3, 1, 240, "Healthy")


# Measured by an independent simulation of a 0.90 champion; cells near its horizon, 3000 windows, are floors: left out.
@pytest.mark.parametrize(
    ("policy", "samples", "measured"),
    [(drop("0.02", 1), 100, 5), (drop("0.05", 1), 100, 25), (drop("0.02", 1), 500, 16), (drop("0.02", 3), 100, 162)],
)
def test_the_time_to_a_false_alarm_is_the_one_that_was_measured(
    policy: DriftSignal, samples: int, measured: float
) -> None:
    assert windows_to_alarm(policy, CHAMPION, samples, 0.9) == pytest.approx(measured, rel=0.1)


@pytest.mark.parametrize(("policy", "samples", "rate"), [(drop("0.05", 1), 100, 0.87), (drop("0.02", 3), 100, 0.87)])
def test_the_delay_of_a_true_alarm_is_what_chance_needs(policy: DriftSignal, samples: int, rate: float) -> None:
    # given 600 models that got worse, each watched until its alarm
    chance = random.Random(20261123)

    def delay() -> int:
        windows: list[Window] = []
        while not (windows and replay(policy, windows, CHAMPION).alarms):
            hits = sum(chance.random() < rate for _ in range(samples))
            windows.append(Window(len(windows) + 1, hits / samples))
        return len(windows)

    mean = sum(delay() for _ in range(600)) / 600
    # then the mean delay is the one that was promised (its standard error is some 4 %)
    assert mean == pytest.approx(windows_to_alarm(policy, CHAMPION, samples, rate), rel=0.12)


def test_the_expectation_is_what_a_replay_of_pure_chance_finds() -> None:
    # given 40,000 windows of a model that is as good as ever
    chance = random.Random(20261123)
    windows = [Window(step, sum(chance.random() < 0.9 for _ in range(20)) / 20) for step in range(1, 40_001)]
    policy = drop("0.1", 2)
    # then the policy raises as many false alarms as it is said to
    found = len(replay(policy, windows, CHAMPION).alarms)
    assert found == pytest.approx(expected_false_alarms(policy, CHAMPION, 20, len(windows)), rel=0.1)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 60), st.sampled_from([0.0, 0.3, 0.9, 1.0]), st.integers(1, 4))
def test_more_breaches_in_a_row_never_alarm_earlier(samples: int, rate: float, count: int) -> None:
    fewer, more = (drop("0.05", count), drop("0.05", count + 1))
    assert windows_to_alarm(fewer, CHAMPION, samples, rate) <= windows_to_alarm(more, CHAMPION, samples, rate)
    assert windows_to_alarm(fewer, CHAMPION, samples, rate) >= count


def test_certain_breaches_alarm_at_the_count_and_impossible_ones_never() -> None:
    assert windows_to_alarm(signal(breaches={"count": 3}), CHAMPION, 100, 0.0) == 3
    assert windows_to_alarm(signal(), CHAMPION, 100, 1.0) == math.inf
    assert expected_false_alarms(signal(min="-1"), CHAMPION, 100, 10_000) == 0


@pytest.mark.parametrize(("samples", "rate"), [(0, 0.5), (10, 1.1), (10, -0.1)])
def test_what_is_no_share_is_refused(samples: int, rate: float) -> None:
    with pytest.raises(ValueError, match="at least one sample and a rate from 0 to 1"):
        windows_to_alarm(signal(), CHAMPION, samples, rate)
