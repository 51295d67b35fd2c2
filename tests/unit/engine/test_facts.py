"""When questions are asked, asked again, and forgotten, and who is woken by an answer. Time is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from tandem.api.facts import Query, Told, Unavailable
from tandem.api.meta import Key
from tandem.api.plan import Outside
from tandem.engine.facts import FactBoard

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

A, B = Key("Widget", "ns", "a"), Key("Widget", "ns", "b")
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Once(Query[object]):
    """Changes only by our own writes."""

    name: str


@dataclass(frozen=True, slots=True)
class Polled(Query[object]):
    """One by one."""

    name: str


@dataclass(frozen=True, slots=True)
class Together(Polled):
    """Of one lot."""


DOWN = Unavailable(EPOCH, "TrackingUnavailable", "down")


class World:
    """The source, what it was asked and when, and who was woken when."""

    def __init__(self) -> None:
        self.answers: dict[Query[object], object] = {}
        self.takes = 0.0  # seconds for an answer
        self.takes_long: dict[Query[object], float] = {}
        self.raises: Exception | None = None
        self.asked: list[tuple[float, set[Query[object]]]] = []
        self.woken: list[tuple[float, Key]] = []
        self.board = FactBoard(self, lambda key: self.woken.append((self.time, key)), lambda: EPOCH)

    @property
    def time(self) -> float:
        return round(asyncio.get_running_loop().time(), 3)

    async def answer(self, queries: Collection[Query[object]]) -> Mapping[Query[object], object]:
        self.asked.append((self.time, set(queries)))
        if self.raises:
            raise self.raises
        answers = {query: self.answers[query] for query in queries if query in self.answers}
        await asyncio.sleep(
            max([self.takes, *(self.takes_long[query] for query in queries if query in self.takes_long)])
        )
        return answers

    def poll_interval(self, query: Query[object]) -> timedelta | None:
        return timedelta(seconds=10) if isinstance(query, Polled) else None

    def lot(self, query: Query[object]) -> str | None:
        return "together" if isinstance(query, Together) else None

    async def carry_out(self, write: Outside) -> Told:
        raise NotImplementedError

    def asked_at(self, query: Query[object]) -> list[float]:
        return [time for time, queries in self.asked if query in queries]


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    running = asyncio.create_task(world.board.run())
    yield world
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_new_question_is_asked_at_once_and_its_answer_wakes_who_asked(world: World) -> None:
    world.answers[Once("x")] = 1
    world.board.subscribe(A, [Once("x")])
    assert not world.board.facts.answered(Once("x"))

    await asyncio.sleep(0.5)

    assert world.asked == [(0, {Once("x")})]
    assert world.woken == [(0, A)]
    assert world.board.facts.read(Once("x")) == 1


async def test_two_who_ask_the_same_share_one_answer(world: World) -> None:
    world.answers[Once("x")] = 1
    world.board.subscribe(A, [Once("x")])
    world.board.subscribe(B, [Once("x")])
    await asyncio.sleep(0.5)

    assert world.asked_at(Once("x")) == [0]
    assert {key for _, key in world.woken} == {A, B}


async def test_a_question_that_is_known_already_is_not_asked_for_a_second_reader(world: World) -> None:
    world.answers[Once("x")] = 1
    world.board.subscribe(A, [Once("x")])
    await asyncio.sleep(0.5)
    world.board.subscribe(B, [Once("x")])
    await asyncio.sleep(100)

    assert world.asked_at(Once("x")) == [0]


async def test_an_answer_of_none_is_an_answer(world: World) -> None:
    world.answers[Once("x")] = None
    world.board.subscribe(A, [Once("x")])
    await asyncio.sleep(0.5)

    assert world.board.facts.answered(Once("x"))
    assert world.woken == [(0, A)]


async def test_polled_questions_of_one_lot_are_asked_together_on_common_ticks_whenever_they_began(world: World) -> None:
    first, second = Together("x"), Together("y")
    world.answers |= {first: 1, second: 1}
    world.board.subscribe(A, [first])
    await asyncio.sleep(3)
    world.board.subscribe(B, [second])
    await asyncio.sleep(28)

    assert world.asked == [(0, {first}), (3, {second}), *((tick, {first, second}) for tick in (10, 20, 30))]


async def test_an_unchanged_answer_wakes_nobody_and_a_changed_one_its_readers(world: World) -> None:
    world.answers |= {Polled("x"): 1, Polled("y"): 1}
    world.board.subscribe(A, [Polled("x")])
    world.board.subscribe(B, [Polled("y")])
    await asyncio.sleep(15)
    world.woken.clear()

    world.answers[Polled("x")] = 2
    await asyncio.sleep(10)

    assert world.woken == [(20, A)]


async def test_after_a_write_everything_is_asked_again_and_the_reader_is_woken_even_when_nothing_changed(
    world: World,
) -> None:
    world.answers[Once("x")] = 1
    world.board.subscribe(A, [Once("x")])
    await asyncio.sleep(5)
    world.woken.clear()

    world.board.ask_again(A)
    await asyncio.sleep(1)

    assert world.asked_at(Once("x")) == [0, 5]
    assert world.woken == [(5, A)]


async def test_after_a_write_nothing_is_known_until_it_is_answered_anew(world: World) -> None:
    """Else a quick answer would bring a plan that goes by what the slow one was before: it writes again, for ever."""
    quick, slow = Once("quick"), Polled("slow")
    world.answers |= {quick: 1, slow: "before"}
    world.board.subscribe(A, [quick, slow])
    await asyncio.sleep(1)
    world.woken.clear()
    world.takes_long[slow] = 3.0

    world.answers[slow] = "after"
    world.board.ask_again(A)
    await asyncio.sleep(1)
    assert world.woken == [(1, A)], "by the quick answer"
    assert world.board.facts.answered(quick)
    assert not world.board.facts.answered(slow)

    await asyncio.sleep(3)
    assert (world.woken, world.board.facts.read(slow)) == ([(1, A), (4, A)], "after")


async def test_what_a_write_tells_is_not_asked_for_and_wakes_the_reader(world: World) -> None:
    world.answers |= {Once("x"): 1, Once("y"): 1}
    world.board.subscribe(A, [Once("x"), Once("y")])
    await asyncio.sleep(5)
    world.woken.clear()

    world.board.ask_again(A, {Once("x"): 2, Once("nobody's"): 3})
    assert (world.board.facts.read(Once("x")), world.woken) == (2, [(5, A)])
    await asyncio.sleep(1)

    assert world.asked_at(Once("x")) == [0]
    assert world.asked_at(Once("y")) == [0, 5], "of the other one nothing was told"
    assert not world.board.facts.answered(Once("nobody's"))


async def test_what_a_write_tells_does_not_overtake_a_question_that_is_under_way(world: World) -> None:
    """Its answer would come later, and may be older."""
    world.takes = 2
    world.answers[Once("x")] = "before"
    world.board.subscribe(A, [Once("x")])
    await asyncio.sleep(1)
    world.answers[Once("x")] = "after"
    world.board.ask_again(A, {Once("x"): "told"})
    await asyncio.sleep(4)

    assert world.asked_at(Once("x")) == [0, 2]
    assert world.board.facts.read(Once("x")) == "after"


async def test_after_a_write_who_reads_nothing_is_woken_at_once(world: World) -> None:
    world.board.ask_again(A)

    assert world.woken == [(0, A)]


async def test_an_answer_that_was_under_way_during_a_write_does_not_count(world: World) -> None:
    """It may be older than the write; believing it would repeat the write."""
    world.takes = 2
    world.answers[Once("x")] = "before"
    world.board.subscribe(A, [Once("x")])
    await asyncio.sleep(1)
    world.answers[Once("x")] = "after"
    world.board.ask_again(A)
    await asyncio.sleep(1.5)
    assert (world.woken, world.board.facts.answered(Once("x"))) == ([], False)

    await asyncio.sleep(2)

    assert world.board.facts.read(Once("x")) == "after"
    assert world.woken == [(4, A)]


async def test_a_source_that_is_down_is_asked_again_after_1_2_4_8_15_15_seconds(world: World) -> None:
    world.answers[Once("x")] = DOWN
    world.board.subscribe(A, [Once("x")])
    await asyncio.sleep(46)

    assert world.asked_at(Once("x")) == [0, 1, 3, 7, 15, 30, 45]
    assert world.woken == [(0, A)], "told once, not at every try"


async def test_a_source_that_comes_back_wakes_its_readers_and_is_patient_anew(world: World) -> None:
    world.answers[Once("x")] = DOWN
    world.board.subscribe(A, [Once("x")])
    await asyncio.sleep(2)
    world.answers[Once("x")] = 1
    await asyncio.sleep(100)
    assert world.woken == [(0, A), (3, A)]
    assert world.asked_at(Once("x")) == [0, 1, 3], "answered: asked no more"

    world.asked.clear()
    world.answers[Once("x")] = DOWN
    world.board.ask_again(A)
    await asyncio.sleep(2)
    assert world.asked_at(Once("x")) == [102, 103]


@pytest.mark.parametrize("fault", ["raises", "leaves the question out", "hangs"])
async def test_a_source_that_fails_is_told_and_asked_again(world: World, fault: str) -> None:
    query = Once("x")
    if fault == "raises":
        world.raises = ValueError("broken")
    elif fault == "hangs":
        world.answers[query], world.takes = 1, 1e6
    world.board.subscribe(A, [query])
    await asyncio.sleep(60.5)

    told = world.board.facts.read(query)
    assert isinstance(told, Unavailable)
    assert told.reason == "SourceFailed"
    assert [key for _, key in world.woken] == [A], "told once"

    world.raises, world.takes, world.answers[query] = None, 0, 1
    await asyncio.sleep(16)
    assert world.board.facts.read(query) == 1
    assert [key for _, key in world.woken] == [A, A]


async def test_a_question_that_nobody_asks_any_more_is_forgotten(world: World) -> None:
    world.answers[Polled("x")] = 1
    world.board.subscribe(A, [Polled("x")])
    world.board.subscribe(B, [Polled("x")])
    await asyncio.sleep(1)
    world.board.subscribe(A, [])
    await asyncio.sleep(10)
    assert world.asked_at(Polled("x")) == [0, 10], "B still reads it"

    world.board.subscribe(B, [])
    await asyncio.sleep(100)

    assert world.asked_at(Polled("x")) == [0, 10]
    assert not world.board.facts.answered(Polled("x"))


async def test_an_answer_that_comes_after_its_last_reader_has_left_is_dropped(world: World) -> None:
    world.answers[Once("x")], world.takes = 1, 5
    world.board.subscribe(A, [Once("x")])
    await asyncio.sleep(1)
    world.board.subscribe(A, [])
    await asyncio.sleep(10)

    assert world.woken == []
    assert not world.board.facts.answered(Once("x"))


async def test_slow_answers_to_one_question_do_not_hold_up_another(world: World) -> None:
    world.answers |= {Polled("x"): 1, Once("y"): 1}
    world.takes = 30
    world.board.subscribe(A, [Polled("x")])
    await asyncio.sleep(1)
    world.takes = 0
    world.board.subscribe(B, [Once("y")])
    await asyncio.sleep(1)

    assert world.woken == [(1, B)]


async def test_a_thousand_questions_of_one_lot_are_one_batch_and_others_go_a_few_at_a_time(world: World) -> None:
    lot, others = [Together(str(n)) for n in range(1000)], [Once(str(n)) for n in range(120)]
    world.answers |= dict.fromkeys([*lot, *others], 1)
    world.board.subscribe(A, [*others, *lot])
    await asyncio.sleep(0.5)

    assert sorted(len(queries) for _, queries in world.asked) == [20, 50, 50, 1000]


async def test_thousands_that_are_polled_one_by_one_do_not_hold_up_what_somebody_waits_for(world: World) -> None:
    """A run that goes on costs a request of its own; a server that is slow then is slow for them alone."""
    slow = [Polled(str(n)) for n in range(1000)]
    world.answers |= dict.fromkeys(slow, 1) | {Together("model"): 1, Once("run"): 1}
    world.takes_long = dict.fromkeys(slow, 20.0)
    world.board.subscribe(A, slow)
    await asyncio.sleep(1)
    world.board.subscribe(B, [Together("model"), Once("run")])
    await asyncio.sleep(1)

    assert world.woken == [(1, B), (1, B)]
    await asyncio.sleep(20 * 1000 / 50)
    assert all(world.board.facts.answered(query) for query in slow), "each of them has its turn"
    assert not any(isinstance(world.board.facts.read(query), Unavailable) for query in slow)


async def test_a_source_that_is_down_for_a_day_is_still_asked_every_15_seconds(world: World) -> None:
    world.answers |= {Once("x"): DOWN, Once("y"): 1}
    world.board.subscribe(A, [Once("x")])
    await asyncio.sleep(86_401)

    assert world.asked_at(Once("x"))[-3:] == [86_370, 86_385, 86_400]
    world.board.subscribe(B, [Once("y")])
    await asyncio.sleep(1)
    assert (86_401, B) in world.woken, "and nobody else's question suffers"


async def test_a_question_is_never_under_way_twice(world: World) -> None:
    world.answers[Once("x")], world.takes = 1, 3
    world.board.subscribe(A, [Once("x")])
    for _ in range(20):
        await asyncio.sleep(0.1)
        world.board.ask_again(A)
    await asyncio.sleep(10)

    assert world.asked_at(Once("x")) == [0, 3]


async def known_and_then_down(world: World) -> None:
    """A reads what is polled; five seconds after its first answer the source is down."""
    world.answers[Polled("x")] = 1
    world.board.subscribe(A, [Polled("x")])
    await asyncio.sleep(5)
    world.answers[Polled("x")] = DOWN


async def test_a_poll_that_fails_and_is_answered_the_next_time_is_told_to_nobody(world: World) -> None:
    """A hiccup of a server that thousands ask would change the status of thousands, and change it back."""
    await known_and_then_down(world)
    await asyncio.sleep(7)
    world.answers[Polled("x")] = 1
    await asyncio.sleep(60)

    assert world.asked_at(Polled("x"))[:5] == [0, 10, 11, 13, 20]
    assert world.woken == [(0, A)]


async def test_an_outage_is_told_when_what_is_known_is_older_than_two_polls(world: World) -> None:
    await known_and_then_down(world)
    await asyncio.sleep(60)

    assert world.asked_at(Polled("x"))[1:5] == [10, 11, 13, 17]
    assert world.woken == [(0, A), (25, A)]
    assert world.board.facts.read(Polled("x")) == DOWN


async def test_an_outage_after_a_write_is_told_at_once(world: World) -> None:
    """What was known before the write is known no more."""
    await known_and_then_down(world)
    world.board.ask_again(A)
    await asyncio.sleep(1)

    assert world.woken == [(0, A), (5, A)]
