"""One window against one baseline: what is a breach, what is healthy, and what is neither."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.api.trainingjob import DriftSignal
from tandem.drift.detectors import Missing, Window, above, below, exact, judge, lost, text_of

NO_BASELINE = Missing("the run logged no accuracy")


def signal(**fields: Any) -> DriftSignal:
    return msgspec.convert({"metric": "accuracy", **fields}, DriftSignal)


def outcome(bounds: dict[str, Any], value: float, baseline: str | None = None, samples: float | None = None) -> str:
    known = Decimal(baseline) if baseline is not None else NO_BASELINE
    return judge(signal(**bounds), Window(1, value, samples), known).outcome


@pytest.mark.parametrize(
    ("rule", "bounds", "value", "baseline", "expected"),
    [
        ("min is inclusive", {"min": "0.9"}, 0.9, None, "Healthy"),
        ("below min", {"min": "0.9"}, 0.8999999, None, "Breached"),
        ("max is inclusive", {"max": "0.3"}, 0.3, None, "Healthy"),
        ("above max", {"max": "0.3"}, 0.3000001, None, "Breached"),
        ("the tolerated loss is inclusive", {"change": {"absolute": "-0.02"}}, 0.91, "0.93", "Healthy"),
        ("more than the tolerated loss", {"change": {"absolute": "-0.02"}}, 0.9099, "0.93", "Breached"),
        ("a required gain that is not reached", {"change": {"absolute": "0.01"}}, 0.93, "0.93", "Breached"),
        ("one breached bound is enough", {"min": "0.5", "change": {"absolute": "-0.02"}}, 0.9, "0.93", "Breached"),
        ("0.1 + 0.2 is what was logged, above 0.3", {"max": "0.3"}, 0.1 + 0.2, None, "Breached"),
        ("0.93 - 0.9 has no float dust", {"change": {"absolute": "-0.03"}}, 0.9, "0.93", "Healthy"),
        ("exponents are numbers", {"max": "1e-3"}, 0.001, None, "Healthy"),
        ("no champion value: the change is not judged", {"change": {"absolute": "-0.02"}}, 0.99, None, "Unknown"),
        ("… and min cannot vouch for it", {"min": "0.5", "change": {"absolute": "-0.02"}}, 0.99, None, "Unknown"),
        ("… but min still breaches", {"min": "0.9", "change": {"absolute": "-0.02"}}, 0.8, None, "Breached"),
        ("… and so does max", {"max": "0.9", "change": {"absolute": "-0.02"}}, 0.95, None, "Breached"),
        ("no bound at all", {}, 0.5, None, "Unknown"),
    ],
)
def test_a_window_is_judged_by_every_bound(
    rule: str, bounds: dict[str, Any], value: float, baseline: str | None, expected: str
) -> None:
    assert outcome(bounds, value, baseline) == expected, rule


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.7976931348623157e308, -1.7976931348623157e308])
@pytest.mark.parametrize("bounds", [{"min": "0.9"}, {"max": "0.9"}, {"change": {"absolute": "0"}}])
def test_nan_and_infinities_are_neither_a_breach_nor_healthy(value: float, bounds: dict[str, Any]) -> None:
    assert outcome(bounds, value, "0.5") == "Unknown"


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (200, "Breached"),
        (199, "TooFewSamples"),
        (0, "TooFewSamples"),
        (-1, "TooFewSamples"),
        (None, "TooFewSamples"),
        (math.nan, "TooFewSamples"),
        (math.inf, "TooFewSamples"),
    ],
)
def test_too_few_samples_are_no_evidence(samples: float | None, expected: str) -> None:
    bounds = {"min": "0.9", "sampleCountMetric": "n", "minSamples": 200}
    assert outcome(bounds, 0.1, samples=samples) == expected


def test_without_min_samples_a_window_needs_no_count() -> None:
    assert outcome({"min": "0.9", "sampleCountMetric": "n"}, 0.95) == "Healthy"


def test_a_verdict_says_what_was_compared() -> None:
    assert below(Decimal("0.9"))(Decimal("0.8"), NO_BASELINE).why == "below min 0.9"
    assert above(Decimal("0.9"))(Decimal("1"), NO_BASELINE).why == "above max 0.9"
    change = lost(Decimal("-0.02"))(Decimal("0.9"), Decimal("0.93"))
    assert (change.statistic, change.why) == (Decimal("-0.03"), "-0.03 to the champion's 0.93, allowed -0.02")
    assert "logged no accuracy" in lost(Decimal(0))(Decimal(1), NO_BASELINE).why


@given(st.floats(allow_nan=False, allow_infinity=False, max_value=1e300, min_value=-1e300))
def test_a_number_is_never_below_or_above_itself(value: float) -> None:
    same = exact(value)
    assert not below(same)(exact(value), NO_BASELINE).breached
    assert not above(same)(exact(value), NO_BASELINE).breached
    assert not lost(Decimal(0))(exact(value), same).breached


@given(st.floats())
def test_what_status_shows_reads_back_as_the_same_kind_of_number(value: float) -> None:
    shown = float(text_of(value))
    if math.isnan(value):
        assert math.isnan(shown)
    elif abs(value) < 1.79e308:
        assert shown == value
    else:
        assert math.isinf(shown)


@pytest.mark.parametrize(
    ("value", "text"), [(0.1, "0.1"), (12.0, "12"), (-3.0, "-3"), (1e22, "1e+22"), (math.inf, "Infinity")]
)
def test_status_shows_a_number_as_a_person_writes_it(value: float, text: str) -> None:
    assert text_of(value) == text
