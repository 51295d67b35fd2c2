"""What is kept of a column is the same however it comes, and bounded however long it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.runtime.quality import statistics
from tandem.runtime.quality.distances import kolmogorov_smirnov
from tandem.runtime.quality.statistics import Gathering


def gathered(values: list[float], sizes: list[int]) -> Gathering:
    gathering, place = Gathering("Float"), 0
    for size in [*sizes, len(values)]:
        gathering.add(pd.Series(values[place : place + size], dtype="Float64"))
        place += size
    return gathering


@given(st.lists(st.floats(-1e6, 1e6), max_size=100), st.lists(st.integers(0, 20), max_size=10))
def test_batches_of_any_size_keep_the_same(values: list[float], sizes: list[int]) -> None:
    kept, whole = gathered(values, sizes).finished(), gathered(values, []).finished()
    assert kept.quantiles == whole.quantiles
    assert (kept.count, kept.distinct) == (len(values), len({v + 0.0 for v in values}))
    assert kept.mean == pytest.approx(whole.mean)


@pytest.mark.parametrize("size", [97, 1_000, 4_096])
def test_a_long_column_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(statistics, "_SAMPLE", 1_000)
    values = np.random.default_rng(0).normal(size=20_000)
    gathering = gathered(list(values), [size] * (len(values) // size))
    sample = np.concatenate(gathering._sample)
    assert len(sample) <= 1_000 + size
    stride = gathering._stride
    assert list(sample[: len(values[::stride])]) == list(values[::stride][: len(sample)])
    assert kolmogorov_smirnov(np.array(gathering.finished().quantiles), values) < 0.06


def test_a_value_that_was_there_in_an_earlier_batch_is_there_again() -> None:
    gathering = Gathering("String")
    first = gathering.add(pd.Series(["a", "b", None, None], dtype="string"))
    second = gathering.add(pd.Series(["b", "c", "c", None], dtype="string"))
    assert (list(first), list(second)) == ([False] * 4, [True, False, True, False])
    assert (gathering.distinct, gathering.missing) == (3, 3)
