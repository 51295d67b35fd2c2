"""The status patch: applied as RFC 7396 says, it makes the owned fields what they shall be, and touches no others."""

from __future__ import annotations

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.engine.controller import status_difference
from tests.unit.engine.objects import Json

NAMES = st.sampled_from(["a", "b", "c", "d"])
# A JSON value without null: a status has none, and a merge patch cannot write one.
VALUES = st.recursive(
    st.booleans() | st.integers(0, 3) | st.sampled_from(["x", "y"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
STATUSES = st.dictionaries(NAMES, VALUES, max_size=4)


def merged(target: object, patch: object) -> object:
    """MergePatch of RFC 7396, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


@given(stored=STATUSES, wanted=STATUSES, owned=st.frozensets(NAMES))
def test_the_patch_makes_the_owned_fields_what_is_wanted_and_leaves_the_others(
    stored: Json, wanted: Json, owned: frozenset[str]
) -> None:
    before = deepcopy(stored)

    after = merged(stored, status_difference(stored, wanted, owned))

    expected = {name: value for name, value in stored.items() if name not in owned}
    expected |= {name: value for name, value in wanted.items() if name in owned}
    assert after == expected
    assert stored == before, "nothing was changed in place"


@given(stored=STATUSES, owned=st.frozensets(NAMES))
def test_what_is_as_it_should_be_needs_no_patch(stored: Json, owned: frozenset[str]) -> None:
    assert status_difference(stored, deepcopy(stored), owned) == {}


@pytest.mark.parametrize(
    ("stored", "wanted", "patch"),
    [
        ({}, {"a": 1}, {"a": 1}),
        ({"a": 1}, {}, {"a": None}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, {"a": {"c": 3}}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}, {"a": {"c": None}}),
        ({"a": [1, 2]}, {"a": [1]}, {"a": [1]}),
        ({"a": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
        ({"z": 1}, {"a": 1, "z": 2}, {"a": 1}),
    ],
    ids=["new", "gone", "deep", "gone deep down", "a list is replaced", "another type", "another controller's field"],
)
def test_the_patch_is_no_larger_than_the_difference(stored: Json, wanted: Json, patch: Json) -> None:
    assert status_difference(stored, wanted, frozenset("abcd")) == patch
