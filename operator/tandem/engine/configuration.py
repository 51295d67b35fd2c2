"""ConfigMaps that resources refer to, by their content: a source of facts that asks the API server itself.

Only what is referred to is asked for, and nothing of it is kept but a digest: an operator that cached the ConfigMaps
of a cluster would hold what nobody asked it to (docs/design/configuration.md). A poll compares metadata; content is
read when a version is new, and again when it is copied.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from tandem.api.configuration import digest_of_data
from tandem.api.facts import ConfigMapContent, ConfigMapNamed, Query, Told, Unavailable
from tandem.api.meta import Json
from tandem.api.plan import Outside
from tandem.engine.api import ApiError, ApiServer, ApiUnavailable
from tandem.engine.controller import CONFIG_MAPS, object_path
from tandem.engine.facts import Source

POLL_EVERY: Final = timedelta(seconds=10)

_METADATA: Final = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
# A poll asks once per namespace; with very many of them it takes its time, and not a share of all requests.
_NAMESPACES_PER_SECOND: Final = 20
_VERSIONS_REMEMBERED: Final = 20_000


class ConfigMaps:
    """Answers :class:`ConfigMapNamed`; every other question and every write goes on to ``others``."""

    def __init__(
        self, api: ApiServer, others: Source, now: Callable[[], datetime], poll_every: timedelta = POLL_EVERY
    ) -> None:
        self._api = api
        self._others = others
        self._now = now
        self._poll_every = poll_every
        self._known: OrderedDict[ConfigMapNamed, tuple[str, ConfigMapContent]] = OrderedDict()  # version, content
        self._away: dict[str, Unavailable] = {}  # namespace → since when, and why
        self._namespaces: frozenset[str] = frozenset()

    async def answer(self, queries: Collection[Query[object]]) -> Mapping[Query[object], object]:
        ours = [query for query in queries if isinstance(query, ConfigMapNamed)]
        others = [query for query in queries if not isinstance(query, ConfigMapNamed)]
        if not ours:
            return await self._others.answer(others)
        if not others:
            return await self._look(ours)
        mine, theirs = await asyncio.gather(self._look(ours), self._others.answer(others))
        return {**mine, **theirs}

    def poll_interval(self, query: Query[object]) -> timedelta | None:
        if not isinstance(query, ConfigMapNamed):
            return self._others.poll_interval(query)
        return max(self._poll_every, timedelta(seconds=len(self._namespaces) / _NAMESPACES_PER_SECOND))

    def lot(self, query: Query[object]) -> str | None:
        """A namespace is listed once for all that is asked of it."""
        return "ConfigMaps" if isinstance(query, ConfigMapNamed) else self._others.lot(query)

    async def carry_out(self, write: Outside) -> Told:
        return await self._others.carry_out(write)

    async def _look(self, queries: Iterable[ConfigMapNamed]) -> dict[Query[object], object]:
        answers: dict[Query[object], object] = {}
        asked: defaultdict[str, list[ConfigMapNamed]] = defaultdict(list)
        for query in queries:
            asked[query.namespace].append(query)
        for namespace, of_namespace in asked.items():
            try:
                answers |= await self._in(namespace, of_namespace)
                self._away.pop(namespace, None)
            except (ApiError, ApiUnavailable) as error:
                away = self._unavailable(namespace, error)
                answers |= dict.fromkeys(of_namespace, away)
        self._namespaces = frozenset(query.namespace for query in self._known) | asked.keys()
        return answers

    async def _in(self, namespace: str, queries: list[ConfigMapNamed]) -> dict[Query[object], object]:
        versions = await self._versions(namespace, queries)
        return {query: await self._content(query, versions.get(query.name, "")) for query in queries}

    async def _versions(self, namespace: str, queries: list[ConfigMapNamed]) -> dict[str, str]:
        """Name → version. One request: for the only one that is asked for, or for all that the namespace has."""
        if len(queries) == 1:
            found = await self._get(queries[0], _METADATA)
            return {queries[0].name: _version(found)} if found else {}
        listed = self._api.list(CONFIG_MAPS, namespace, "", metadata_only=True)
        return {item["metadata"]["name"]: _version(item) async for item in listed}

    async def _content(self, query: ConfigMapNamed, version: str) -> ConfigMapContent | None:
        if not version:
            self._known.pop(query, None)
            return None
        known = self._known.get(query)
        if known is None or known[0] != version:
            found = await self._get(query, "application/json")
            if found is None:
                return None
            known = _version(found), ConfigMapContent(content_digest(found))
        self._known[query] = known
        self._known.move_to_end(query)
        if len(self._known) > _VERSIONS_REMEMBERED:
            self._known.popitem(last=False)
        return known[1]

    async def _get(self, query: ConfigMapNamed, accept: str) -> Json | None:
        names = {"namespace": query.namespace, "name": query.name}
        try:
            return await self._api.request("GET", object_path(CONFIG_MAPS), names, accept=accept)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def _unavailable(self, namespace: str, error: ApiError | ApiUnavailable) -> Unavailable:
        """The same for as long as it lasts: whoever reads it writes it into a status."""
        reason = error.reason if isinstance(error, ApiError) else "ServerTimeout"
        before = self._away.get(namespace)
        if before is None or before.reason != reason:
            since = before.since if before else self._now().replace(microsecond=0)
            self._away[namespace] = Unavailable(since, reason, str(error))
        return self._away[namespace]


def content_digest(config_map: Json) -> str:
    return digest_of_data(config_map.get("data") or {}, config_map.get("binaryData") or {})


def _version(config_map: Json) -> str:
    """A name that was taken again by another object has another uid."""
    meta = config_map["metadata"]
    return f"{meta['uid']}/{meta['resourceVersion']}"
