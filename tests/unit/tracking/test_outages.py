"""Since when a question has had no answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tandem.api.facts import ModelNamed, Query, Unavailable
from tandem.tracking.errors import TrackingError, TrackingFailure, TrackingUnavailable
from tandem.tracking.outages import FORGET_AFTER, Outages

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
IRIS, WINE = ModelNamed("iris"), ModelNamed("wine")
AWAY = TrackingUnavailable("away")
REJECTED = TrackingError("INVALID_PARAMETER_VALUE", "no")


def since(outages: Outages, failed: dict[Query[object], TrackingFailure], now: datetime) -> list[datetime]:
    return [unavailable.since for unavailable in outages.observe([], failed, now).values()]


def test_an_unavailable_answer_carries_reason_and_message() -> None:
    assert Outages().observe([], {IRIS: AWAY}, NOON) == {IRIS: Unavailable(NOON, "TrackingUnavailable", "away")}


def test_an_outage_lasts_since_it_was_first_seen() -> None:
    outages = Outages()
    assert since(outages, {IRIS: AWAY}, NOON) == [NOON]
    assert since(outages, {IRIS: AWAY}, NOON + MINUTE) == [NOON]


def test_a_question_first_asked_during_an_outage_shares_its_beginning() -> None:
    outages = Outages()
    since(outages, {IRIS: AWAY}, NOON)
    assert since(outages, {WINE: AWAY}, NOON + MINUTE) == [NOON]


def test_the_next_outage_begins_anew() -> None:
    outages = Outages()
    since(outages, {IRIS: AWAY}, NOON)
    outages.observe([IRIS], {}, NOON + MINUTE)
    assert since(outages, {IRIS: AWAY}, NOON + 2 * MINUTE) == [NOON + 2 * MINUTE]


def test_a_question_that_alone_fails_keeps_its_own_beginning_while_others_are_answered() -> None:
    outages = Outages()
    outages.observe([IRIS], {WINE: AWAY}, NOON)
    again = outages.observe([IRIS], {WINE: AWAY}, NOON + MINUTE)
    assert again[WINE].since == NOON


def test_a_rejected_question_is_no_outage_of_the_server() -> None:
    outages = Outages()
    since(outages, {IRIS: REJECTED}, NOON)
    assert since(outages, {WINE: AWAY}, NOON + MINUTE) == [NOON + MINUTE]


def test_a_question_that_nobody_asks_any_more_is_forgotten() -> None:
    outages = Outages()
    since(outages, {IRIS: REJECTED}, NOON)
    later = NOON + FORGET_AFTER + MINUTE
    since(outages, {WINE: REJECTED}, later)
    assert since(outages, {IRIS: REJECTED}, later) == [later]
