"""How a command inside a pod fails: an exit code that says whose fault it is, and one sentence for the status.

The pods use ``terminationMessagePolicy: FallbackToLogsOnError``: the kubelet puts the end of the log into the
container's termination message, and the operator shows that to the user. So the last line is the message.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import ClassVar


class Failure(Exception):
    """The command cannot go on; ``str()`` is one sentence that says what is wrong and what to do."""

    exit_code: ClassVar[int] = 1
    passes: ClassVar[bool] = False  # by itself, most often: nobody has given an answer (:mod:`tandem.runtime.patience`)


class NotFetched(Failure):
    """It could not be fetched, or not be used as it is."""

    exit_code: ClassVar[int] = 4


class StoreFailed(NotFetched):
    """The store failed of itself: 5xx, too many requests, a connection that broke off."""

    passes: ClassVar[bool] = True


class NotFound(Failure):
    """The store says that there is no such thing."""

    exit_code: ClassVar[int] = 5


class AccessDenied(Failure):
    """The store wants credentials, or others."""

    exit_code: ClassVar[int] = 6


class Unreachable(Failure):
    """Nobody answers: refused connection, silence, no name service."""

    exit_code: ClassVar[int] = 7
    passes: ClassVar[bool] = True


class HostUnknown(Unreachable):
    """The name service answers that there is no such name: it is misspelt, most often."""

    passes: ClassVar[bool] = False


class NoSpace(Failure):
    """The volume is full."""

    exit_code: ClassVar[int] = 8


class NotRecorded(Failure):
    """MLflow did not take what the run has to be recorded with: a run that nobody could trace does not start."""

    exit_code: ClassVar[int] = 9


class MlflowAway(NotRecorded):
    """MLflow did not answer, or failed of itself."""

    passes: ClassVar[bool] = True


def run(command: Callable[[], None]) -> int:
    """The exit code of ``command``; a :class:`Failure` becomes the last line on stderr, without a traceback."""
    # As process 1 of a container there is no default action: without this, a pod deleted while it clones or loads
    # would sit out its whole grace period.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        command()
    except Failure as failure:
        sys.stdout.flush()
        print(" ".join(str(failure).split()), file=sys.stderr, flush=True)
        return failure.exit_code
    return 0
