"""A number in a JSON document, found by a pointer (RFC 6901)."""

from __future__ import annotations

import math

import pytest

from tandem.runtime.analysis.asking import NotMeasured
from tandem.runtime.analysis.verdict import NoData, Value
from tandem.runtime.analysis.web import read

DOCUMENT = (
    b'{"data": [{"score": 0.9}, null], "a/b": 1, "m~n": 2, "": 3, "text": "0.5", "word": "high", "no": [], "yes": true}'
)


@pytest.mark.parametrize(
    ("pointer", "number"),
    [("/data/0/score", 0.9), ("/a~1b", 1.0), ("/m~0n", 2.0), ("/", 3.0), ("/text", 0.5)],
)
def test_the_pointer_finds_the_number(pointer: str, number: float) -> None:
    assert read(DOCUMENT, pointer) == Value(number)


def test_without_a_pointer_the_document_is_the_number() -> None:
    assert read(b" 42 ", "") == Value(42.0)


@pytest.mark.parametrize(("body", "number"), [(b"Infinity", math.inf), (b"-Infinity", -math.inf), (b"1e999", math.inf)])
def test_what_python_writes_for_infinities_is_read(body: bytes, number: float) -> None:
    assert read(body, "") == Value(number)


@pytest.mark.parametrize("pointer", ["/missing", "/data/7", "/data/0/x/y", "/data/1", "/no", "/data/-1", "/data/01x"])
def test_nothing_at_the_pointer_is_no_data(pointer: str) -> None:
    assert isinstance(read(DOCUMENT, pointer), NoData)


@pytest.mark.parametrize("pointer", ["/word", "/data", "/data/0", "/yes", ""])
def test_something_that_is_no_number_is_an_error(pointer: str) -> None:
    with pytest.raises(NotMeasured, match="no number"):
        read(DOCUMENT, pointer)


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[" * 100_000])
def test_what_is_no_json_is_an_error(body: bytes) -> None:
    with pytest.raises(NotMeasured, match="no JSON"):
        read(body, "")


def test_a_number_too_large_for_a_double_is_an_error() -> None:
    with pytest.raises(NotMeasured, match="no number"):
        read(b"1" + b"0" * 400, "")
