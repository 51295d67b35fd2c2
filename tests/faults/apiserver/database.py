"""Every object, every version of it, and the order in which they came: what etcd and the watch cache are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from tests.faults.apiserver.kinds import Json, Kind

Place: TypeAlias = tuple[Kind, str, str]  # kind, namespace, name
Type: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]

_FIRST: Final = 100


@dataclass(frozen=True)
class Change:
    revision: int
    type: Type
    place: Place
    object: Json  # as it is now; as it was last, if it is deleted
    before: Json | None


class Database:
    """Objects are values: nobody changes one that was put here."""

    def __init__(self) -> None:
        self.revision = _FIRST
        self.oldest = _FIRST  # what happened before is not remembered (compaction)
        self.changes: list[Change] = []
        self.listeners: list[Callable[[Change], None]] = []
        self._objects: dict[Place, Json] = {}
        self._made: Counter[Place] = Counter()

    def get(self, place: Place) -> Json | None:
        return self._objects.get(place)

    def all(self) -> dict[Place, Json]:
        return dict(self._objects)

    def of(self, kind: Kind) -> Iterator[Json]:
        yield from (body for place, body in self._objects.items() if place[0] is kind)

    def at(self, revision: int) -> dict[Place, Json]:
        """Everything as it was then."""
        if revision >= self.revision:
            return self.all()
        objects: dict[Place, Json] = {}
        for change in self.changes:
            if change.revision > revision:
                break
            if change.type == "DELETED":
                objects.pop(change.place, None)
            else:
                objects[change.place] = change.object
        return objects

    def new_uid(self, place: Place) -> str:
        """The same in every run of a scenario; another one for the same name made anew."""
        self._made[place] += 1
        kind, namespace, name = place
        return f"uid-{namespace}-{kind.plural}-{name}-{self._made[place]}"

    def put(self, place: Place, body: Json) -> Json:
        """The object with its new version."""
        before = self._objects.get(place)
        kept = self._versioned(body)
        self._objects[place] = kept
        self._happened("MODIFIED" if before is not None else "ADDED", place, kept, before)
        return kept

    def remove(self, place: Place) -> Json:
        before = self._objects.pop(place)
        gone = self._versioned(before)
        self._happened("DELETED", place, gone, before)
        return gone

    def compact(self) -> None:
        """Forget the way to the present: whoever is not there yet has to list anew."""
        self.oldest = self.revision

    def _versioned(self, body: Json) -> Json:
        self.revision += 1
        return {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.revision)}}

    def _happened(self, type_: Type, place: Place, body: Json, before: Json | None) -> None:
        change = Change(self.revision, type_, place, body, before)
        self.changes.append(change)
        for listener in list(self.listeners):
            listener(change)
