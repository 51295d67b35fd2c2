"""What the API server was last heard to say: our resources and their children, found by controller uid.

Written through: the answer to a write is observed like an event, so the event that follows it is no news. An older
version of what is known, or of what is gone, is dropped. (``kopf.index`` would be quadratic here: 80 CPU-seconds at
4,000 objects.)

Nothing here trusts what a tenant can write. A child counts by the uid of its controller, in the controller's own
namespace; ownerReferences that point in a circle (the API server takes them) lead nowhere.
"""

from __future__ import annotations

import logging
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import msgspec

from tandem.api.meta import Json, Key, ObjectMeta, OwnerReference
from tandem.engine.controller import Child, Controller, Figure, Named, ResourceType
from tandem.engine.stream import Version

logger = logging.getLogger(__name__)

Keys: TypeAlias = tuple[Key, ...]
Keepsakes: TypeAlias = tuple[Named, ...]

_LONGEST_CHAIN: Final = 3  # Pod → ReplicaSet → Deployment → AppDeployment
_GONE_REMEMBERED: Final = 4096
_DEPARTED_OF_ONE: Final = 8
_OWNERS_OF_DEPARTED: Final = 1024
_NEW, _OTHER = "New", "Other"


@dataclass(frozen=True, slots=True)
class Entry:
    """One of our resources: small as bytes, read when it is needed."""

    metadata: ObjectMeta
    body: bytes  # metadata, spec and status as JSON
    state: str = ""  # status.phase, or one word for all that the kind does not know
    figures: tuple[float | None, ...] = ()  # those of the kind, in their order; none when it has none of them

    def read(self, view: type[Named]) -> Named:
        """Raises :class:`msgspec.ValidationError` with the field's path when the resource is not what the CRD says.

        A status that cannot be read counts as lost: a newer operator wrote it, before a rollback, in words that this
        one does not know. It is derived anew, as after somebody has wiped it.
        """
        try:
            return msgspec.json.decode(self.body, type=view)
        except msgspec.ValidationError as error:
            whole: Json = msgspec.json.decode(self.body)
            without = msgspec.convert({**whole, "status": {}}, view)
            logger.warning("the status cannot be read and is derived anew: %s", error)
            return without

    def status(self) -> Json:
        status = msgspec.json.decode(self.body).get("status")
        return status if isinstance(status, dict) else {}


class Store:
    """Observed objects. All methods are synchronous: nothing can come between a look and a change."""

    def __init__(self, controllers: Iterable[Controller]) -> None:
        self._controllers = {controller.resource.kind: controller for controller in controllers}
        self._children: dict[str, Child] = {
            child.resource.kind: child for controller in self._controllers.values() for child in controller.children
        }
        self._resources: dict[Key, Entry] = {}
        self._keys: dict[str, Key] = {}  # uid → key of our resources
        self._objects: dict[str, tuple[str, Named]] = {}  # uid → (kind, view) of children
        self._owned: defaultdict[str, set[str]] = defaultdict(set)  # controller uid → uids of its children
        self._departed: OrderedDict[str, Keepsakes] = OrderedDict()  # controller uid → what is told of those gone
        self._gone: OrderedDict[str, int] = OrderedDict()  # uid → the version at which it was last known to be gone

    def watched(self) -> Iterator[ResourceType]:
        yield from (controller.resource for controller in self._controllers.values())
        yield from (child.resource for child in self._children.values())

    def controller(self, kind: str) -> Controller:
        return self._controllers[kind]

    def all_keys(self) -> list[Key]:
        return list(self._resources)

    def get(self, key: Key) -> Entry | None:
        return self._resources.get(key)

    def children_of(self, uid: str) -> list[Named]:
        """Every child of a resource, and theirs, trusted by the uid of the controller and the namespace alone.

        Those that are gone too, as far as their kind has something to tell of them (:class:`Child`).
        """
        key = self._keys.get(uid)
        if key is None:
            return []
        found: list[Named] = []
        pending = [uid]
        while pending:
            owner = pending.pop()
            found += [view for view in self._departed.get(owner, ()) if view.metadata.namespace == key.namespace]
            for child in self._owned.get(owner, ()):
                view = self._objects[child][1]
                if view.metadata.namespace == key.namespace:
                    found.append(view)
                    pending.append(child)
        return found

    def observe(self, kind: str, body: Json) -> Keys:
        """Remember an object; the keys to look at again, none when this is no news."""
        try:
            meta = msgspec.convert(body["metadata"], ObjectMeta)
            version, gone_at = int(meta.resource_version), self._gone.get(meta.uid, -1)
            if kind in self._controllers:
                return self._observe_resource(kind, meta, body) if version > gone_at else ()
            # A deletion has a version of its own. A child that is there as of that version has lost its label.
            if version < gone_at:
                return ()
            return self._observe_child(kind, msgspec.convert(body, self._children[kind].view))
        except (KeyError, ValueError):  # msgspec's is a ValueError; nothing that a tenant wrote may stop the rest
            logger.exception("an object of kind %s cannot be read and is left out", kind)
            return ()

    def forget(self, kind: str, body: Json) -> Keys:
        """An object is gone, or its label is; the keys to look at again.

        An answer to a write may arrive after the event that tells the deletion, so what is gone stays gone up to the
        version that was seen last.

        The event tells a child's last state too, and may be the first that is heard of it.
        """
        meta = msgspec.convert(body["metadata"], ObjectMeta)
        is_news = kind in self._children and int(meta.resource_version) > self._gone.get(meta.uid, -1)
        last = self.observe(kind, body) if is_news else ()
        return tuple(dict.fromkeys(last + self.gone(kind, meta)))

    def gone(self, kind: str, meta: ObjectMeta) -> Keys:
        """The same, of what is known by its metadata."""
        self._gone[meta.uid] = max(int(meta.resource_version), self._gone.pop(meta.uid, 0))
        if len(self._gone) > _GONE_REMEMBERED:
            self._gone.popitem(last=False)
        if kind in self._controllers:
            return self._forget_resource(Key(kind, meta.namespace, meta.name), meta.uid)
        return self._forget_child(kind, meta.uid)

    def knows(self, kind: str, version: Version) -> bool:
        """Whether this version of an object, or a later one, was observed, or that it is gone since."""
        if not version.resource_version.isdecimal():
            return False
        known = self._gone.get(version.uid, -1)
        if kind in self._controllers:
            key = self._keys.get(version.uid)
            entry = self._resources.get(key) if key is not None else None
            known = int(entry.metadata.resource_version) if entry is not None else known
        elif version.uid in self._objects:
            known = int(self._objects[version.uid][1].metadata.resource_version)
        return int(version.resource_version) <= known

    def known(self, kind: str) -> dict[str, ObjectMeta]:
        """uid → metadata of every object of a kind: what a resync compares with the server's own list."""
        if kind in self._controllers:
            return {e.metadata.uid: e.metadata for key, e in self._resources.items() if key.kind == kind}
        return {uid: view.metadata for uid, (of_kind, view) in self._objects.items() if of_kind == kind}

    def states(self) -> Counter[tuple[str, str]]:
        """(kind, state) → how many."""
        return Counter((key.kind, entry.state) for key, entry in self._resources.items())

    def _state(self, kind: str, status: object) -> str:
        """Never a word that somebody else has made up: each is a time series for ever."""
        phase = str(status.get("phase", "")) if isinstance(status, dict) else ""
        return phase if phase in self._controllers[kind].phases else _OTHER if phase else _NEW

    def figures(self) -> Iterator[tuple[Figure, Key, float]]:
        for key, entry in self._resources.items():
            for figure, value in zip(self._controllers[key.kind].figures, entry.figures, strict=False):
                if value is not None:
                    yield figure, key, value

    def _figures(self, kind: str, status: object) -> tuple[float | None, ...]:
        """Read once, when the status changes: a scrape does not read ten thousand of them."""
        given = status if isinstance(status, dict) else {}
        values = tuple(figure.of(given) for figure in self._controllers[kind].figures)
        return values if any(value is not None for value in values) else ()

    def _observe_resource(self, kind: str, meta: ObjectMeta, body: Json) -> Keys:
        key = Key(kind, meta.namespace, meta.name)
        before = self._resources.get(key)
        if before is not None:
            # Also when it was made anew: a late answer about the former one must not bring that back.
            if not _newer(meta, before.metadata):
                return ()
            self._keys.pop(before.metadata.uid, None)
        kept = {"metadata": meta, "spec": body.get("spec", {}), "status": body.get("status", {})}
        status = kept["status"]
        encoded = msgspec.json.encode(kept)
        self._resources[key] = Entry(meta, encoded, self._state(kind, status), self._figures(kind, status))
        self._keys[meta.uid] = key
        return (key,)

    def _observe_child(self, kind: str, view: Named) -> Keys:
        meta = view.metadata
        before = self._objects.get(meta.uid)
        former: Keys = ()
        if before is not None:
            if not _newer(meta, before[1].metadata):
                return ()
            if _looks_the_same(view, before[1]):
                self._objects[meta.uid] = (kind, view)
                return ()
            former = self._owners(before[1].metadata)
            self._disown(meta.uid, before[1])
        self._objects[meta.uid] = (kind, view)
        if meta.controller is not None:
            self._owned[meta.controller.uid].add(meta.uid)
        # Whoever has lost the child has as much to do as whoever has got it.
        return tuple(dict.fromkeys(former + self._owners(meta)))

    def _forget_resource(self, key: Key, uid: str) -> Keys:
        entry = self._resources.get(key)
        if entry is None or entry.metadata.uid != uid:
            return ()
        del self._resources[key]
        self._keys.pop(uid, None)
        return (key,)

    def _forget_child(self, kind: str, uid: str) -> Keys:
        self._departed.pop(uid, None)
        before = self._objects.get(uid)
        if before is None:
            return ()
        owners = self._owners(before[1].metadata)
        del self._objects[uid]
        self._disown(uid, before[1])
        self._keep(before[1].metadata.controller, self._children[kind].departed(before[1]))
        return owners

    def _keep(self, controller: OwnerReference | None, departed: Named | None) -> None:
        if controller is None or departed is None:
            return
        uid = departed.metadata.uid
        others = [view for view in self._departed.pop(controller.uid, ()) if view.metadata.uid != uid]
        self._departed[controller.uid] = (*others, departed)[-_DEPARTED_OF_ONE:]
        if len(self._departed) > _OWNERS_OF_DEPARTED:
            self._departed.popitem(last=False)

    def _disown(self, uid: str, view: Named) -> None:
        controller = view.metadata.controller
        if controller is None:
            return
        siblings = self._owned.get(controller.uid)
        if siblings is not None:
            siblings.discard(uid)
            if not siblings:
                del self._owned[controller.uid]

    def _owners(self, meta: ObjectMeta) -> Keys:
        """The resource at the top of the chain of controllers, if it is one of ours and in the same namespace."""
        namespace = meta.namespace
        for _ in range(_LONGEST_CHAIN):
            if meta.controller is None:
                return ()
            uid = meta.controller.uid
            key = self._keys.get(uid)
            if key is not None:
                return (key,) if key.namespace == namespace else ()
            if uid not in self._objects:
                return ()
            meta = self._objects[uid][1].metadata
        return ()


def _looks_the_same(view: Named, known: Named) -> bool:
    """But for its version: what was written no plan sees (what an autoscaler measures, every 15 seconds)."""
    assert isinstance(known, msgspec.Struct)
    known_meta = msgspec.structs.replace(known.metadata, resource_version=view.metadata.resource_version)
    return view == msgspec.structs.replace(known, metadata=known_meta)


def _newer(meta: ObjectMeta, known: ObjectMeta) -> bool:
    """Whether this version came later. Versions are numbers that grow: KEP-5504 allows the comparison."""
    return int(meta.resource_version) > int(known.resource_version)
