"""Every ~10 minutes: compare what is remembered with what the server lists, and look at every resource again.

Heals every event that a watch missed: after a 410 kopf lists anew but reports no deletion (measured), and a handler
that failed is not called again. Only metadata is listed; an object that differs is fetched alone. The first pass, at
start, lists whole objects, so that no plan is made before everything is known.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from itertools import chain, repeat
from typing import Final

import msgspec

from tandem.api.meta import Key, ObjectMeta
from tandem.engine.api import ApiError, ApiServer, ApiUnavailable
from tandem.engine.controller import ResourceType, object_path
from tandem.engine.store import Store
from tandem.engine.watches import selector_of

logger = logging.getLogger(__name__)

PERIOD: Final = 600.0  # seconds; ± 10 %, so that replicas do not all list at once
# kopf makes a list of its own, after ours: what is deleted in between (by ourselves, say) no event tells.
_AFTER_START: Final = (5.0, 30.0)


class Resync:
    def __init__(
        self,
        api: ApiServer,
        store: Store,
        enqueue: Callable[[Key], None],
        namespaces: tuple[str, ...],
        period: float = PERIOD,
        learnt: Callable[[str, ObjectMeta], None] = lambda *_: None,
    ) -> None:
        self._api = api
        self._store = store
        self._enqueue = enqueue
        self._namespaces: tuple[str | None, ...] = namespaces or (None,)
        self._period = period
        self._learnt = learnt  # told of everything that a comparison lists

    async def fill(self) -> None:
        """List everything once; only then may plans be made. Tried until the API server answers."""
        delay = 0.5
        for type_ in self._store.watched():
            while True:
                try:
                    await self._list(type_)
                    break
                except (ApiUnavailable, ApiError) as error:
                    logger.warning("%s cannot be listed; trying again in %.1f s: %s", type_.plural, delay, error)
                    await asyncio.sleep(delay)
                    delay = min(delay * 2, 15.0)
        self._enqueue_all(self._store.all_keys())

    async def run(self) -> None:
        for delay in chain(_AFTER_START, repeat(self._period)):
            await asyncio.sleep(min(delay, self._period) * random.uniform(0.9, 1.1))
            for type_ in self._store.watched():
                try:
                    await self.compare(type_)
                except (ApiUnavailable, ApiError) as error:
                    logger.warning("the comparison of %s was cut short: %s", type_.plural, error)
            self._enqueue_all(self._store.all_keys())

    async def compare(self, type_: ResourceType) -> None:
        """Fetch what is newer than remembered, forget what is not there any more."""
        known = self._store.known(type_.kind)
        listed: set[str] = set()
        for namespace in self._namespaces:
            async for item in self._api.list(type_, namespace, selector_of(type_), metadata_only=True):
                meta = msgspec.convert(item["metadata"], ObjectMeta)
                listed.add(meta.uid)
                self._learnt(type_.kind, meta)
                before = known.get(meta.uid)
                if before is None or before.resource_version != meta.resource_version:
                    await self._fetch(type_, meta)
        for uid, meta in known.items():
            if uid not in listed:
                self._enqueue_all(self._store.forget(type_.kind, {"metadata": msgspec.to_builtins(meta)}))

    async def _list(self, type_: ResourceType) -> None:
        for namespace in self._namespaces:
            async for item in self._api.list(type_, namespace, selector_of(type_)):
                self._store.observe(type_.kind, item)

    async def _fetch(self, type_: ResourceType, meta: ObjectMeta) -> None:
        try:
            body = await self._api.request("GET", object_path(type_), {"namespace": meta.namespace, "name": meta.name})
        except ApiError as error:
            if error.code != 404:
                raise
            return
        self._enqueue_all(self._store.observe(type_.kind, body))

    def _enqueue_all(self, keys: Iterable[Key]) -> None:
        for key in keys:
            self._enqueue(key)
