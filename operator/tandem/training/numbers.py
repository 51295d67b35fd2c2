"""Metrics as exact numbers, and as people read them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final

# MLflow's SQL store keeps an infinity as the largest double (measured on 3.17.2).
_LARGEST: Final = 1.797e308
# Between these powers of ten people read 0.0001 rather than 1E-4.
_PLAIN: Final = 6
_NEVER: Final = "was never logged"


class OwnMetrics(dict[str, float]):
    """The metrics of one attempt, and the ``others`` that are in its run, with what is to be said of those."""

    def __init__(self, own: Mapping[str, float], others: Collection[str], told: str) -> None:
        super().__init__(own)
        self._others = frozenset(others)
        self._told = told

    def absence(self, name: str) -> str:
        return self._told if name in self._others else _NEVER


def absence(name: str, metrics: Mapping[str, float]) -> str:
    """Of a metric that is not there: why it is not."""
    return metrics.absence(name) if isinstance(metrics, OwnMetrics) else _NEVER


def finite(value: float) -> bool:
    return math.isfinite(value) and abs(value) < _LARGEST


def exact(value: float) -> Decimal:
    """A finite double as the decimal that it prints as: 0.1 is a tenth."""
    return Decimal(repr(value))


def number(value: float) -> str:
    """A metric as status shows it: exact as a double prints, NaN and infinities by name."""
    if math.isnan(value):
        return "NaN"
    if abs(value) >= _LARGEST:
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def short(value: Decimal | Fraction) -> str:
    """Six digits, for people; what was compared is the exact number."""
    with localcontext(prec=6):
        told = Decimal(value.numerator) / Decimal(value.denominator) if isinstance(value, Fraction) else +value
        told = told.normalize()
        return f"{told:f}" if -_PLAIN <= told.adjusted() <= _PLAIN else str(told)


def signed(value: Decimal | Fraction) -> str:
    return f"{'+' if value > 0 else ''}{short(value)}"
