"""What a command says when it cannot do what it was asked for."""

from __future__ import annotations

from typing import Final

# Beside those of `wait` (0: ready, 1: failed, 2: not yet): no answer at all.
EXIT_NO_ANSWER: Final = 3


class CommandError(Exception):
    """The message says what is wrong and what to do; nothing was changed."""
