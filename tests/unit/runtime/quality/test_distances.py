"""Distances are those of scipy, between 0 and 1, and none between a thing and itself."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon  # type: ignore[import-untyped]
from scipy.stats import ks_2samp  # type: ignore[import-untyped]

from tandem.runtime.quality.distances import (
    jensen_shannon,
    jensen_shannon_of_numbers,
    kolmogorov_smirnov,
    l_infinity,
)

COUNTS = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 1000), min_size=1)
NUMBERS = st.lists(st.integers(-50, 50).map(float), min_size=1, max_size=60).map(np.array)


@given(COUNTS, COUNTS)
def test_jensen_shannon_is_scipys_squared(before: dict[str, float], now: dict[str, float]) -> None:
    values = sorted(before.keys() | now.keys())
    p, q = ([counts.get(value, 0) for value in values] for counts in (before, now))
    assert jensen_shannon(before, now) == pytest.approx(jensenshannon(p, q, base=2) ** 2, abs=1e-9)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # scipy's own, about its p-value, which nobody asks for
@given(NUMBERS, NUMBERS)
def test_kolmogorov_smirnov_is_scipys(before: np.ndarray, now: np.ndarray) -> None:
    assert kolmogorov_smirnov(before, now) == pytest.approx(ks_2samp(before, now, method="asymp").statistic, abs=1e-12)


@given(COUNTS, COUNTS)
def test_l_infinity_is_the_largest_change_of_a_share(before: dict[str, float], now: dict[str, float]) -> None:
    distance, value = l_infinity(before, now)
    share, other = before.get(value, 0) / sum(before.values()), now.get(value, 0) / sum(now.values())
    assert distance == pytest.approx(abs(share - other))
    assert 0 <= distance <= 1


@given(COUNTS, NUMBERS)
def test_nothing_is_far_from_itself(counts: dict[str, float], numbers: np.ndarray) -> None:
    assert l_infinity(counts, counts)[0] == 0
    assert jensen_shannon(counts, counts) == pytest.approx(0, abs=1e-12)
    assert jensen_shannon_of_numbers(numbers, numbers) == 0
    assert kolmogorov_smirnov(numbers, numbers) == 0


@given(NUMBERS, NUMBERS)
def test_every_distance_is_between_0_and_1(before: np.ndarray, now: np.ndarray) -> None:
    assert 0 <= jensen_shannon_of_numbers(before, now) <= 1 + 1e-12
    assert 0 <= kolmogorov_smirnov(before, now) <= 1
