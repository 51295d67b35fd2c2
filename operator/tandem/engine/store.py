"""What the API server was last heard to say: our resources and their children, found by controller uid.

Written through: the answer to a write is observed like an event, so the event that follows it is no news. An older
version of what is known is dropped. (``kopf.index`` would be quadratic here: 80 CPU-seconds at 4,000 objects.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from tandem.api.meta import Json, Key, ObjectMeta
from tandem.engine.controller import Child, Controller, Named, ResourceType


@dataclass(frozen=True, slots=True)
class Entry:
    """One of our resources: small as bytes, read when it is needed."""

    metadata: ObjectMeta
    body: bytes  # metadata, spec and status as JSON

    def read(self, view: type[Named]) -> Named:
        """Raises :class:`msgspec.ValidationError` with the field's path when the resource is not what the CRD says."""
        return msgspec.json.decode(self.body, type=view)

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
        """Every child of a resource, and theirs, trusted by the uid of the controller alone."""
        found: list[Named] = []
        pending = [uid]
        while pending:
            for child in self._owned.get(pending.pop(), ()):
                found.append(self._objects[child][1])
                pending.append(child)
        return found

    def observe(self, kind: str, body: Json) -> Key | None:
        """Remember an object; the key to look at again, or None when this is no news."""
        if kind in self._controllers:
            return self._observe_resource(kind, body)
        return self._observe_child(kind, body)

    def forget(self, kind: str, body: Json) -> Key | None:
        """An object is gone; the key to look at again."""
        meta = msgspec.convert(body["metadata"], ObjectMeta)
        if kind in self._controllers:
            return self._forget_resource(Key(kind, meta.namespace, meta.name), meta.uid)
        return self._forget_child(meta.uid)

    def known(self, kind: str) -> dict[str, ObjectMeta]:
        """uid → metadata of every object of a kind: what a resync compares with the server's own list."""
        if kind in self._controllers:
            return {e.metadata.uid: e.metadata for key, e in self._resources.items() if key.kind == kind}
        return {uid: view.metadata for uid, (of_kind, view) in self._objects.items() if of_kind == kind}

    def _observe_resource(self, kind: str, body: Json) -> Key | None:
        meta = msgspec.convert(body["metadata"], ObjectMeta)
        key = Key(kind, meta.namespace, meta.name)
        before = self._resources.get(key)
        if before is not None and before.metadata.uid == meta.uid and not _newer(meta, before.metadata):
            return None
        kept = {"metadata": meta, "spec": body.get("spec", {}), "status": body.get("status", {})}
        if before is not None and before.metadata.uid != meta.uid:
            self._keys.pop(before.metadata.uid, None)
        self._resources[key] = Entry(meta, msgspec.json.encode(kept))
        self._keys[meta.uid] = key
        return key

    def _observe_child(self, kind: str, body: Json) -> Key | None:
        view: Named = msgspec.convert(body, self._children[kind].view)
        meta = view.metadata
        before = self._objects.get(meta.uid)
        if before is not None:
            if not _newer(meta, before[1].metadata):
                return None
            self._disown(meta.uid, before[1])
        self._objects[meta.uid] = (kind, view)
        if meta.controller is not None:
            self._owned[meta.controller.uid].add(meta.uid)
        return self._owner(meta)

    def _forget_resource(self, key: Key, uid: str) -> Key | None:
        entry = self._resources.get(key)
        if entry is None or entry.metadata.uid != uid:
            return None
        del self._resources[key]
        self._keys.pop(uid, None)
        return key

    def _forget_child(self, uid: str) -> Key | None:
        before = self._objects.pop(uid, None)
        if before is None:
            return None
        self._disown(uid, before[1])
        return self._owner(before[1].metadata)

    def _disown(self, uid: str, view: Named) -> None:
        controller = view.metadata.controller
        if controller is None:
            return
        siblings = self._owned.get(controller.uid)
        if siblings is not None:
            siblings.discard(uid)
            if not siblings:
                del self._owned[controller.uid]

    def _owner(self, meta: ObjectMeta) -> Key | None:
        """The resource at the top of the chain of controllers, if it is one of ours."""
        while meta.controller is not None:
            uid = meta.controller.uid
            if uid in self._keys:
                return self._keys[uid]
            if uid not in self._objects:
                return None
            meta = self._objects[uid][1].metadata
        return None


def _newer(meta: ObjectMeta, known: ObjectMeta) -> bool:
    """Whether this version came later. Versions are numbers that grow: KEP-5504 allows the comparison."""
    return int(meta.resource_version) > int(known.resource_version)
