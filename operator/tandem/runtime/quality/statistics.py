"""What is kept of a data set for the next one to be compared with: schema and distributions, no rows.

It is an artifact of the MLflow run (``tandem/data/<name>/statistics.json``): a new field is added, none is renamed.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from tandem.runtime.quality.checks import Type

QUANTILES: Final = 501  # a distance between two of them is exact to 2/500
_SAMPLE: Final = 100_000
_VALUES: Final = 1_000
_TRACKED: Final = 20_000  # distinct values that are counted one by one
_LENGTH: Final = 200


class ColumnStatistics(msgspec.Struct, frozen=True, omit_defaults=True):
    """``quantiles`` of numbers (and of times, in seconds), at equal steps; ``values``: counts of the most frequent.

    ``other``: how many values are not among ``values``.
    """

    type: Type
    count: int = 0
    missing: int = 0
    distinct: int = 0
    mean: float | None = None
    quantiles: tuple[float, ...] = ()
    values: dict[str, int] = {}
    other: int = 0


class Statistics(msgspec.Struct, frozen=True):
    digest: str
    rows: int
    columns: dict[str, ColumnStatistics]


class Gathering:
    """The statistics of one column, from batches. Memory is bounded; what is kept does not depend on chance."""

    def __init__(self, type_: Type) -> None:
        self.type = type_
        self.count = self.missing = self.other = 0
        self._sum = 0.0
        self._finite = 0
        self._values: dict[str, int] = {}
        self._sample: list[npt.NDArray[np.float64]] = []
        self._stride, self._offset = 1, 0
        self._seen = _Seen()

    def add(self, series: pd.Series) -> pd.Series:
        """Take a batch; which of its values had been there before (missing ones have not)."""
        present = series.dropna()
        self.count += len(present)
        self.missing += len(series) - len(present)
        if self.type in ("Integer", "Float", "Timestamp"):
            self._number(present)
        if self.type in ("Integer", "String", "Boolean"):
            self._tally(present)
        return self._again(present).reindex(series.index, fill_value=False)

    @property
    def distinct(self) -> int:
        return len(self._seen)

    def finished(self) -> ColumnStatistics:
        frequent = dict(sorted(self._values.items(), key=lambda item: (-item[1], item[0]))[:_VALUES])
        numbers = np.concatenate(self._sample) if self._sample else np.empty(0)
        steps = np.linspace(0, 1, QUANTILES)
        quantiles = np.quantile(numbers, steps, method="inverted_cdf") if len(numbers) else numbers
        return ColumnStatistics(
            type=self.type,
            count=self.count,
            missing=self.missing,
            distinct=self.distinct,
            mean=self._sum / self._finite if self._finite else None,
            quantiles=tuple(float(value) for value in quantiles),
            values=frequent,
            other=self.other + sum(self._values.values()) - sum(frequent.values()),
        )

    def _number(self, present: pd.Series) -> None:
        if self.type == "Timestamp":
            numbers = present.astype("datetime64[ns, UTC]").astype("int64").to_numpy(dtype=np.float64) / 1e9
        else:
            numbers = present.to_numpy(dtype=np.float64)
        numbers = numbers[np.isfinite(numbers)]
        self._sum += float(numbers.sum())
        self._finite += len(numbers)
        self._sample.append(numbers[self._offset :: self._stride])
        self._offset = (self._offset - len(numbers)) % self._stride
        if sum(map(len, self._sample)) > _SAMPLE:  # every second one goes, also of those to come
            kept = np.concatenate(self._sample)
            self._sample = [kept[::2]]
            if len(kept) % 2:
                self._offset += self._stride
            self._stride *= 2

    def _tally(self, present: pd.Series) -> None:
        for value, count in present.value_counts().items():
            key = str(value)[:_LENGTH]
            if key in self._values or len(self._values) < _TRACKED:
                self._values[key] = self._values.get(key, 0) + int(count)
            else:
                self.other += int(count)

    def _again(self, present: pd.Series) -> pd.Series:
        hashes = hashes_of(present)
        again = pd.Series(hashes).duplicated().to_numpy() | self._seen.among(hashes)
        self._seen.add(hashes[~again])
        return pd.Series(again, index=present.index)


class _Seen:
    """A set of hashes, 8 bytes each: sorted runs, of which the last is merged as soon as it is half as long as the one
    before, so that each hash is moved a few times only."""

    def __init__(self) -> None:
        self._runs: list[npt.NDArray[np.uint64]] = []

    def __len__(self) -> int:
        return sum(map(len, self._runs))

    def among(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        found = np.zeros(len(hashes), dtype=bool)
        for run in self._runs:
            places = np.minimum(np.searchsorted(run, hashes), len(run) - 1)
            found |= run[places] == hashes
        return found

    def add(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Hashes that are not in it, each once."""
        if len(hashes):
            self._runs.append(np.sort(hashes))
        while len(self._runs) > 1 and len(self._runs[-2]) < 2 * len(self._runs[-1]):
            self._runs[-2:] = [np.sort(np.concatenate(self._runs[-2:]))]


def hashes_of(series: pd.Series) -> npt.NDArray[np.uint64]:
    """64 bits of each value: two of ten million different ones are the same with a chance of 1 in 370,000."""
    hashed: npt.NDArray[np.uint64] = pd.util.hash_pandas_object(series, index=False).to_numpy(dtype=np.uint64)
    return hashed
