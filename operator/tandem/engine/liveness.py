"""Whether this process does its work: the reasons why the kubelet should start it anew.

Answering at all proves that the event loop moves. Beyond that: keys wait and no worker takes one; a watch stands
still; a watch is deaf (:mod:`tandem.engine.watches`). None of them depends on the API server or MLflow being there:
restarting everything while those are away only adds to the trouble.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import msgspec

from tandem.api.meta import Json, Key, ObjectMeta
from tandem.engine.api import ApiError, ApiServer, ApiUnavailable
from tandem.engine.controller import object_path
from tandem.engine.queue import KeyedQueue
from tandem.engine.watches import Awaited, Watches, is_watched

logger = logging.getLogger(__name__)

STUCK: Final = 120.0  # seconds; every request of a worker ends within 30


class Liveness:
    """``queue`` is looked at once workers are there: a replica that waits to lead has none."""

    def __init__(self, watches: Watches, api: ApiServer) -> None:
        self._watches = watches
        self._api = api
        self._queue: KeyedQueue[Key] | None = None

    def follow(self, queue: KeyedQueue[Key]) -> None:
        """From now on, what waits in the queue is taken by workers."""
        self._queue = queue

    def problems(self) -> list[str]:
        """Empty: alive."""
        problems = self._watches.problems()
        if self._queue is not None and self._queue.stuck > STUCK:
            problems.append(f"no worker has taken a key for {self._queue.stuck:.0f} s")
        return problems

    async def run(self) -> None:
        """Look after suspicions, for ever."""
        while True:
            await asyncio.sleep(self._watches.patience / 12)
            for awaited in self._watches.overdue():
                await self._confirm(awaited)

    async def _confirm(self, awaited: Awaited) -> None:
        """Ask for the object itself: one that is gone may have gone while the watch was being connected anew."""
        names = {"namespace": awaited.meta.namespace, "name": awaited.meta.name}
        try:
            body: Json = await self._api.request("GET", object_path(awaited.type_), names)
        except (ApiError, ApiUnavailable) as error:
            if isinstance(error, ApiError) and error.code == 404:
                self._watches.excuse(awaited)
            return  # else nobody can tell; asked again
        if not is_watched(awaited.type_, msgspec.convert(body["metadata"], ObjectMeta)):
            self._watches.excuse(awaited)
        elif proof := self._watches.convict(awaited):
            logger.error("%s", proof)
