"""A command that fails ends in one line for the status and an exit code that says whose fault it was."""

from __future__ import annotations

import os
import signal

import pytest

from tandem.runtime import failure
from tandem.runtime.failure import Failure


class OutOfCoffee(Failure):
    exit_code = 7


def test_a_failure_becomes_its_exit_code_and_one_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        print("working")
        raise OutOfCoffee("no coffee:\n  buy\tsome")

    assert failure.run(command) == 7
    assert capsys.readouterr().err == "no coffee: buy some\n"


def test_success_is_exit_code_0_and_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert failure.run(lambda: None) == 0
    assert capsys.readouterr().err == ""


def test_a_bug_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        failure.run(lambda: print(1 // 0))


def test_sigterm_ends_the_command_at_once_even_as_process_1() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as ended:
            failure.run(lambda: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert ended.value.code == 143
