"""All lists of this process: at the start, before a watch begins anew, and every ~10 minutes to compare.

At the start whole objects are listed, so that no plan is made before everything is known. Watches go on from there:
kopf lists before it watches, but is given the version of our own list instead of objects (session.py). Else everything
would be listed twice, as Python objects all at a time, and what is deleted between the two, or while a watch was cut
off (410 Gone), no event would tell.

A comparison heals what a watch has missed nevertheless: a handler that failed is not called again. Only metadata is
listed for it; an object that differs is fetched alone.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

import msgspec

from tandem.api.meta import Key, ObjectMeta
from tandem.engine.api import ApiError, ApiServer, ApiUnavailable
from tandem.engine.controller import ResourceType, list_path, object_path
from tandem.engine.store import Store
from tandem.engine.watches import selector_of

logger = logging.getLogger(__name__)

PERIOD: Final = 600.0  # seconds; ± 10 %, so that replicas do not all list at once


class _Listed(NamedTuple):
    version: str  # of the list
    uids: set[str]
    news: list[Key]  # to look at again


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
        self._listed: dict[str, str] = {}  # path → the version of a list from which no watch goes on yet

    async def fill(self) -> None:
        """List everything once; only then may plans be made. Tried until the API server answers."""
        delay = 0.5
        for type_ in self._store.watched():
            for namespace in self._namespaces:
                while True:
                    try:
                        self._listed[list_path(type_, namespace)] = (await self._list(type_, namespace)).version
                        break
                    except (ApiUnavailable, ApiError) as error:
                        logger.warning("%s cannot be listed; trying again in %.1f s: %s", type_.plural, delay, error)
                        await asyncio.sleep(delay)
                        delay = min(delay * 2, 15.0)
        self._enqueue_all(self._store.all_keys())

    async def version_to_watch_from(self, path: str) -> str:
        """Everything up to this version is known here; lists anew, unless :meth:`fill` has just done so.

        Nothing when no such list is watched.

        Raises:
            ApiError, ApiUnavailable: it cannot be listed.
        """
        scopes = {list_path(type_, namespace): (type_, namespace) for type_, namespace in self._scopes()}
        if path not in scopes:
            return ""
        return self._listed.pop(path, "") or await self._list_anew(*scopes[path])

    async def run(self) -> None:
        while True:
            await asyncio.sleep(self._period * random.uniform(0.9, 1.1))
            for type_ in self._store.watched():
                try:
                    await self.compare(type_)
                except (ApiUnavailable, ApiError) as error:
                    logger.warning("the comparison of %s was cut short: %s", type_.plural, error)
            self._enqueue_all(self._store.all_keys())

    async def compare(self, type_: ResourceType) -> None:
        """Fetch what is newer than remembered, forget what is not there any more."""
        for namespace in self._namespaces:
            known = self._known(type_, namespace)
            version, listed = "", set[str]()
            async for page in self._api.pages(type_, namespace, selector_of(type_), metadata_only=True):
                version = page.version
                for item in page.items:
                    meta = msgspec.convert(item["metadata"], ObjectMeta)
                    listed.add(meta.uid)
                    self._learnt(type_.kind, meta)
                    before = known.get(meta.uid)
                    if before is None or before.resource_version != meta.resource_version:
                        await self._fetch(type_, meta)
            self._forget_unless(listed, version, type_, known)

    def _scopes(self) -> Iterable[tuple[ResourceType, str | None]]:
        return ((type_, namespace) for type_ in self._store.watched() for namespace in self._namespaces)

    async def _list(self, type_: ResourceType, namespace: str | None) -> _Listed:
        version, uids, news = "", set[str](), list[Key]()
        async for page in self._api.pages(type_, namespace, selector_of(type_)):
            version = page.version
            for item in page.items:
                uids.add(item["metadata"]["uid"])
                news += self._store.observe(type_.kind, item)
        return _Listed(version, uids, news)

    async def _list_anew(self, type_: ResourceType, namespace: str | None) -> str:
        """Observe everything, forget what is not there any more; the version of the list."""
        known = self._known(type_, namespace)
        listed = await self._list(type_, namespace)
        self._enqueue_all(listed.news)
        self._forget_unless(listed.uids, listed.version, type_, known)
        return listed.version

    def _known(self, type_: ResourceType, namespace: str | None) -> dict[str, ObjectMeta]:
        known = self._store.known(type_.kind)
        return {uid: meta for uid, meta in known.items() if namespace in {None, meta.namespace}}

    def _forget_unless(
        self, listed: set[str], version: str, type_: ResourceType, known: Mapping[str, ObjectMeta]
    ) -> None:
        """What is gone stays gone. So a list from an API server that lags says nothing of what is younger than it."""
        for uid, meta in known.items():
            if uid not in listed and not _younger(meta.resource_version, version):
                self._enqueue_all(self._store.gone(type_.kind, meta))

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


def _younger(version: str, than: str) -> bool:
    """By resourceVersion, where both can be ordered (KEP-5504)."""
    return version.isdecimal() and than.isdecimal() and int(version) > int(than)
