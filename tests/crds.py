"""The two CustomResourceDefinitions as files: what the tests of the schema read."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
FILES = {"TrainingJob": ROOT / "crds" / "trainingjobs.yaml", "AppDeployment": ROOT / "crds" / "appdeployments.yaml"}
KINDS = tuple(FILES)

Schema = dict[str, Any]


@cache
def definition(kind: str) -> Schema:
    loaded: Schema = yaml.load(FILES[kind].read_text(), Loader=yaml.CSafeLoader)  # a tenth of the time
    return loaded


def version(kind: str) -> Schema:
    only: Schema
    (only,) = definition(kind)["spec"]["versions"]
    return only


def schema(kind: str) -> Schema:
    whole: Schema = version(kind)["schema"]["openAPIV3Schema"]
    return whole


def nodes(schema: Schema, path: str = "") -> Iterator[tuple[str, Schema]]:
    """Every part of a schema with its path: ``spec.steps[].command[]``, ``spec.parameters{}``; metadata left out."""
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        if (path, name) != ("", "metadata"):
            yield from nodes(child, f"{path}.{name}" if path else name)
    if "items" in schema:
        yield from nodes(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from nodes(schema["additionalProperties"], f"{path}{{}}")
