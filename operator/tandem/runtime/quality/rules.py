"""The rules that every value is held to, as a pandera schema; the words in which each is told when it is broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

from tandem.runtime.quality.checks import Column
from tandem.runtime.quality.values import _DTYPES

_NULLABLE: Final = "not_nullable"  # pandera's own name of the rule


@dataclass(frozen=True)
class Rule:
    """``kind``: TFDV's anomaly; ``words``: what the values do."""

    name: str
    kind: str
    words: str


def rules_of(column: Column) -> dict[str, Rule]:
    """The value rules of a column, by the name that its checks have in pandera."""
    number = "INT" if column.type == "Integer" else "FLOAT"
    rules = [
        Rule("min", f"{number}_TYPE_SMALL_{number}", f"are below min {column.min}"),
        Rule("max", f"{number}_TYPE_BIG_{number}", f"are above max {column.max}"),
        Rule("finite", "FLOAT_TYPE_HAS_INF", "are infinite; set allowInfinite if that is meant"),
        Rule("pattern", "STRING_TYPE_PATTERN", f"do not match pattern {column.pattern}"),
        Rule("values", "ENUM_TYPE_UNEXPECTED_STRING_VALUES", f"are none of the {len(column.values)} values declared"),
        Rule(
            _NULLABLE,
            "FEATURE_TYPE_LOW_FRACTION_PRESENT",
            "are missing; set nullable if that is meant",
        ),
    ]
    return {rule.name: rule for rule in rules}


def schema_of(column: Column) -> pa.DataFrameSchema:
    """The schema for batches of this one column, whose values are typed already."""
    dtype = _DTYPES.get(column.type or "", None)
    declared = pa.Column(dtype, list(_checks(column)), nullable=column.nullable or column.min_presence is not None)
    return pa.DataFrameSchema({column.name: declared})


def _checks(column: Column) -> Iterator[pa.Check]:
    numeric = column.type in ("Integer", "Float")
    if column.min is not None and numeric:
        least = _bound(column, column.min)
        yield pa.Check(lambda s: s >= least, name="min")
    if column.max is not None and numeric:
        most = _bound(column, column.max)
        yield pa.Check(lambda s: s <= most, name="max")
    if column.type == "Float" and not column.allow_infinite:
        yield pa.Check(lambda s: ~np.isinf(s.astype("float64")), name="finite")
    if column.pattern is not None and column.type == "String":
        yield pa.Check(lambda s: s.str.fullmatch(column.pattern), name="pattern")
    if column.values and column.min_domain_mass is None:
        yield pa.Check(lambda s: in_domain(column, s), name="values")


def in_domain(column: Column, series: pd.Series) -> pd.Series:
    """Which values are among those declared: numbers by their value, everything else by its text."""
    if column.type in ("Integer", "Float"):
        numbers = {float(Decimal(value)) for value in column.values if _is_number(value)}
        return series.astype("float64").isin(numbers)
    if column.type == "Boolean":
        return series.astype("string").str.lower().isin({value.lower() for value in column.values})
    return series.astype("string").isin(set(column.values))


def broken(schema: pa.DataFrameSchema, frame: pd.DataFrame) -> Iterator[tuple[str, int, list[Any]]]:
    """Which rules the batch breaks: name, how often, some of the values."""
    try:
        schema.validate(frame, lazy=True)
    except SchemaErrors as errors:
        for name, cases in errors.failure_cases.groupby("check", sort=False):
            yield str(name), len(cases), list(cases["failure_case"].head(3))


def _bound(column: Column, text: str) -> int | float:
    """Exact where the column is: 9007199254740993 is no double."""
    exact = Decimal(text)
    return int(exact) if column.type == "Integer" and exact == exact.to_integral_value() else float(exact)


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except ArithmeticError:
        return False
