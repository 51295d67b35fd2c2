"""Nobody who asks notices a rollout: a canary, a canary that is given up, a rollback, an operator that is killed.

The long variant, of 35 rounds, is `make rollouts`: docs/reliability.md.
"""

from __future__ import annotations

import pytest

from tests.e2e.beside import Scenarios
from tests.e2e.rolled import ROLLED, Seen

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def seen(scenarios: Scenarios) -> Seen:
    return scenarios.facts(ROLLED)


def test_no_request_is_lost(seen: Seen) -> None:
    assert seen.told.kills == 1
    assert seen.tally.failed == {}
    assert seen.tally.answers > 500


def test_a_canary_answers_some_and_in_the_end_the_first_one_all(seen: Seen) -> None:
    assert set(seen.tally.answered) == {"good-1", "good-2", "bad-3"}
    assert seen.tally.answered["bad-3"] < seen.tally.answered["good-2"]


def test_the_status_names_what_serves_at_every_change(seen: Seen) -> None:
    assert seen.names.wrong == []
    assert seen.names.switches == [1, 2, 1]
    assert seen.names.statuses > 10
