"""The arithmetic of a verdict: every kind of number, and every way of counting."""

from __future__ import annotations

import math
from decimal import Decimal

import pytest

from tandem.runtime.analysis.verdict import (
    Bounds,
    Error,
    Limits,
    Measurement,
    NoData,
    OnNoData,
    Phase,
    Tally,
    Value,
    judge,
    overall,
)

AT_MOST = Bounds(max=Decimal("0.1"))
AT_LEAST = Bounds(min=Decimal("0.9"))
BETWEEN = Bounds(min=Decimal("-1"), max=Decimal("1"))
GOOD, BAD, NOTHING, AWAY = Value(0.05), Value(0.5), NoData("no series"), Error("connection refused")


@pytest.mark.parametrize(
    ("number", "bounds", "phase"),
    [
        (0.05, AT_MOST, "Successful"),
        (0.1, AT_MOST, "Successful"),  # a bound is inclusive, and 0.1 is 0.1 whatever a double makes of it
        (0.1000001, AT_MOST, "Failed"),
        (0.0, AT_MOST, "Successful"),
        (-0.0, AT_MOST, "Successful"),
        (-5.0, AT_MOST, "Successful"),  # nobody said that it must not be negative
        (math.inf, AT_MOST, "Failed"),
        (-math.inf, AT_MOST, "Inconclusive"),  # below every maximum, and nothing that anybody measured
        (0.9, AT_LEAST, "Successful"),
        (0.89, AT_LEAST, "Failed"),
        (math.inf, AT_LEAST, "Inconclusive"),
        (-math.inf, AT_LEAST, "Failed"),
        (-1.0, BETWEEN, "Successful"),
        (-1.1, BETWEEN, "Failed"),
        (1.1, BETWEEN, "Failed"),
        (math.inf, BETWEEN, "Failed"),
        (-math.inf, BETWEEN, "Failed"),
        (1e308, AT_MOST, "Failed"),
        (5e-324, AT_MOST, "Successful"),
    ],
)
@pytest.mark.parametrize("on_no_data", ["Hold", "Pass", "Fail"])
def test_a_number_is_held_against_the_bounds_alone(
    number: float, bounds: Bounds, phase: Phase, on_no_data: OnNoData
) -> None:
    assert judge(Value(number), bounds, on_no_data)[0] == phase


@pytest.mark.parametrize(
    ("on_no_data", "phase"), [("Hold", "Inconclusive"), ("Pass", "Successful"), ("Fail", "Failed")]
)
@pytest.mark.parametrize("measured", [NoData("no series"), Value(math.nan)])
@pytest.mark.parametrize("bounds", [AT_MOST, AT_LEAST, BETWEEN])
def test_no_data_is_what_the_metric_says_of_it_and_nan_is_no_data(
    on_no_data: OnNoData, phase: Phase, measured: Value | NoData, bounds: Bounds
) -> None:
    assert judge(measured, bounds, on_no_data)[0] == phase


def test_why_it_failed_names_the_number_and_the_bound() -> None:
    assert judge(Value(0.25), AT_MOST, "Hold")[1] == "0.25 is above max 0.1"
    assert judge(Value(0.25), AT_LEAST, "Hold")[1] == "0.25 is below min 0.9"


def counted(measurements: list[Measurement], limits: Limits, on_no_data: OnNoData = "Hold") -> list[Phase | None]:
    """The verdict after each measurement."""
    tally, verdicts = Tally(), []
    for measurement in measurements:
        tally = tally.add(measurement, AT_MOST, on_no_data)
        verdicts.append(tally.verdict(limits))
    return verdicts


@pytest.mark.parametrize(
    ("measurements", "limits", "verdicts"),
    [
        # One measurement, no tolerance: the default.
        ([GOOD], Limits(), ["Successful"]),
        ([BAD], Limits(), ["Failed"]),
        ([NOTHING], Limits(), ["Inconclusive"]),
        ([AWAY], Limits(), [None]),
        # As many as count asks for.
        ([GOOD, GOOD, GOOD], Limits(count=3), [None, None, "Successful"]),
        # One failure more than allowed ends it at once, however many are left.
        ([GOOD, BAD], Limits(count=5), [None, "Failed"]),
        ([BAD, BAD, BAD], Limits(count=5, failure=2), [None, None, "Failed"]),
        ([BAD, GOOD, BAD], Limits(count=3, failure=2), [None, None, "Successful"]),
        # Nobody knows: the same, with a limit of its own.
        ([GOOD, NOTHING], Limits(count=5), [None, "Inconclusive"]),
        ([NOTHING, GOOD], Limits(count=2, inconclusive=1), [None, "Successful"]),
        ([NOTHING, NOTHING], Limits(count=3, inconclusive=1), [None, "Inconclusive"]),
        # What fails is said even where something else was not known.
        ([NOTHING, BAD], Limits(count=3, inconclusive=1), [None, "Failed"]),
        # Limits that allow everything let nothing through that was never once good.
        ([NOTHING], Limits(inconclusive=5), ["Inconclusive"]),
        ([BAD, BAD], Limits(count=2, failure=2), [None, "Inconclusive"]),
        ([BAD, NOTHING], Limits(count=2, failure=1, inconclusive=1), [None, "Inconclusive"]),
        # Errors in a row: one more than allowed, and never the fault of what is judged.
        ([AWAY] * 5, Limits(), [None, None, None, None, "Inconclusive"]),
        ([AWAY] * 2, Limits(consecutive_error=1), [None, "Inconclusive"]),
        ([AWAY], Limits(consecutive_error=0), ["Inconclusive"]),
        # An answer ends the row, and errors are no measurements.
        (
            [AWAY, GOOD, AWAY, GOOD],
            Limits(count=2, consecutive_error=1),
            [None, None, None, "Successful"],
        ),
        # Failures count on across errors.
        ([BAD, AWAY, BAD], Limits(count=9, failure=1), [None, None, "Failed"]),
    ],
)
def test_measurements_are_counted_as_argo_rollouts_counts_them(
    measurements: list[Measurement], limits: Limits, verdicts: list[Phase | None]
) -> None:
    assert counted(measurements, limits) == verdicts


@pytest.mark.parametrize(("on_no_data", "last"), [("Pass", "Successful"), ("Fail", "Failed"), ("Hold", "Inconclusive")])
def test_a_canary_that_nobody_asks_is_what_the_metric_says(on_no_data: OnNoData, last: Phase) -> None:
    assert counted([NOTHING], Limits(), on_no_data) == [last]


@pytest.mark.parametrize(
    ("phases", "verdict"),
    [
        (["Successful", "Successful"], "Successful"),
        (["Successful", "Inconclusive"], "Inconclusive"),
        (["Inconclusive", "Failed", "Successful"], "Failed"),
        ([], "Successful"),  # nothing but dry runs
    ],
)
def test_of_several_metrics_one_failure_decides_and_what_nobody_knows_holds(
    phases: list[Phase], verdict: Phase
) -> None:
    assert overall(phases) == verdict


@pytest.mark.parametrize(
    ("measurements", "limits", "told"),
    [
        ([GOOD], Limits(), "0.05 (max 0.1)"),
        ([GOOD] * 3, Limits(count=3), "0.05 (max 0.1); 3 of 3 measurements"),
        ([BAD], Limits(), "0.5 is above max 0.1"),
        ([BAD, GOOD, BAD], Limits(count=5, failure=1), "0.5 is above max 0.1 (2 failed, 1 allowed)"),
        ([NOTHING], Limits(), "no data (no series)"),
        ([BAD], Limits(failure=1), "no measurement of 1 was successful: 0.5 is above max 0.1"),
        ([AWAY] * 5, Limits(), "could not be measured: connection refused (5 times in a row)"),
        ([GOOD, AWAY], Limits(count=3), "was not measured in time (1 of 3): connection refused"),
        ([], Limits(), "was not measured in time (0 of 1): nothing came"),
    ],
)
def test_the_verdict_is_explained_in_one_sentence(measurements: list[Measurement], limits: Limits, told: str) -> None:
    tally = Tally()
    for measurement in measurements:
        tally = tally.add(measurement, AT_MOST, "Hold")
    assert tally.explain(tally.verdict(limits) or "Inconclusive", limits) == told
