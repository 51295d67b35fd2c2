"""What a data set breaks: a rule, how often, and a few values that show it; never a whole row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

EXAMPLES: Final = 3
_LENGTH: Final = 40  # characters of an example


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """``kind``: the anomaly in TFDV's words. ``column``: '' where it is the data set's. ``count`` of ``total``."""

    kind: str
    rule: str
    column: str = ""
    count: int = 0
    total: int = 0
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"column {shown(self.column)}: " if self.column else ""
        often = f"{self.count} of {self.total} values " if self.total else ""
        such = f" ({', '.join(self.examples)})" if self.examples else ""
        return f"{where}{often}{self.rule}{such}"


class Tally:
    """Counts what breaks a rule, batch after batch, and keeps the first few examples."""

    def __init__(self) -> None:
        self.count = 0
        self._examples: dict[str, None] = {}

    def add(self, count: int, examples: Iterable[object]) -> None:
        self.count += count
        for example in examples:
            if len(self._examples) >= EXAMPLES:
                return
            self._examples[shown(example)] = None

    @property
    def examples(self) -> tuple[str, ...]:
        return tuple(self._examples)


def shown(value: object) -> str:
    """A value as it may be told: one line, not long, nothing that a terminal would obey."""
    text = "".join(character if character.isprintable() else "?" for character in str(value))
    return text if len(text) <= _LENGTH else f"{text[: _LENGTH - 1]}…"
