"""The comparing container is told two runs, and the operator reads what it says."""

from __future__ import annotations

import msgspec
import pytest

from tandem.runtime.compare import Result, parse
from tandem.runtime.instruction import InstructionInvalid
from tandem.training.reproduction import Comparison


def test_it_is_told_the_two_runs() -> None:
    assert parse({"TANDEM_REPRODUCTION": '{"original": "a"}', "MLFLOW_RUN_ID": "b"}) == ("b", "a")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"MLFLOW_RUN_ID": "b"},
        {"TANDEM_REPRODUCTION": '{"original": "a"}'},
        {"TANDEM_REPRODUCTION": "{}", "MLFLOW_RUN_ID": "b"},
        {"TANDEM_REPRODUCTION": '{"original": 1}', "MLFLOW_RUN_ID": "b"},
    ],
)
def test_an_instruction_that_is_none_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(InstructionInvalid):
        parse(environment)


def test_the_result_is_what_the_operator_reads() -> None:
    result = Result(same=False, files=3, difference="model.pkl has other bytes")
    read = msgspec.json.decode(msgspec.json.encode(result), type=Comparison)
    assert msgspec.to_builtins(read) == msgspec.to_builtins(result)
