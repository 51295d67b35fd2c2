"""A metric of an MLflow run: its latest value, and of a monitor only what it has logged since."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest

from tandem.runtime.analysis.asking import NotMeasured
from tandem.runtime.analysis.mlflow import Logged, reading
from tandem.runtime.analysis.verdict import NoData, Value

SINCE = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def logged(value: float | str, after: timedelta = timedelta()) -> tuple[Logged, ...]:
    return (Logged("loss", 9.0), Logged("accuracy", value, int((SINCE + after).timestamp() * 1000)))


@pytest.mark.parametrize("since", [None, SINCE])
def test_the_metric_of_that_name_is_the_number(since: datetime | None) -> None:
    assert reading(logged(0.9), "accuracy", since) == Value(0.9)


def test_what_a_monitor_logged_before_says_nothing_about_now() -> None:
    before = logged(0.9, -timedelta(seconds=1))
    assert isinstance(reading(before, "accuracy", SINCE), NoData)
    assert reading(before, "accuracy", None) == Value(0.9)


def test_a_metric_that_was_never_logged_is_no_data() -> None:
    assert isinstance(reading(logged(0.9), "recall", None), NoData)
    assert isinstance(reading((), "accuracy", None), NoData)


@pytest.mark.parametrize(("told", "number"), [("Infinity", math.inf), ("-Infinity", -math.inf)])
def test_infinities_are_read_as_mlflow_writes_them(told: str, number: float) -> None:
    assert reading(logged(told), "accuracy", None) == Value(number)


def test_nan_is_read_as_mlflow_writes_it() -> None:
    measured = reading(logged("NaN"), "accuracy", None)
    assert isinstance(measured, Value)
    assert math.isnan(measured.number)


def test_a_word_is_an_error() -> None:
    with pytest.raises(NotMeasured, match="no number"):
        reading(logged("high"), "accuracy", None)
