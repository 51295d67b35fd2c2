"""Server-side apply: which manager set which field, and who may change it (KEP-555).

Of lists, only ownerReferences are merged by their key; every other list is one value. That is all that Tandem applies.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from tests.faults.apiserver.answers import Cause, Refusal
from tests.faults.apiserver.kinds import Json, Kind

Field: TypeAlias = tuple[str, ...]  # as in FieldsV1: "f:spec", "f:replicas"; 'k:{"uid":"…"}' in a list with a key

# Maps that are one value: an apply of another replaces all of it (x-kubernetes-map-type: atomic).
_ATOMIC = {("f:spec", "f:selector")}
_KEYS = {("f:metadata", "f:ownerReferences"): "uid"}
_NOBODYS = {
    ("f:apiVersion",),
    ("f:kind",),
    *(("f:metadata", f"f:{name}") for name in ("name", "namespace", "uid", "resourceVersion", "generation")),
    *(("f:metadata", f"f:{name}") for name in ("creationTimestamp", "deletionTimestamp", "managedFields")),
}


def fields(value: Any, at: Field = ()) -> Iterator[tuple[Field, Any]]:
    """Every leaf with its value."""
    if at in _NOBODYS:
        return
    if isinstance(value, dict) and value and at not in _ATOMIC:
        for key, item in value.items():
            yield from fields(item, (*at, f"f:{key}"))
    elif at in _KEYS and isinstance(value, list):
        for item in value:
            key = {_KEYS[at]: item.get(_KEYS[at])}
            yield (*at, f"k:{json.dumps(key, separators=(',', ':'))}"), item
    elif at and value is not None:
        yield at, value


def owned_by(manager: str, operation: str, subresource: str, managed: list[Json]) -> Json | None:
    wanted = (manager, operation, subresource)
    return next((e for e in managed if (e["manager"], e["operation"], e.get("subresource", "")) == wanted), None)


def updated(before: Json, after: Json, api_version: str, manager: str, subresource: str = "") -> Json:
    """After a create, an update or a patch: whoever changed a field owns it, nobody else does."""
    old, new = dict(fields(before)), dict(fields(after))
    changed = {field for field, value in new.items() if old.get(field) != value}
    gone = set(old) - set(new)
    managed = _without(before.get("metadata", {}).get("managedFields", []), changed | gone)
    if changed:
        mine = owned_by(manager, "Update", subresource, managed)
        claimed = changed | (set(_read(mine["fieldsV1"])) if mine else set())
        managed = [e for e in managed if e is not mine]
        managed.append(_entry(api_version, manager, "Update", claimed, subresource))
    return {**after, "metadata": {**after["metadata"], "managedFields": managed}}


def applied(kind: Kind, before: Json, config: Json, manager: str, *, force: bool) -> Json:
    """The object after an apply.

    Raises:
        Refusal: 409, fields with another value are somebody else's, and the apply is not forced.
    """
    managed: list[Json] = before.get("metadata", {}).get("managedFields", [])
    mine = owned_by(manager, "Apply", "", managed)
    others = [entry for entry in managed if entry is not mine]
    old, wanted = dict(fields(before)), dict(fields(config))
    differ = {field for field, value in wanted.items() if field in old and old[field] != value}
    _refuse_conflicts(differ, others, force=force)
    theirs = {field for entry in others for field in _read(entry["fieldsV1"])}
    dropped = set(_read(mine["fieldsV1"])) - set(wanted) - theirs if mine else set()
    body = _set(_unset(before, dropped), wanted)
    if body == _set(before, {}) and mine is not None and set(_read(mine["fieldsV1"])) == set(wanted):
        return before
    managed = [*_without(others, differ), _entry(kind.api_version, manager, "Apply", set(wanted))]
    return {**body, "metadata": {**body["metadata"], "managedFields": managed}}


def _refuse_conflicts(differ: set[Field], others: list[Json], *, force: bool) -> None:
    if force:
        return
    conflicts = [(entry, field) for entry in others for field in _read(entry["fieldsV1"]) if field in differ]
    if conflicts:
        causes = [
            Cause(_dotted(field), "FieldManagerConflict", f'conflict with "{entry["manager"]}"')
            for entry, field in conflicts
        ]
        told = "; ".join(f"{cause.message}: {cause.field}" for cause in causes)
        raise Refusal(409, "Conflict", f"Apply failed with {len(causes)} conflict(s): {told}", causes)


def _without(managed: list[Json], taken: set[Field]) -> list[Json]:
    left = []
    for entry in managed:
        kept = set(_read(entry["fieldsV1"])) - taken
        if kept:
            left.append({**entry, "fieldsV1": _written(kept)})
    return left


def _entry(api_version: str, manager: str, operation: str, owned: set[Field], subresource: str = "") -> Json:
    entry = {
        "manager": manager,
        "operation": operation,
        "apiVersion": api_version,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "fieldsType": "FieldsV1",
        "fieldsV1": _written(owned),
    }
    return {**entry, "subresource": subresource} if subresource else entry


def _written(owned: set[Field]) -> Json:
    tree: Json = {}
    for field in sorted(owned):
        node = tree
        for part in field:
            node = node.setdefault(part, {})
    return tree


def _read(tree: Json, at: Field = ()) -> Iterator[Field]:
    for part, below in tree.items():
        if below:
            yield from _read(below, (*at, part))
        else:
            yield (*at, part)


def _dotted(field: Field) -> str:
    return "".join(f".{part[2:]}" if part.startswith("f:") else f"[{part[2:]}]" for part in field)


def _set(body: Json, values: dict[Field, Any]) -> Json:
    copied: Json = msgspec.json.decode(msgspec.json.encode(body))
    for field, value in values.items():
        node: Any = copied
        for part in field[:-1]:
            empty: Any = [] if field[:-1] in _KEYS and part == field[-2] else {}
            node = node.setdefault(part[2:], empty)
        if field[-1].startswith("k:"):
            key = json.loads(field[-1][2:])
            others = [item for item in node if not key.items() <= item.items()]
            node[:] = [value if item not in others else item for item in node]
            if value not in node:
                node.append(value)
        else:
            node[field[-1][2:]] = value
    return copied


def _unset(body: Json, gone: set[Field]) -> Json:
    copied: Json = msgspec.json.decode(msgspec.json.encode(body))
    for field in gone:
        node: Any = copied
        for part in field[:-1]:
            node = node.get(part[2:], {})
        if field[-1].startswith("k:"):
            key = json.loads(field[-1][2:])
            node[:] = [item for item in node if not key.items() <= item.items()]
        else:
            node.pop(field[-1][2:], None)
    return copied
