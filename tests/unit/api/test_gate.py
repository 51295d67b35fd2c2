"""Thresholds: decimal strings, because Kubernetes has no floats in its APIs."""

from __future__ import annotations

import math
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.api.gate import DECIMAL_PATTERN, decimal


@pytest.mark.parametrize(
    ("text", "number"),
    [("0.9", "0.9"), ("+3", "3"), ("-0.05", "-0.05"), ("1e-3", "0.001"), ("2E2", "200"), ("007", "7")],
)
def test_a_decimal_string_is_that_number_exactly(text: str, number: str) -> None:
    assert decimal(text) == Decimal(number)


@pytest.mark.parametrize("text", ["NaN", "nan", "sNaN", "Infinity", "-inf", "", "0,9", "90 %", "0x1", "1e"])
def test_what_is_no_finite_number_is_refused(text: str) -> None:
    """A threshold that compares false with everything would open the gate or close it for ever."""
    with pytest.raises(ValueError, match=r"is not a (finite|decimal) number"):
        decimal(text)
    assert not re.search(DECIMAL_PATTERN, text)


@given(st.from_regex(DECIMAL_PATTERN, fullmatch=True).filter(lambda text: len(text) <= 32 and text.isascii()))
def test_whatever_the_schema_lets_through_is_finite_as_decimal_and_as_double(text: str) -> None:
    """CEL compares doubles, the gate decimals; neither may overflow, and both must agree on the order."""
    assert decimal(text).is_finite()
    assert math.isfinite(float(text))


@pytest.mark.parametrize("text", ["1e100", "1e999", "1e-999", "1e9999999"])
def test_an_exponent_beyond_every_double_is_not_let_through(text: str) -> None:
    assert not re.search(DECIMAL_PATTERN, text)
