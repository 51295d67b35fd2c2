"""What is due when, and that a look at it costs no look at everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tandem.engine.deadlines import Deadlines


def deadlines(**due: float) -> Deadlines[str]:
    made: Deadlines[str] = Deadlines()
    for key, when in due.items():
        made.put(key, when)
    return made


def test_what_is_due_comes_the_earliest_first_and_once() -> None:
    some = deadlines(b=2, a=1, c=3)

    assert list(some.take(2)) == ["a", "b"]
    assert list(some.take(2)) == []
    assert (some.first(), len(some)) == (3, 1)


def test_of_two_that_are_due_together_the_first_comes_first() -> None:
    assert list(deadlines(z=1, a=1).take(1)) == ["z", "a"]


def test_the_last_word_counts_later_or_earlier() -> None:
    some = deadlines(a=1, b=5)
    some.put("a", 9)
    some.put("b", 2)

    assert list(some.take(8)) == ["b"]
    assert (some.get("a"), some.get("b")) == (9, None)


def test_what_was_taken_off_is_never_due() -> None:
    some = deadlines(a=1)
    some.discard("a")
    some.discard("never there")

    assert (some.first(), len(some), list(some.take(10))) == (None, 0, [])


def test_a_key_may_come_back_while_others_are_taken() -> None:
    some = deadlines(a=1, b=2)
    for key in some.take(2):
        some.put(key, 3)

    assert list(some.take(3)) == ["a", "b"]


def test_old_entries_do_not_pile_up() -> None:
    some = deadlines()
    for number in range(100_000):
        some.put("a", number)

    assert len(some._heap) <= 102
    assert list(some.take(1e9)) == ["a"]


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.one_of(st.none(), st.integers(0, 9)), st.integers(0, 9))))
def test_it_is_as_a_dictionary_that_is_looked_through(steps: list[tuple[str, int | None, int]]) -> None:
    some, plain = deadlines(), dict[str, float]()
    for key, due, now in steps:
        if due is None:
            some.discard(key)
            plain.pop(key, None)
        else:
            some.put(key, due)
            plain[key] = due
        expected = {other for other, when in plain.items() if when <= now}
        assert set(some.take(now)) == expected
        plain = {other: when for other, when in plain.items() if other not in expected}
        assert (some.first(), len(some)) == (min(plain.values(), default=None), len(plain))
