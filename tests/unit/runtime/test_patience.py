"""Who is away is waited for, some minutes, and told of; what is answered is not asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tandem.runtime import patience
from tandem.runtime.failure import AccessDenied, Failure, MlflowAway, NotFound, StoreFailed, Unreachable
from tandem.runtime.patience import Patience


class Hours:
    """A clock that is moved by whoever sleeps, or takes his time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)


@pytest.fixture
def hours() -> Hours:
    return Hours()


def waits(hours: Hours, seconds: float = 300) -> Patience:
    return Patience(seconds, hours.clock, hours.sleep)


def failing(failures: Iterator[Failure]) -> Callable[[], str]:
    def attempt() -> str:
        for failure in failures:
            raise failure
        return "there"

    return attempt


@pytest.mark.parametrize("failure", [Unreachable("x"), StoreFailed("x"), MlflowAway("x")], ids=type)
def test_what_comes_back_is_waited_for(hours: Hours, failure: Failure) -> None:
    assert waits(hours).outlast(failing(iter([failure] * 3))) == "there"
    assert hours.pauses == [5, 10, 20]


@pytest.mark.parametrize("failure", [NotFound("x"), AccessDenied("x"), Failure("x")], ids=type)
def test_an_answer_is_not_asked_for_again(hours: Hours, failure: Failure) -> None:
    with pytest.raises(type(failure)):
        waits(hours).outlast(failing(iter([failure, failure])))
    assert hours.pauses == []


def test_an_outage_that_becomes_an_answer_is_that_answer(hours: Hours) -> None:
    with pytest.raises(NotFound):
        waits(hours).outlast(failing(iter([Unreachable("x"), NotFound("x")])))


def test_it_ends_and_the_last_failure_is_told(hours: Hours) -> None:
    with pytest.raises(Unreachable, match="no 7"):
        waits(hours).outlast(failing(Unreachable(f"no {number}") for number in range(100)))
    assert hours.pauses == [5, 10, 20, 40, 60, 60, 60]
    assert hours.now <= 300


def test_silence_is_waiting_too(hours: Hours) -> None:
    def attempt() -> None:
        hours.now += 60
        raise Unreachable("no answer for a minute")

    with pytest.raises(Unreachable):
        waits(hours).outlast(attempt)
    assert hours.now <= 360


def test_what_breaks_off_after_an_hour_is_tried_again(hours: Hours) -> None:
    tries = []

    def attempt() -> str:
        hours.now += 3600
        tries.append(hours.now)
        if len(tries) == 1:
            raise StoreFailed("broke off")
        return "there"

    assert waits(hours).outlast(attempt) == "there"


def test_all_that_one_container_waits_for_has_one_bound(hours: Hours) -> None:
    one = waits(hours, 40)
    assert one.outlast(failing(iter([Unreachable("x")] * 3))) == "there"
    with pytest.raises(Unreachable):
        one.outlast(failing(iter([Unreachable("x")] * 3)))
    assert sum(hours.pauses) <= 40


def test_the_log_says_what_is_waited_for_and_how_long(hours: Hours, capsys: pytest.CaptureFixture[str]) -> None:
    waits(hours).outlast(failing(iter([Unreachable("data set iris: the connection\nwas refused")])))
    said = "data set iris: the connection was refused; tried again in 5 s (for 300 s more)\n"
    assert capsys.readouterr().out == said


def test_without_patience_nothing_is_tried_again() -> None:
    with pytest.raises(Unreachable):
        patience.none().outlast(failing(iter([Unreachable("x")])))
