"""What ``spec.data[].checks`` declares, as the validating container is told it; the fields are those of the CRD."""

from __future__ import annotations

import re
from typing import Annotated, Literal, TypeAlias

import msgspec

Decimal: TypeAlias = Annotated[str, msgspec.Meta(pattern=r"^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$")]
Type: TypeAlias = Literal["Integer", "Float", "String", "Boolean", "Timestamp"]


class _Wire(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    pass


class Drift(_Wire, frozen=True):
    """The largest distance that passes, each between 0 and 1."""

    l_infinity: Decimal | None = None
    jensen_shannon: Decimal | None = None
    kolmogorov_smirnov: Decimal | None = None


class Column(_Wire, frozen=True):
    name: str
    type: Type | None = None
    required: bool = True
    nullable: bool = False
    min_presence: Decimal | None = None
    unique: bool = False
    min_unique: int | None = None
    max_unique: int | None = None
    min: Decimal | None = None
    max: Decimal | None = None
    allow_infinite: bool = False
    pattern: str | None = None
    values: tuple[str, ...] = ()
    min_domain_mass: Decimal | None = None
    drift: Drift = Drift()


class Ratio(_Wire, frozen=True):
    min: Decimal | None = None
    max: Decimal | None = None


class Checks(_Wire, frozen=True):
    min_rows: int | None = None
    max_rows: int | None = None
    columns: tuple[Column, ...] = ()
    unexpected_columns: Literal["Refuse", "Allow"] = "Refuse"
    unique: tuple[str, ...] = ()
    baseline: Literal["None", "Previous"] = "None"
    row_ratio: Ratio = Ratio()

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def broken_pattern(self) -> str:
        """What is wrong with a column's pattern, or ''."""
        for column in self.columns:
            try:
                re.compile(column.pattern or "")
            except re.error as error:
                return f"the pattern of column {column.name} is no regular expression: {error}"
        return ""
