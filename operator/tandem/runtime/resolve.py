"""Waits until the cluster's DNS knows a name: ``python -m tandem.runtime.resolve HOST``.

A judgement's Service is made a moment before the pod that asks it. The cluster's DNS hears of it and of its pods later
than that, on a busy node by seconds, and then remembers for a while that there was nothing. What finds no host says
nothing of the revision that it judges (seen: a good one was rolled back for `Name or service not known`).

It ends well also when the name never comes: whoever asks then will tell.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from typing import Final

SECONDS: Final = 60.0
_PAUSE: Final = 0.5


def await_name(
    host: str,
    lookup: Callable[[str, int | None], object] = socket.getaddrinfo,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str:
    """One line about how it went; no DNS can be asked to tell when it knows, so it is asked again."""
    began = clock()
    while True:
        try:
            lookup(host, None)
        except OSError as error:
            waited = clock() - began
            if waited >= SECONDS:
                return f"{host} is not known after {waited:.0f} s: {error}"
        else:
            return f"{host} is known after {clock() - began:.1f} s"
        sleep(_PAUSE)


if __name__ == "__main__":
    print(await_name(sys.argv[1]), flush=True)
