"""A data set against the one before it: columns, types, number of rows, and the distances of distributions.

TFX's DistributionValidator, closed: a distance that was asked for and cannot be computed fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from tandem.runtime.quality import distances
from tandem.runtime.quality.checks import Checks, Column
from tandem.runtime.quality.findings import Finding, shown
from tandem.runtime.quality.statistics import ColumnStatistics, Statistics

_OTHER: Final = "\0other"  # the values that are not counted one by one
_NUMERIC: Final = ("Integer", "Float", "Timestamp")


def comparisons(checks: Checks, now: Statistics, before: Statistics | None) -> Iterator[Finding]:
    """What has changed too much since ``before``; nothing where there is nothing before."""
    if before is None:
        return
    if before.rows:
        yield from _schema(checks, now, before)
    yield from _rows(checks, now, before)
    for column in checks.columns:
        if any(limit is not None for limit in _limits(column).values()):
            yield from _distances(column, now.columns.get(column.name), before.columns.get(column.name))


def _schema(checks: Checks, now: Statistics, before: Statistics) -> Iterator[Finding]:
    """What is not declared has the schema of the previous data set.

    Where columns are declared and no others may be there, nothing is left: others are refused as not declared.
    """
    refuses = checks.unexpected_columns == "Refuse"
    if checks.columns and refuses:
        return
    declared = {column.name for column in checks.columns}
    for name in before.columns:
        if name not in now.columns and name not in declared:
            words = "is missing; the previous data had it: declare it with required: false if that is meant"
            yield Finding("SCHEMA_MISSING_COLUMN", words, name)
    for name, column in now.columns.items():
        if name in declared:
            continue
        known = before.columns.get(name)
        if known is None:
            if refuses:
                yield Finding("SCHEMA_NEW_COLUMN", "is new; set unexpectedColumns: Allow if that is meant", name)
        elif known.type != column.type and not (known.type == "Float" and column.type == "Integer"):
            yield Finding("UNEXPECTED_DATA_TYPE", f"is {column.type}, it was {known.type} before", name)


def _rows(checks: Checks, now: Statistics, before: Statistics) -> Iterator[Finding]:
    limits = checks.row_ratio
    if limits.min is None and limits.max is None:
        return
    if before.rows == 0:
        yield Finding("COMPARATOR_CONTROL_DATA_MISSING", "cannot be compared: the previous data had no rows")
        return
    ratio = now.rows / before.rows
    told = f"has {now.rows} rows, {ratio:.4g} of the {before.rows} before"
    if limits.min is not None and ratio < float(limits.min):
        yield Finding("COMPARATOR_LOW_NUM_EXAMPLES", f"{told}; rowRatio.min is {limits.min}")
    if limits.max is not None and ratio > float(limits.max):
        yield Finding("COMPARATOR_HIGH_NUM_EXAMPLES", f"{told}; rowRatio.max is {limits.max}")


def _limits(column: Column) -> dict[str, str | None]:
    drift = column.drift
    return {
        "lInfinity": drift.l_infinity,
        "jensenShannon": drift.jensen_shannon,
        "kolmogorovSmirnov": drift.kolmogorov_smirnov,
    }


def _distances(column: Column, now: ColumnStatistics | None, before: ColumnStatistics | None) -> Iterator[Finding]:
    if before is None or not before.count:
        yield Finding("COMPARATOR_CONTROL_DATA_MISSING", "cannot be compared: the previous data had none", column.name)
        return
    if now is None or not now.count:
        yield Finding("COMPARATOR_TREATMENT_DATA_MISSING", "cannot be compared: it has no values", column.name)
        return
    for name, limit in _limits(column).items():
        if limit is None:
            continue
        kind = _KINDS[name]
        measured = _measured(name, now, before)
        if measured is None:
            words = f"cannot be compared by {name}: it is {now.type}, and was {before.type}"
            yield Finding("COMPARATOR_CONTROL_DATA_MISSING", words, column.name)
        elif measured[0] > float(limit):
            distance, most = measured
            words = f"has moved: {name} {distance:.4g}, at most {limit} passes"
            yield Finding(kind, words, column.name, examples=(f"most: {shown(most)}",) if most else ())


_KINDS: Final = {
    "lInfinity": "COMPARATOR_L_INFTY_HIGH",
    "jensenShannon": "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH",
    "kolmogorovSmirnov": "COMPARATOR_KOLMOGOROV_SMIRNOV_HIGH",
}


def _measured(name: str, now: ColumnStatistics, before: ColumnStatistics) -> tuple[float, str] | None:
    """The distance, and the value that has moved most where that can be told; None: the two have no such distance."""
    numbers = now.type in _NUMERIC and before.type in _NUMERIC and bool(now.quantiles) and bool(before.quantiles)
    categories = bool(now.values or now.other) and bool(before.values or before.other)
    if name == "lInfinity":
        if not categories:
            return None
        distance, most = distances.l_infinity(_counts(before), _counts(now))
        return distance, "" if most == _OTHER else most
    if name == "kolmogorovSmirnov":
        if not numbers:
            return None
        return distances.kolmogorov_smirnov(np.array(before.quantiles), np.array(now.quantiles)), ""
    if numbers:
        return distances.jensen_shannon_of_numbers(np.array(before.quantiles), np.array(now.quantiles)), ""
    return (distances.jensen_shannon(_counts(before), _counts(now)), "") if categories else None


def _counts(column: ColumnStatistics) -> dict[str, float]:
    """Counts by value; those of a set with very many values in one more."""
    counts: dict[str, float] = dict(column.values)
    return {**counts, _OTHER: column.other} if column.other else counts
