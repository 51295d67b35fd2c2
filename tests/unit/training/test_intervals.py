"""Confidence bounds: SciPy and the defining equations are the oracle, and what they mean is counted."""

from __future__ import annotations

from decimal import Decimal, localcontext
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, binomtest  # type: ignore[import-untyped]

from tandem.training.intervals import newcombe, wilson

CONFIDENCES = st.sampled_from(["0.51", "0.8", "0.9", "0.95", "0.99", "0.999999"]).map(Decimal)


@st.composite
def samples(draw: st.DrawFn) -> tuple[Decimal, int]:
    """So many right of so many."""
    n = draw(st.integers(1, 100_000))
    with localcontext(prec=40):
        return Decimal(draw(st.integers(0, n))) / n, n


@given(sample=samples(), confidence=CONFIDENCES)
def test_the_bounds_are_those_of_scipy(sample: tuple[Decimal, int], confidence: Decimal) -> None:
    proportion, n = sample
    # Each of our bounds holds by itself: the two-sided interval leaves out as much on either side.
    theirs = binomtest(round(proportion * n), n).proportion_ci(float(2 * confidence - 1), method="wilson")
    ours = wilson(proportion, n, confidence)
    assert float(ours.lower) == pytest.approx(theirs.low, abs=1e-9)
    assert float(ours.upper) == pytest.approx(theirs.high, abs=1e-9)


@given(sample=samples(), confidence=CONFIDENCES, bound=st.decimals(Decimal("0.001"), Decimal("0.999"), places=3))
def test_a_bound_is_met_exactly_when_the_score_test_rejects_what_is_below_it(
    sample: tuple[Decimal, int], confidence: Decimal, bound: Decimal
) -> None:
    """Wilson's own derivation, without a root: p − b ≥ 0 and n (p − b)² ≥ z² b (1 − b)."""
    proportion, n = sample
    z = Decimal(NormalDist().inv_cdf(float(confidence)))
    with localcontext(prec=60):
        room = n * (proportion - bound) ** 2 - z * z * bound * (1 - bound)
        rejected = proportion >= bound and room >= 0
        if abs(room) > Decimal("1e-20"):
            assert (wilson(proportion, n, confidence).lower >= bound) is rejected


@given(sample=samples(), confidence=CONFIDENCES)
def test_a_proportion_lies_within_its_bounds_and_they_within_0_and_1(
    sample: tuple[Decimal, int], confidence: Decimal
) -> None:
    lower, upper = wilson(*sample, confidence)
    assert 0 <= lower <= sample[0] <= upper <= 1


@given(sample=samples(), confidence=CONFIDENCES, more=st.integers(2, 100))
def test_more_samples_of_the_same_proportion_say_more(
    sample: tuple[Decimal, int], confidence: Decimal, more: int
) -> None:
    (proportion, n), few, many = sample, wilson(*sample, confidence), wilson(sample[0], sample[1] * more, confidence)
    assert many.upper - many.lower < few.upper - few.lower, (proportion, n)


@pytest.mark.parametrize(("right", "of", "lower"), [(20, 20, "0.8808"), (10, 10, "0.7871"), (1, 1, "0.2699")])
def test_all_right_of_few_is_not_surely_all_right(right: int, of: int, lower: str) -> None:
    """n / (n + z²), where the normal bound says 1."""
    assert wilson(Decimal(right) / of, of, Decimal("0.95")).lower.quantize(Decimal("0.0001")) == Decimal(lower)


@pytest.mark.parametrize("true", [0.5, 0.9, 0.95, 0.99])
def test_the_lower_bound_promises_too_much_in_no_more_than_the_share_that_is_said(true: float) -> None:
    """Of all outcomes of 200 samples, weighed by their probability; Wilson's coverage swings by a few per cent."""
    n, confidence = 200, Decimal("0.95")
    wrong = sum(
        binom.pmf(right, n, true)
        for right in range(n + 1)
        if wilson(Decimal(right) / n, n, confidence).lower > Decimal(str(true))
    )
    assert wrong < 0.05 + 0.04


# --- differences -----------------------------------------------------------------------------------------------------

# R. G. Newcombe 1998, table II, method 10 at 95 % two-sided: (right, of, right, of, lower, upper).
PUBLISHED = [
    (56, 70, 48, 80, "0.0524", "0.3339"),
    (9, 10, 3, 10, "0.1705", "0.8090"),
    (10, 10, 0, 20, "0.6791", "1.0000"),
    (10, 10, 0, 10, "0.6075", "1.0000"),
]


@pytest.mark.parametrize(("right", "of", "others", "of_others", "lower", "upper"), PUBLISHED)
def test_the_bounds_of_a_difference_are_the_published_ones(
    right: int, of: int, others: int, of_others: int, lower: str, upper: str
) -> None:
    given = newcombe(Decimal(right) / of, of, Decimal(others) / of_others, of_others, Decimal("0.975"))
    places = Decimal("0.0001")
    assert (given.lower.quantize(places), given.upper.quantize(places)) == (Decimal(lower), Decimal(upper))


@given(mine=samples(), other=samples(), confidence=CONFIDENCES)
def test_a_difference_the_other_way_round_has_the_bounds_the_other_way_round(
    mine: tuple[Decimal, int], other: tuple[Decimal, int], confidence: Decimal
) -> None:
    ours, theirs = newcombe(*mine, *other, confidence), newcombe(*other, *mine, confidence)
    assert abs(ours.lower + theirs.upper) < Decimal("1e-30")
    assert ours.lower <= mine[0] - other[0] <= ours.upper


# --- what is no proportion -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("proportion", ["-0.0001", "1.0001", "95"])
def test_what_is_not_within_0_and_1_has_no_bounds(proportion: str) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        wilson(Decimal(proportion), 10, Decimal("0.95"))


@pytest.mark.parametrize("of", [0, -1])
def test_no_samples_have_no_bounds(of: int) -> None:
    with pytest.raises(ValueError, match="samples"):
        wilson(Decimal("0.5"), of, Decimal("0.95"))


@pytest.mark.parametrize("confidence", ["0", "0.5", "1", "95"])
def test_a_confidence_is_more_than_a_half_and_less_than_sure(confidence: str) -> None:
    with pytest.raises(ValueError, match="no confidence"):
        wilson(Decimal("0.5"), 10, Decimal(confidence))
