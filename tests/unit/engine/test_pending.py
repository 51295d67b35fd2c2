"""Which questions are asked next, and that to find them costs no look at all that wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from tandem.api.facts import Query
from tandem.engine.pending import Pending


@dataclass(frozen=True, slots=True)
class Asked(Query[object]):
    """``how``: new, polled, or the name of a lot."""

    how: str
    number: int = 0


class Manner:
    def __init__(self) -> None:
        self.looks = 0

    def poll_interval(self, query: Query[object]) -> timedelta | None:
        assert isinstance(query, Asked)
        self.looks += 1
        return None if query.how == "new" else timedelta(seconds=10)

    def lot(self, query: Query[object]) -> str | None:
        assert isinstance(query, Asked)
        self.looks += 1
        return None if query.how in {"new", "polled"} else query.how


def some(how: str, count: int) -> list[Query[object]]:
    return [Asked(how, number) for number in range(count)]


def pending(*queries: Query[object]) -> Pending:
    made = Pending(Manner())
    for query in queries:
        made.add(query)
    return made


def test_whole_lots_come_first_then_what_is_waited_for_then_what_is_polled() -> None:
    waiting = pending(*some("polled", 2), *some("new", 3), *some("models", 60), *some("monitors", 1))

    batches = [waiting.take() for _ in range(5)]

    assert batches == [some("models", 60), some("monitors", 1), some("new", 3), some("polled", 2), []]
    assert not waiting


def test_a_question_waits_once_however_often_it_is_added() -> None:
    waiting = pending(Asked("new"), Asked("new"))

    assert waiting.take() == [Asked("new")]
    assert waiting.take() == []


def test_of_what_is_polled_one_batch_is_under_way_at_a_time() -> None:
    waiting = pending(*some("polled", 70))
    first = waiting.take()

    assert (len(first), waiting.take()) == (50, [])
    waiting.answered(first)
    assert waiting.take() == some("polled", 70)[50:]


def test_what_is_added_while_it_is_under_way_waits_for_the_end_of_that() -> None:
    waiting = pending(Asked("new"))
    batch = waiting.take()
    waiting.add(Asked("new"))

    assert (Asked("new") in waiting, waiting.take()) == (True, [])
    waiting.answered(batch)
    assert waiting.take() == [Asked("new")]


def test_what_was_taken_off_is_not_asked_again_either() -> None:
    waiting = pending(Asked("new"), Asked("models"))
    batch = [*waiting.take(), *waiting.take()]
    for query in batch:
        waiting.add(query)
        waiting.discard(query)

    assert not any(query in waiting for query in batch)
    assert set(waiting.under_way) == set(batch)
    waiting.answered(batch)
    assert (waiting.take(), set(waiting.under_way)) == ([], set())


def test_a_question_among_thousands_that_are_polled_costs_what_it_costs_alone() -> None:
    def looks(*others: Query[object]) -> int:
        manner = Manner()
        waiting = Pending(manner)
        for query in others:
            waiting.add(query)
        before = manner.looks
        waiting.add(Asked("new"))
        waiting.answered(waiting.take())
        return manner.looks - before

    assert looks(*some("polled", 5000)) == looks() < 10
