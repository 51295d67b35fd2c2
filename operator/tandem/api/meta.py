"""Object metadata, conditions and keys, as Kubernetes spells them.

Wire objects are :class:`msgspec.Struct`: frozen, typed, camelCase on the wire, unknown fields ignored (a newer CRD
must not break an older operator). ``msgspec.convert`` raises :class:`msgspec.ValidationError` with the field's path.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeAlias

import msgspec

# The one border where a value has no type yet: JSON as the API server sent it, before `msgspec.convert`.
Json: TypeAlias = dict[str, Any]


class Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of everything that is read from or written to the API server."""


class OwnerReference(Wire, frozen=True):
    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


class ObjectMeta(Wire, frozen=True):
    name: str
    uid: str = ""
    namespace: str = ""
    generation: int = 0
    resource_version: str = "0"
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    deletion_grace_period_seconds: int = 0
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that controls this object: the only evidence by which a child is trusted."""
        return next((owner for owner in self.owner_references if owner.controller), None)


ConditionStatus: TypeAlias = Literal["True", "False", "Unknown"]


class Condition(Wire, frozen=True, omit_defaults=False):
    """``metav1.Condition``, with its own observedGeneration (kubectl wait compares it: kubectl#1414)."""

    type: str
    status: ConditionStatus
    reason: str
    message: str
    last_transition_time: datetime
    observed_generation: int


class Key(NamedTuple):
    """Names one resource; what the queue and the store are keyed by."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.namespace}/{self.name}"


def condition_of(conditions: tuple[Condition, ...], type_: str) -> Condition | None:
    return next((condition for condition in conditions if condition.type == type_), None)


def controller_reference(api_version: str, kind: str, meta: ObjectMeta) -> Json:
    """The ownerReference of a child, so that garbage collection removes it with its owner.

    ``blockOwnerDeletion`` stays unset: it would need ``update`` on the owner's finalizers.
    """
    return {"apiVersion": api_version, "kind": kind, "name": meta.name, "uid": meta.uid, "controller": True}


def to_json(value: object) -> Json:
    """A :class:`Wire` object as JSON comes back from the API server: datetimes are strings, tuples are lists.

    Not ``msgspec.to_builtins``: it keeps tuples, and a tuple never equals the stored list, so that every pass would
    find a difference in the status and write it.
    """
    built = msgspec.json.decode(msgspec.json.encode(value))
    if not isinstance(built, dict):
        raise TypeError(f"{type(value).__name__} is not an object on the wire")
    return built


Labels: TypeAlias = Mapping[str, str]
