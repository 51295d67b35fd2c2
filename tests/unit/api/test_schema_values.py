"""What the API server lets through, the controllers understand; and what one refuses, so does the other."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tandem.api.appdeployment import AppDeployment, AppDeploymentSpec
from tandem.api.meta import to_json
from tandem.api.trainingjob import TrainingJob, TrainingJobSpec
from tests.crds import KINDS, schema
from tests.examples import examples
from tests.unit.api.values import values_of

MODELS: dict[str, type[msgspec.Struct]] = {"TrainingJob": TrainingJob, "AppDeployment": AppDeployment}
SPECS: dict[str, type[msgspec.Struct]] = {"TrainingJob": TrainingJobSpec, "AppDeployment": AppDeploymentSpec}
METADATA = {"name": "example", "namespace": "default", "uid": "u", "generation": 1, "resourceVersion": "1"}

RESOURCES = {kind: values_of(schema(kind)["properties"]["spec"]) for kind in KINDS}
STATUSES = {kind: values_of(schema(kind)["properties"]["status"]) for kind in KINDS}
VALIDATORS = {kind: jsonschema.Draft7Validator(schema(kind)["properties"]["spec"]) for kind in KINDS}

thorough = settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", KINDS)
@thorough
@given(data=st.data())
def test_whatever_the_schema_accepts_the_model_reads(kind: str, data: st.DataObject) -> None:
    """Otherwise somebody could write a resource that every pass of the operator fails on (argo CVE-2026-40886)."""
    resource = {"metadata": METADATA, "spec": data.draw(RESOURCES[kind]), "status": data.draw(STATUSES[kind])}

    msgspec.convert(resource, MODELS[kind])


@pytest.mark.parametrize("kind", KINDS)
@thorough
@given(data=st.data())
def test_what_the_model_writes_the_schema_accepts_and_the_model_reads_back(kind: str, data: st.DataObject) -> None:
    read = msgspec.convert(data.draw(RESOURCES[kind]), SPECS[kind])

    written = to_json(read)

    VALIDATORS[kind].validate(written)
    assert msgspec.convert(written, SPECS[kind]) == read


@pytest.mark.parametrize("kind", KINDS)
@thorough
@given(data=st.data())
def test_with_one_value_changed_schema_and_model_agree(kind: str, data: st.DataObject) -> None:
    """One value anywhere becomes another of any type and size: both accept the result, or both refuse it."""
    spec = deepcopy(data.draw(RESOURCES[kind]))
    place = data.draw(st.sampled_from(list(_places(spec)) or [()]))
    if not place:
        return
    _put(spec, place, data.draw(SURPRISES))

    accepted = VALIDATORS[kind].is_valid(spec)

    assert _reads(spec, SPECS[kind]) == accepted, (place, list(VALIDATORS[kind].iter_errors(spec)))


# No null: the API server takes it for "not given" before it looks at the schema (tests/contract/crds).
SURPRISES = st.one_of(
    st.booleans(),
    st.integers(-3, 2**40),
    st.sampled_from(["", "a", "A b", "-1", "1e999", "NaN", "../..", "x" * 5000, "\u00a0", "\r\n", "sha256:0", "10m"]),
    st.just([]),
    st.just({}),
    st.just(["a"] * 65),
    st.just({f"k{i}": "v" for i in range(65)}),
)

Place = tuple[str | int, ...]


def _places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every place inside a value."""
    if at:
        yield at
    for key, child in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from _places(child, (*at, key))


def _put(value: Any, place: Place, new: object) -> None:
    for key in place[:-1]:
        value = value[key]
    value[place[-1]] = new


def _reads(spec: object, model: type[msgspec.Struct]) -> bool:
    try:
        msgspec.convert(spec, model)
    except msgspec.ValidationError:
        return False
    return True
