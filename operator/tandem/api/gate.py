"""Thresholds on metrics: the words that a gate (before promotion) and a drift signal (after it) share."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

import msgspec

from tandem.api.meta import Wire

# Kubernetes has no floats in its APIs (API conventions, "Units"): thresholds are decimal strings.
# Two digits of exponent: 1e999 is infinite as a double, and 1e9999999 overflows decimal arithmetic.
DECIMAL_PATTERN = r"^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$"
DecimalString = Annotated[str, msgspec.Meta(pattern=DECIMAL_PATTERN, max_length=32)]
MetricName = Annotated[str, msgspec.Meta(min_length=1, max_length=250)]


class Change(Wire, frozen=True):
    """The least allowed difference to a baseline: value − baseline ≥ absolute (a tolerated loss is negative)."""

    absolute: DecimalString


class ChangeThreshold(Wire, frozen=True, kw_only=True):
    """The allowed difference between a candidate and its baseline, as TFMA's GenericChangeThreshold has it.

    HigherIsBetter: value − baseline ≥ absolute, (value − baseline) / |baseline| ≥ relative; LowerIsBetter: ≤. Both
    bounds together must both hold. ``baseline_metric`` is how the candidate's own run logged the baseline.
    """

    direction: Literal["HigherIsBetter", "LowerIsBetter"]
    absolute: DecimalString | None = None
    relative: DecimalString | None = None
    baseline_metric: MetricName | None = None


def decimal(text: str) -> Decimal:
    """A threshold as a number; the schema's pattern has let nothing else through.

    Raises:
        ValueError: the text is not a finite decimal.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text!r} is not a decimal number") from None
    if not number.is_finite():
        raise ValueError(f"{text!r} is not a finite number")
    return number
