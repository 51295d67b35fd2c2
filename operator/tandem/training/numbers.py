"""Metrics as exact numbers, and as people read them."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Final

# MLflow's SQL store keeps an infinity as the largest double (measured on 3.17.2).
_LARGEST: Final = 1.797e308
# Between these powers of ten people read 0.0001 rather than 1E-4.
_PLAIN: Final = 6


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
