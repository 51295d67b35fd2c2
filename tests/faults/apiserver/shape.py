"""The schema of a CRD, applied as an API server does: unknown fields are dropped, defaults filled in, then checked.

CEL rules are not: whatever depends on them is tested against a real API server (tests/contract/crds).
"""

from __future__ import annotations

import copy
from functools import cache, lru_cache
from typing import Any

import jsonschema
import msgspec

from tests.faults.apiserver.answers import Cause
from tests.faults.apiserver.kinds import Json, Kind


def merge(stored: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    merged = dict(stored) if isinstance(stored, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def complete(kind: Kind, body: Json) -> Json:
    """The object as it is kept: pruned, with defaults."""
    if kind.schema is None:
        return body
    kept: Json = {key: body[key] for key in ("apiVersion", "kind", "metadata") if key in body}
    for key, part in _parts(kind).items():
        value = body.get(key)
        if value is None and "default" in part:
            value = part["default"]
        if key in body or value is not None:
            kept[key] = _completed(kind, key, msgspec.json.encode(value))
    return kept


def complaints(kind: Kind, body: Json, before: Json | None = None) -> list[Cause]:
    """What the schema refuses, field by field; spec or status as they were before are not looked at (ratcheting)."""
    if kind.schema is None:
        return []
    missing = [key for key in kind.schema.get("required", ()) if key not in body]
    causes = [Cause(key, "FieldValueRequired", "Required value") for key in missing]
    known = complete(kind, before) if before else {}
    parts = {key: body[key] for key in _parts(kind) if key in body and (key not in known or known[key] != body[key])}
    return causes + [cause for key, value in parts.items() for cause in _refused(kind, key, msgspec.json.encode(value))]


# The same few specs and states come again in every world, and checking one takes milliseconds: a third of all the time
# that tests/faults spent, before these two remembered.
@lru_cache(10_000)
def _completed(kind: Kind, key: str, value: bytes) -> Any:
    part = _parts(kind)[key]
    return _filled(part, _pruned(part, msgspec.json.decode(value)))


@lru_cache(10_000)
def _refused(kind: Kind, key: str, value: bytes) -> tuple[Cause, ...]:
    part = {"type": "object", "properties": {key: _checkable(kind)["properties"][key]}}
    errors = jsonschema.Draft202012Validator(part).iter_errors({key: msgspec.json.decode(value)})
    return tuple(_cause(error) for error in errors)


def _parts(kind: Kind) -> Json:
    """spec and status."""
    assert kind.schema is not None
    known = {"apiVersion", "kind", "metadata"}
    return {key: part for key, part in kind.schema["properties"].items() if key not in known}


def _cause(error: jsonschema.ValidationError) -> Cause:
    field = ""
    for part in error.absolute_path:
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
    if error.validator == "required":
        missing = str(error.message).split("'")[1]
        return Cause(f"{field}.{missing}".lstrip("."), "FieldValueRequired", "Required value")
    types = {"type": "FieldValueTypeInvalid", "enum": "FieldValueNotSupported", "maxLength": "FieldValueTooLong"}
    return Cause(field.lstrip("."), types.get(str(error.validator), "FieldValueInvalid"), error.message)


def _pruned(schema: Json, value: Any) -> Any:
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return value
    if isinstance(value, list):
        return [_pruned(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    kept = {}
    for key, item in value.items():
        if key in known:
            kept[key] = _pruned(known[key], item)
        elif isinstance(others, dict):
            kept[key] = _pruned(others, item)
    return kept


def _filled(schema: Json, value: Any) -> Any:
    if isinstance(value, list):
        return [_filled(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    filled, known = dict(value), schema.get("properties", {})
    for key, part in known.items():
        if "default" in part and filled.get(key) is None:
            filled[key] = copy.deepcopy(part["default"])
    others = schema.get("additionalProperties") or {}
    return {key: _filled(known.get(key, others), item) for key, item in filled.items()}


@cache
def _checkable(kind: Kind) -> Json:
    """The schema as JSON Schema understands it."""
    assert kind.schema is not None
    checkable: Json = _translated(kind.schema)
    checkable["properties"].pop("metadata", None)
    return checkable


def _translated(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_translated(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    plain = {key: _translated(value) for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    if schema.get("nullable") and isinstance(plain.get("type"), str):
        plain["type"] = [plain["type"], "null"]
    return plain
