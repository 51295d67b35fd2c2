"""A switch that a person approves, a preview before it, an Ingress in front; shares without a pause; on real pods."""

from __future__ import annotations

from itertools import groupby

import pytest

from demo.kubectl import condition
from tests.e2e.switched import ANSWERS_AFTER, HELD, Facts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_candidate_has_an_address_of_its_own_before_anybody_else_is_sent_to_it(switched: Facts) -> None:
    assert switched.waiting["status"]["previewUrl"].startswith(f"http://{HELD}-candidate.")
    assert switched.previewed == "good-2"
    assert set(switched.meanwhile.answered) == {"good-1"}


def test_what_waits_for_a_person_says_the_command_that_moves_it(switched: Facts) -> None:
    told = condition(switched.waiting, "RolledOut")["message"]

    assert "approve" in told
    assert switched.waiting["status"]["approval"]["revision"] == 2


def test_the_switch_is_one_moment_in_which_no_request_is_lost(switched: Facts) -> None:
    """Who asks again when he has his answer is never sent back."""
    assert [version for version, _ in groupby(switched.in_turn)] == ["good-1", "good-2"]
    assert switched.in_turn.count("good-2") == ANSWERS_AFTER
    assert switched.asked.failed == {}


def test_who_comes_through_an_ingress_does_not_notice_it_either(switched: Facts) -> None:
    if switched.entered is None:
        pytest.skip("this machine has no way to pods (kind)")
    assert switched.entered.failed == {}
    assert set(switched.entered.answered) == {"good-1", "good-2"}


def test_a_rolling_update_takes_the_traffic_in_shares_and_asks_nobody(switched: Facts) -> None:
    """Divided by pods, a candidate gets half at most before it gets all."""
    assert switched.shares
    assert list(switched.shares) == sorted(switched.shares)
    assert max(switched.shares) <= 50
    assert switched.rolled.failed == {}
    assert set(switched.rolled.answered) == {"good-1", "good-2"}
    assert "approval" not in switched.rolling["status"]
