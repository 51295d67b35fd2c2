"""Waiting inside the container for a store, a Git server or MLflow that is away.

The Job's attempts are for faults of the code. Two of them are gone within half a minute, and a store that is restarted
takes longer; so what may pass by itself (:attr:`Failure.passes`) is tried again here, for some minutes, and the log
says each time what is waited for. After that the container fails as ever. What a store *says* (403, 404, other bytes)
is an answer, and nothing to wait for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from tandem.runtime.failure import Failure

VARIABLE: Final = "TANDEM_PATIENCE"
SECONDS: Final = 300.0  # for all that one container waits for
_FIRST: Final = 5.0
_LONGEST: Final = 60.0

T = TypeVar("T")


class Patience:
    """So many ``seconds``, pauses and tries in vain together, whatever is waited for; a pause is twice the one before.

    Of a try that fails at most a minute counts: so long a server that is silent keeps it. What broke off after an hour
    of downloading was no hour of waiting.
    """

    def __init__(
        self,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._left = seconds
        self._clock = clock
        self._sleep = sleep

    def outlast(self, attempt: Callable[[], T]) -> T:
        """What ``attempt`` gives, tried again while what it needs is away.

        Raises:
            Failure: that of the last try.
        """
        pause = _FIRST
        while True:
            began = self._clock()
            try:
                return attempt()
            except Failure as failure:
                self._left -= min(self._clock() - began, _LONGEST)
                if not failure.passes or self._left < pause:
                    raise
                words = " ".join(str(failure).split())
                print(f"{words}; tried again in {pause:.0f} s (for {self._left:.0f} s more)", flush=True)
            self._sleep(pause)
            self._left -= pause
            pause = min(2 * pause, _LONGEST)


def of(environment: Mapping[str, str]) -> Patience:
    """The variable is for whoever runs a container by hand, and for tests; the operator does not set it."""
    return Patience(float(environment.get(VARIABLE, SECONDS)))


def none() -> Patience:
    return Patience(0)
