"""Values that a schema accepts, drawn at random: the words of OpenAPI that Tandem's definitions use, and no others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from tests.crds import Schema

# Lists and maps are drawn no longer than this: what many items could find, three do.
LONGEST = 3
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


def values_of(schema: Schema) -> st.SearchStrategy[Any]:
    if schema.get("x-kubernetes-int-or-string"):
        return st.integers(schema["minimum"], 2**31) | _strings(schema)
    draw: dict[str, Callable[[Schema], st.SearchStrategy[Any]]] = {
        "object": _maps if "additionalProperties" in schema else _objects,
        "array": _arrays,
        "string": _strings,
        "integer": lambda s: st.integers(s.get("minimum", -(2**63)), s.get("maximum", 2**63 - 1)),
        "boolean": lambda _: st.booleans(),
    }
    return draw[schema["type"]](schema)


def _maps(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    most = min(schema["maxProperties"], LONGEST)
    return st.dictionaries(TEXT, values_of(schema["additionalProperties"]), max_size=most)


def _objects(schema: Schema) -> st.SearchStrategy[dict[str, Any]]:
    required = set(schema.get("required", ()))
    fields = {name: values_of(child) for name, child in schema["properties"].items()}
    return st.fixed_dictionaries(
        {name: field for name, field in fields.items() if name in required},
        optional={name: field for name, field in fields.items() if name not in required},
    )


def _arrays(schema: Schema) -> st.SearchStrategy[list[Any]]:
    keys = schema.get("x-kubernetes-list-map-keys")
    return st.lists(
        values_of(schema["items"]),
        min_size=schema.get("minItems", 0),
        max_size=min(schema["maxItems"], LONGEST),
        unique_by=(lambda item: tuple(item[key] for key in keys)) if keys else None,
    )


def _strings(schema: Schema) -> st.SearchStrategy[str]:
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "date-time":
        moments = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
        return moments.map(lambda moment: moment.isoformat().replace("+00:00", "Z"))
    least, most = schema.get("minLength", 0), schema.get("maxLength", 100)
    if "pattern" in schema:
        pattern: str = schema["pattern"]
        matching = st.from_regex(pattern, fullmatch=True)
        # Python's $ also matches before a line break at the end; the API server's does not.
        return matching.filter(lambda text: least <= len(text) <= most and not text.endswith("\n"))
    return st.text(st.characters(codec="utf-8"), min_size=least, max_size=min(most, least + 20))
