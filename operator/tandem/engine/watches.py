"""What each watch has shown of itself, and whether it is deaf: the proof behind ``/healthz`` (docs/design/liveness.md).

Two questions, both free of charge. *Does it move?* A watch hears something every minute (an event, a bookmark, an
answer to a list), or else kopf connects anew: one that does neither stands still. *Does it deliver?* Every version
that is learnt elsewhere (answers to our own writes, the lists of a resync) must come through the watch as well.
Nothing is expected of an idle cluster, so an idle cluster raises no alarm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from tandem.api import names
from tandem.api.meta import ObjectMeta
from tandem.engine.controller import ResourceType, list_path

# Children are watched by this label, on the server's side: not every Job and pod of the cluster streams through here.
CHILDREN_SELECTOR: Final = f"{names.MANAGED_BY_LABEL}={names.MANAGED_BY}"

# kopf takes a connection without a sign of life for dead after 70 s, and is back at most 30 s later (our Backoff).
PATIENCE: Final = 120.0
STANDS_STILL: Final = 180.0


def selector_of(type_: ResourceType) -> str:
    """The labels by which a kind is listed and watched; ours are without."""
    return "" if type_.group == names.GROUP else CHILDREN_SELECTOR


def is_watched(type_: ResourceType, meta: ObjectMeta) -> bool:
    return not selector_of(type_) or meta.labels.get(names.MANAGED_BY_LABEL) == names.MANAGED_BY


@dataclass(frozen=True)
class Awaited:
    """A version of an object that is known to exist, and that a watch has not delivered yet."""

    type_: ResourceType
    meta: ObjectMeta
    since: float


@dataclass
class _Watch:
    """One stream; times are seconds of the event loop's clock."""

    type_: ResourceType
    tried: float
    heard: float
    delivered: int = 0  # the highest version
    delivered_at: float = 0.0
    awaited: Awaited | None = None
    deaf: str = ""  # the proof


class Watches:
    """All watches of this process: one per kind, or one per kind and namespace.

    ``patience``: seconds that a watch may take to deliver what is known to be there.
    """

    def __init__(
        self,
        types: Iterable[ResourceType],
        namespaces: tuple[str, ...],
        clock: Callable[[], float],
        patience: float = PATIENCE,
    ) -> None:
        self._types = {type_.kind: type_ for type_ in types}
        self._places = namespaces or ("",)
        self._clock = clock
        self.patience = patience
        self._of: dict[tuple[str, str], _Watch] = {}
        self._by_path: dict[str, _Watch] = {}

    def begin(self) -> None:
        """The watches start now; before, nothing is expected of them."""
        now = self._clock()
        for kind, type_ in self._types.items():
            for place in self._places:
                watch = _Watch(type_, tried=now, heard=now, delivered_at=now)
                self._of[kind, place] = self._by_path[list_path(type_, place)] = watch

    # --- what is told by the connection ------------------------------------------------------------------------------

    def tried(self, path: str) -> None:
        """A list or a watch was asked for."""
        if path in self._by_path:
            self._by_path[path].tried = self._clock()

    def heard(self, path: str) -> None:
        """Something came: an answer, an event, a bookmark."""
        if path in self._by_path:
            self._by_path[path].heard = self._clock()

    # --- what is told by objects -------------------------------------------------------------------------------------

    def delivered(self, kind: str, namespace: str, version: str) -> None:
        """The watch has brought an object."""
        watch = self._watch(kind, namespace)
        if watch is not None and version.isdecimal():  # nothing that comes through a watch may stop it
            self._advance(watch, int(version))

    def begins(self, path: str, version: str) -> None:
        """A watch goes on from this version: everything before it has been listed, and comes no more."""
        if path in self._by_path:
            self._advance(self._by_path[path], int(version))

    def _advance(self, watch: _Watch, version: int) -> None:
        watch.delivered_at = self._clock()
        watch.delivered = max(watch.delivered, version)
        if watch.awaited is not None and watch.delivered >= int(watch.awaited.meta.resource_version):
            watch.awaited, watch.deaf = None, ""

    def expect(self, kind: str, meta: ObjectMeta) -> None:
        """This version was learnt elsewhere: the watch will bring it, or a later one, if its selector lets it through.

        The oldest is kept: it is overdue first, and what is delivered after it proves as much.
        """
        watch = self._watch(kind, meta.namespace)
        if watch is None or watch.awaited is not None or not is_watched(watch.type_, meta):
            return
        if int(meta.resource_version) > watch.delivered:
            watch.awaited = Awaited(watch.type_, meta, self._clock())

    def overdue(self) -> list[Awaited]:
        """What should have come by now, from watches that bring nothing: suspicions, to be confirmed."""
        now = self._clock()
        return [
            watch.awaited
            for watch in self._of.values()
            if watch.awaited is not None and now - max(watch.awaited.since, watch.delivered_at) > self.patience
        ]

    def excuse(self, awaited: Awaited) -> None:
        """It is gone: a watch that was being connected anew had no need to tell of it."""
        watch = self._watch(awaited.type_.kind, awaited.meta.namespace)
        if watch is not None and watch.awaited is awaited:
            watch.awaited, watch.deaf = None, ""

    def convict(self, awaited: Awaited) -> str:
        """It is still there: the watch is deaf, until it delivers. The proof, the first time; else nothing."""
        watch = self._watch(awaited.type_.kind, awaited.meta.namespace)
        if watch is None or watch.awaited is not awaited or watch.deaf:
            return ""
        meta, seconds = awaited.meta, self._clock() - awaited.since
        watch.deaf = (
            f"the watch of {awaited.type_.plural} is deaf: version {meta.resource_version} of "
            f"{meta.namespace}/{meta.name} is there for {seconds:.0f} s and never came"
        )
        return watch.deaf

    # --- the verdict -------------------------------------------------------------------------------------------------

    def problems(self) -> list[str]:
        """Why this process does not see what happens; empty when it does, as far as anybody can tell."""
        return [problem for watch in self._of.values() if (problem := watch.deaf or self._stands_still(watch))]

    def states(self) -> Iterator[tuple[ResourceType, float, bool]]:
        """Of each kind: seconds since its watch was last heard, and whether it is deaf; the worst of its namespaces."""
        now = self._clock()
        for kind, type_ in self._types.items():
            watches = [watch for (of, _), watch in self._of.items() if of == kind]
            if watches:
                yield type_, max(now - watch.heard for watch in watches), any(watch.deaf for watch in watches)

    def _stands_still(self, watch: _Watch) -> str:
        """An API server that is away is no reason: then there are attempts, and a restart would help nobody."""
        seconds = self._clock() - max(watch.tried, watch.heard)
        if seconds <= STANDS_STILL:
            return ""
        return f"the watch of {watch.type_.plural} stands still: nothing came and nothing was tried for {seconds:.0f} s"

    def _watch(self, kind: str, namespace: str) -> _Watch | None:
        return self._of.get((kind, namespace if self._places != ("",) else ""))
