"""``spec.data[].checks`` of a TrainingJob: what a data set has to hold before anything is trained on it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from tandem.api.gate import DecimalString
from tandem.api.meta import Wire

ColumnName = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]  # whole numbers that JSON keeps everywhere


class ColumnDrift(Wire, frozen=True):
    """The largest distance from the previous data that passes, each between 0 and 1."""

    l_infinity: DecimalString | None = None
    jensen_shannon: DecimalString | None = None
    kolmogorov_smirnov: DecimalString | None = None


class ColumnCheck(Wire, frozen=True):
    """What the values of one column are held to."""

    name: ColumnName
    type: Literal["Integer", "Float", "String", "Boolean", "Timestamp"] | None = None
    required: bool = True
    nullable: bool = False
    min_presence: DecimalString | None = None
    unique: bool = False
    min_unique: Count | None = None
    max_unique: Count | None = None
    min: DecimalString | None = None
    max: DecimalString | None = None
    allow_infinite: bool = False
    pattern: Annotated[str, msgspec.Meta(max_length=512)] | None = None
    values: Annotated[tuple[Annotated[str, msgspec.Meta(max_length=256)], ...], msgspec.Meta(max_length=100)] = ()
    min_domain_mass: DecimalString | None = None
    drift: ColumnDrift = ColumnDrift()


class RowRatio(Wire, frozen=True):
    min: DecimalString | None = None
    max: DecimalString | None = None


class DataChecks(Wire, frozen=True):
    min_rows: Count | None = None
    max_rows: Count | None = None
    columns: Annotated[tuple[ColumnCheck, ...], msgspec.Meta(max_length=200)] = ()
    unexpected_columns: Literal["Refuse", "Allow"] = "Refuse"
    unique: Annotated[tuple[ColumnName, ...], msgspec.Meta(max_length=16)] = ()
    baseline: Literal["None", "Previous"] = "None"
    row_ratio: RowRatio = RowRatio()
