"""The values of one column of a batch, typed: what does not fit its type is told apart."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.types as arrow  # type: ignore[import-untyped]

from tandem.runtime.quality.checks import Type

# The same words as in a Parquet file's neighbours: nothing else is a truth value.
_TRUE: Final = frozenset({"true", "True", "TRUE", "1"})
_FALSE: Final = frozenset({"false", "False", "FALSE", "0"})
_INTEGER: Final = r"[+-]?[0-9]{1,18}"
_DTYPES: Final[dict[str, str]] = {
    "Integer": "Int64",
    "Float": "Float64",
    "String": "string",
    "Boolean": "boolean",
}


def type_of(column: pa.DataType) -> Type | None:
    """What a column of a Parquet file holds; None for what no rule can speak of (lists, structs, bytes)."""
    if arrow.is_dictionary(column):
        return type_of(column.value_type)
    if arrow.is_boolean(column):
        return "Boolean"
    if arrow.is_integer(column):
        return "Integer"
    if arrow.is_floating(column) or arrow.is_decimal(column):
        return "Float"
    if arrow.is_timestamp(column) or arrow.is_date(column):
        return "Timestamp"
    return "String" if arrow.is_string(column) or arrow.is_large_string(column) else None


def fits(found: Type, wanted: Type) -> bool:
    """Whole numbers are numbers; nothing else is two things."""
    return found == wanted or (found == "Integer" and wanted == "Float")


def typed(column: pa.Array, wanted: Type) -> tuple[pd.Series, pd.Series]:
    """The column as ``wanted``, and which of its values are none; missing values are missing in the first.

    A column of text is parsed; one of a Parquet file is cast, which :func:`fits` has allowed before.
    """
    found = type_of(column.type)
    if found == "String" and wanted != "String":
        return _parsed(column.to_pandas().astype("string"), wanted)
    if wanted == "Timestamp":
        series = pd.to_datetime(column.to_pandas(), utc=True)
    elif wanted in ("Integer", "Float") and not arrow.is_decimal(column.type):
        # A NaN of a float column is a missing value here, as it is in text.
        numbers = column.cast(pa.float64() if wanted == "Float" else pa.int64(), safe=False)
        series = pd.Series(
            numbers.to_numpy(zero_copy_only=False) if wanted == "Float" else numbers.to_pandas(types_mapper=None)
        )
        series = series.astype(_DTYPES[wanted])
    else:
        series = column.to_pandas().astype(_DTYPES[wanted])
    return series, pd.Series(np.zeros(len(series), dtype=bool), index=series.index)


def _parsed(text: pd.Series, wanted: Type) -> tuple[pd.Series, pd.Series]:
    stripped = text.str.strip()
    present = text.notna()
    if wanted == "Boolean":
        known = stripped.isin(_TRUE | _FALSE)
        series = stripped.isin(_TRUE).astype("boolean").where(known)
    elif wanted == "Integer":
        known = stripped.str.fullmatch(_INTEGER).fillna(False).astype(bool)
        series = stripped.where(known).astype("Int64")
    elif wanted == "Float":
        numbers = pd.to_numeric(stripped.astype(object), errors="coerce")
        # Python reads 1_000 and pandas 0x10 or "infinity" as numbers; only the first is refused by both.
        known = pd.Series(np.asarray(numbers.notna()), index=text.index)
        series = numbers.astype("Float64")
    else:
        series = pd.to_datetime(stripped, format="ISO8601", errors="coerce", utc=True)
        known = series.notna()
    return series, present & ~known.astype(bool)


def narrowed(column: pa.Array, candidates: tuple[Type, ...]) -> tuple[Type, ...]:
    """Which of the types all values of this column of text have."""
    text = column.to_pandas().astype("string")
    return tuple(one for one in candidates if one == "String" or not _parsed(text, one)[1].any())


CANDIDATES: Final[tuple[Type, ...]] = ("Integer", "Float", "Boolean", "Timestamp", "String")
