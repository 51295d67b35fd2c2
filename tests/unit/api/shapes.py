"""One form for what a model in Python and a schema in YAML say about a field, so that the two can be compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import NODEFAULT, inspect

from tests.crds import Schema, nodes


@dataclass(frozen=True)
class Shape:
    """What is said about one field, in the words of OpenAPI; None where nothing is said."""

    type: str
    required: bool = False
    default: object = None
    enum: frozenset[object] | None = None
    pattern: str | None = None
    minimum: int | None = None
    maximum: int | None = None
    min_size: int | None = None  # of a string, a list or a map
    max_size: int | None = None


def shapes_of_schema(schema: Schema) -> dict[str, Shape]:
    required = {f"{path}.{name}" if path else name for path, node in nodes(schema) for name in node.get("required", ())}
    return {
        path: Shape(
            type=_type_of_schema(node),
            required=path in required,
            default=node.get("default"),
            enum=frozenset(node["enum"]) if "enum" in node else None,
            pattern=node.get("pattern"),
            minimum=node.get("minimum"),
            maximum=node.get("maximum"),
            min_size=node.get("minLength", node.get("minItems", node.get("minProperties"))),
            max_size=node.get("maxLength", node.get("maxItems", node.get("maxProperties"))),
        )
        for path, node in nodes(schema)
        if path
    }


def shapes_of_model(model: type[msgspec.Struct]) -> dict[str, Shape]:
    """The fields of a kind's model; metadata left out, apiVersion and kind (which no model holds) added."""
    both = {"apiVersion": Shape("string"), "kind": Shape("string")}
    return both | dict(_walk(inspect.type_info(model), "", required=False, default=None))


def _type_of_schema(node: Schema) -> str:
    return "integer or string" if node.get("x-kubernetes-int-or-string") else node["type"]


def _walk(info: inspect.Type, path: str, *, required: bool, default: object) -> Iterator[tuple[str, Shape]]:
    match info:
        case inspect.UnionType(types=types) if any(isinstance(one, inspect.NoneType) for one in types):
            some = tuple(one for one in types if not isinstance(one, inspect.NoneType))
            yield from _walk(
                some[0] if len(some) == 1 else inspect.UnionType(some), path, required=required, default=default
            )
        case inspect.StructType(fields=fields):
            if path:
                yield path, Shape("object", required, default)
            for field in fields:
                if (path, field.encode_name) != ("", "metadata"):
                    name = f"{path}.{field.encode_name}" if path else field.encode_name
                    yield from _walk(field.type, name, required=field.required, default=_default_of(field))
        case inspect.VarTupleType(item_type=item):
            yield path, Shape("array", required, default, min_size=info.min_length, max_size=info.max_length)
            yield from _walk(item, f"{path}[]", required=False, default=None)
        case inspect.DictType(value_type=value):
            yield path, Shape("object", required, default, min_size=info.min_length, max_size=info.max_length)
            yield from _walk(value, f"{path}{{}}", required=False, default=None)
        case _:
            yield path, replace(_scalar(info), required=required, default=default)


def _scalar(info: inspect.Type) -> Shape:
    match info:
        case inspect.StrType(min_length=least, max_length=most, pattern=pattern):
            return Shape("string", pattern=pattern, min_size=least, max_size=most)
        case inspect.LiteralType(values=values):
            return Shape("string", enum=frozenset(values))
        case inspect.DateTimeType():
            return Shape("string")
        case inspect.IntType(ge=least, le=most):
            return Shape("integer", minimum=least, maximum=most)
        case inspect.BoolType():
            return Shape("boolean")
        case inspect.UnionType(types=(inspect.StrType() as text, inspect.IntType() as number)):
            return Shape("integer or string", pattern=text.pattern, minimum=number.ge, max_size=text.max_length)
        case _:
            raise TypeError(f"no shape for {info}")


def _default_of(field: inspect.Field) -> Any:
    if field.default is not NODEFAULT:
        return msgspec.to_builtins(field.default)
    return field.default_factory() if field.default_factory is not NODEFAULT else None
