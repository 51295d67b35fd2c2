"""Durations as Kubernetes writes them in custom resources (``metav1.Duration``): 90s, 10m, 1h30m."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import msgspec

DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(s|m|h))+$"
Duration = Annotated[str, msgspec.Meta(pattern=DURATION_PATTERN, max_length=32)]

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|h)")
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_duration(text: str) -> timedelta:
    """The duration that ``text`` names.

    Raises:
        ValueError: the text has another form, or is longer than any clock can hold.
    """
    if not re.match(DURATION_PATTERN, text):
        raise ValueError(f"{text!r} is not a duration like 90s, 10m or 1h30m")
    try:
        return timedelta(seconds=sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))
    except OverflowError:
        raise ValueError(f"{text!r} is too long a duration") from None
