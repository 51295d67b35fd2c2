"""How long a judgement takes, and how often it measures; in a watch window: to its end."""

from __future__ import annotations

import msgspec
import pytest

from tandem.api.analysis import Metric
from tandem.api.meta import Json
from tandem.apps.analysis_time import deadline_of, expected_seconds, throughout
from tests.unit.apps.judging import ERRORS, SMOKE

BY_PROMETHEUS: Json = {"name": "load", "max": "1", "prometheus": {"address": "http://p:9090", "query": "up"}}


def metric(of: Json, **others: object) -> Metric:
    return msgspec.convert({**of, **others}, Metric)


@pytest.mark.parametrize(
    ("window", "given", "times"),
    [
        (900, {"interval": "1m"}, 15),
        (900, {"interval": "1m", "initialDelay": "5m"}, 10),
        (90, {"interval": "1m"}, 1),
        (30, {"interval": "1m"}, 1),  # once at least
        (0, {"interval": "1m"}, 1),
        (60, {"interval": "1m", "initialDelay": "5m"}, 1),
        (120, {"interval": "1m", "count": 5}, 5),  # who asks for more gets more: the window is over when they are made
        (10, {"interval": "0.001s"}, 10),
    ],
)
@pytest.mark.parametrize("of", [ERRORS, BY_PROMETHEUS], ids=["pods", "prometheus"])
def test_a_watch_measures_until_its_end(window: int, given: Json, times: int, of: Json) -> None:
    assert throughout(metric(of, **given), window).count == times


def test_neither_a_source_that_is_away_nor_a_quiet_minute_ends_a_watch() -> None:
    found = throughout(metric(ERRORS, interval="1m", inconclusiveLimit=0, consecutiveErrorLimit=0), 600)
    assert (found.count, found.inconclusive_limit, found.consecutive_error_limit) == (10, 10, 10)


def test_how_many_failures_are_allowed_is_what_the_metric_says() -> None:
    assert throughout(metric(ERRORS, failureLimit=2), 600).failure_limit == 2


def test_a_container_of_the_users_runs_once() -> None:
    smoke = metric(SMOKE)
    assert throughout(smoke, 600) == smoke


@pytest.mark.parametrize(
    ("of", "given", "seconds"),
    [
        (BY_PROMETHEUS, {}, 0),
        (ERRORS, {}, 60),  # counters are read twice
        (BY_PROMETHEUS, {"initialDelay": "2m", "interval": "30s", "count": 5}, 240),
        (ERRORS, {"initialDelay": "2m", "interval": "30s", "count": 5}, 270),
    ],
)
def test_how_long_it_takes_when_its_source_answers(of: Json, given: Json, seconds: int) -> None:
    assert expected_seconds(metric(of, **given)) == seconds


def test_a_source_that_is_away_does_not_prolong_a_watch() -> None:
    watched = throughout(metric(BY_PROMETHEUS, interval="1m"), 600)
    assert deadline_of(watched, "watch") < 600
    assert deadline_of(metric(BY_PROMETHEUS, interval="1m", count=10), "step-1") > 600
