"""How many examples a property is held against."""

from __future__ import annotations

import os
from typing import Final

ALL: Final = os.environ.get("FAULTS") == "all"


def examples(number: int) -> int:
    """So many with ``FAULTS=all`` (``make soak``), other ones each time; a third of them else, always the same ones."""
    return number if ALL else max(1, number // 3)
