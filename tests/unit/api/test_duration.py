"""Durations as Kubernetes writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.api.duration import parse_duration


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(hours=1, minutes=30)),
        ("1.5h", timedelta(minutes=90)),
        ("0s", timedelta()),
        ("1m1m", timedelta(minutes=2)),
        ("8784h", timedelta(days=366)),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "90", "s", "1d", "-1h", "1h ", " 1h", "1 h", "1,5h", "one hour", "1h30", "∞h"])
def test_anything_else_is_refused_with_an_example_of_what_is_right(text: str) -> None:
    with pytest.raises(ValueError, match="90s, 10m or 1h30m"):
        parse_duration(text)


def test_a_duration_longer_than_a_clock_can_hold_is_refused() -> None:
    """The API server refuses it first (CEL); this is for whoever reads one from elsewhere."""
    with pytest.raises(ValueError, match="too long"):
        parse_duration("9" * 31 + "h")


@given(hours=st.integers(0, 8784), minutes=st.integers(0, 100_000), seconds=st.integers(0, 10_000_000))
def test_parts_add_up_in_any_order(hours: int, minutes: int, seconds: int) -> None:
    whole = timedelta(hours=hours, minutes=minutes, seconds=seconds)

    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == whole
    assert parse_duration(f"{seconds}s{hours}h{minutes}m") == whole
