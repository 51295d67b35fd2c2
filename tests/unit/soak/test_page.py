"""docs/reliability.md says what held, and what did not."""

from __future__ import annotations

import pytest

from tests.soak.__main__ import growth
from tests.soak.ground import Sample
from tests.soak.page import Account, section


def account(**fields: object) -> Account:
    known: dict[str, object] = {
        "command": "make soak",
        "machine": "2 cores",
        "versions": "Kubernetes 1",
        "commit": "abc1234",
        "date": "2026-01-01",
        "minutes": 60.0,
        "resources": 1000,
        "seed": 7,
    }
    return Account(**{**known, **fields})  # type: ignore[arg-type]


def test_a_page_of_what_held_says_so() -> None:
    told = section(account(jobs=1234, settled_after=41.6, happened={"operator killed": 3}))

    assert "Everything held." in told
    assert "1,234 Jobs" in told
    assert "all 1,000 after 42 s" in told
    assert "| operator killed | 3 |" in told


def test_what_did_not_hold_is_told_first_and_in_words() -> None:
    failed = account(broken=["Job team/iris-1 was made 2 times"], at_rest=["patch trainingjobs/status team/iris"])
    told = section(failed)

    assert not failed.held
    assert "**Did not hold: 2.**" in told
    assert "- Job team/iris-1 was made 2 times" in told
    assert "- at rest: patch trainingjobs/status team/iris" in told
    assert "not all of 1,000 did" in told, "nobody has said that they settled"


@pytest.mark.parametrize(
    ("alive", "expected"),
    [
        ({1}, (60.0, 70.0, 3.0, 90.0)),
        ({1, 2}, (60.0, 70.0, 3.0, 90.0)),
        ({3}, (0.0, 0.0, 0.0, 90.0)),
        (set(), (0, 0, 0, 90)),
    ],
    ids=["one", "the larger of two", "too young", "nobody lives on"],
)
def test_growth_is_that_of_a_process_that_lives_on_and_is_no_longer_young(
    alive: set[int], expected: tuple[float, ...]
) -> None:
    samples = [Sample(0.0, 9, 90.0)]
    samples += [Sample(60.0 * minute, 1, size) for minute, size in enumerate((30.0, 60.0, 65.0, 66.0, 70.0))]
    samples += [Sample(60.0 * minute, 2, 20.0) for minute in range(5)] + [Sample(60.0, 3, 50.0)]

    assert growth(samples, 0.0, alive) == expected
