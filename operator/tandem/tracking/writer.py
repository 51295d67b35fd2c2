"""Carries out a Plan's writes to MLflow; each may be repeated at any time, also after a crash between two requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from tandem.api.facts import Told
from tandem.api.plan import EndRun, EnsureRun, MoveAlias, Outside, Refused, RegisterVersion, TagRun, TagVersion
from tandem.tracking.client import MlflowClient
from tandem.tracking.errors import TrackingFailure
from tandem.tracking.experiments import Experiments
from tandem.tracking.promotions import Ledger
from tandem.tracking.registry_writes import RegistryWrites
from tandem.tracking.run_writes import RunWrites


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


class TrackingWriter:
    """``experiments`` is shared with the reader. ``milliseconds`` since the epoch date what is written.

    ``sleep`` passes while a new version is not READY yet.
    """

    def __init__(
        self,
        client: MlflowClient,
        *,
        experiments: Experiments | None = None,
        milliseconds: Callable[[], int] = _milliseconds,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        experiments = experiments or Experiments(client)
        self._runs = RunWrites(client, experiments, milliseconds)
        self._registry = RegistryWrites(client, Ledger(client, experiments, milliseconds), sleep)

    async def carry_out(self, write: Outside) -> Told:
        """Returns when it is done, or was done before; with the answers that are known by that.

        Raises:
            Refused: MLflow could not or would not; the reason is fit for a condition and the message says what to do.
        """
        try:
            match write:
                case EnsureRun():
                    return await self._runs.ensure(write)
                case TagRun():
                    await self._runs.tag(write)
                case EndRun():
                    await self._runs.end(write)
                case RegisterVersion():
                    await self._registry.register(write)
                case TagVersion():
                    await self._registry.tag_version(write)
                case MoveAlias():
                    await self._registry.move_alias(write)
        except TrackingFailure as failure:
            raise Refused(failure.reason, failure.message) from failure
        return {}
