"""The schema of a CRD, applied as an API server does: unknown fields are dropped, defaults filled in, then checked.

CEL rules are not: whatever depends on them is tested against a real API server (tests/contract/crds).
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import jsonschema

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
    schema = {**kind.schema, "properties": {k: v for k, v in kind.schema["properties"].items() if k != "metadata"}}
    kept: Json = _filled(schema, _pruned(schema, body, at_top=True))
    return kept


def complaints(kind: Kind, body: Json) -> list[Cause]:
    """What the schema refuses, field by field."""
    if kind.schema is None:
        return []
    validator = jsonschema.Draft202012Validator(_checkable(kind))
    return [_cause(error) for error in validator.iter_errors({k: v for k, v in body.items() if k != "metadata"})]


def _cause(error: jsonschema.ValidationError) -> Cause:
    field = ""
    for part in error.absolute_path:
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
    if error.validator == "required":
        missing = str(error.message).split("'")[1]
        return Cause(f"{field}.{missing}".lstrip("."), "FieldValueRequired", "Required value")
    types = {"type": "FieldValueTypeInvalid", "enum": "FieldValueNotSupported", "maxLength": "FieldValueTooLong"}
    return Cause(field.lstrip("."), types.get(str(error.validator), "FieldValueInvalid"), error.message)


def _pruned(schema: Json, value: Any, *, at_top: bool = False) -> Any:
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return value
    if isinstance(value, list):
        return [_pruned(schema.get("items", {}), item) for item in value]
    if not isinstance(value, dict):
        return value
    known, others = schema.get("properties", {}), schema.get("additionalProperties")
    kept = {}
    for key, item in value.items():
        if at_top and key in {"apiVersion", "kind", "metadata"}:
            kept[key] = item
        elif key in known:
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
