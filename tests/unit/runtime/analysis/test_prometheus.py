"""What a Prometheus answers: one number, no data, or nothing that could be judged."""

from __future__ import annotations

import json
import math

import pytest

from tandem.runtime.analysis.asking import NotMeasured
from tandem.runtime.analysis.prometheus import read
from tandem.runtime.analysis.verdict import NoData, Value


def answer(type_: str, result: object) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": type_, "result": result}}).encode()


def series(*values: str) -> list[object]:
    return [{"metric": {"pod": str(number)}, "value": [1767225600.1, value]} for number, value in enumerate(values)]


@pytest.mark.parametrize("type_", ["scalar", "vector"])
@pytest.mark.parametrize(
    ("told", "number"), [("0.25", 0.25), ("-3", -3.0), ("+Inf", math.inf), ("-Inf", -math.inf), ("1e-05", 1e-05)]
)
def test_a_scalar_and_a_vector_of_one_series_are_a_number(type_: str, told: str, number: float) -> None:
    result = [1767225600.1, told] if type_ == "scalar" else series(told)
    assert read(answer(type_, result)) == Value(number)


def test_zero_by_zero_is_nan_as_prometheus_has_it() -> None:
    measured = read(answer("vector", series("NaN")))
    assert isinstance(measured, Value)
    assert math.isnan(measured.number)


def test_an_empty_vector_is_no_data() -> None:
    assert isinstance(read(answer("vector", [])), NoData)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (answer("vector", series("1", "2")), "2 series; sum or narrow it to one"),
        (answer("matrix", []), "make it an instant query"),
        (answer("string", [1.0, "x"]), "make it an instant query"),
        (answer("scalar", [1.0, "many"]), "'many' is no number"),
        (b'{"status": "error", "error": "parse error"}', "not one of a Prometheus"),
        (b"<html>", "not one of a Prometheus"),
        (b"", "not one of a Prometheus"),
    ],
)
def test_what_is_no_number_is_an_error_that_says_what_to_do(body: bytes, why: str) -> None:
    with pytest.raises(NotMeasured, match=why):
        read(body)
