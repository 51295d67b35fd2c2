"""When a schedule is due, above all where clocks change: in Berlin on 2026-03-29 (02:00 → 03:00) and 10-25 (back)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.api.cron import BadSchedule, latest_time, next_time

BERLIN = "Europe/Berlin"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def due(cron: str, zone: str, after: str, count: int) -> list[str]:
    """The next times in UTC: day and hour."""
    found, moment = [], utc(after)
    for _ in range(count):
        moment = next_time(cron, zone, moment)
        found.append(f"{moment:%m-%d %H:%M}")
    return found


@pytest.mark.parametrize(
    ("cron", "zone", "after", "times"),
    [
        ("0 2 * * *", "UTC", "2026-03-01T12:00", ["03-02 02:00", "03-03 02:00"]),
        ("0 2 * * *", BERLIN, "2026-03-01T12:00", ["03-02 01:00", "03-03 01:00"]),
        ("0 2 * * *", "Asia/Kolkata", "2026-03-01T12:00", ["03-01 20:30", "03-02 20:30"]),
        ("*/20 8-9 * * MON-FRI", "UTC", "2026-03-06T09:30", ["03-06 09:40", "03-09 08:00"]),
        ("0 0 1,15 * *", "UTC", "2026-03-01T00:00", ["03-15 00:00", "04-01 00:00"]),
        ("0 0 29 2 *", "UTC", "2026-03-01T00:00", ["02-29 00:00"]),  # of 2028
        ("0 0 13 * FRI", "UTC", "2026-03-01T00:00", ["03-06 00:00", "03-13 00:00"]),  # either of the two, as in cron
        ("@daily", "UTC", "2026-03-01T12:00", ["03-02 00:00"]),
        ("@hourly", "UTC", "2026-03-01T12:00", ["03-01 13:00"]),
        ("@weekly", "UTC", "2026-03-02T12:00", ["03-08 00:00"]),
        ("@monthly", "UTC", "2026-03-01T12:00", ["04-01 00:00"]),
        ("@yearly", "UTC", "2026-03-01T12:00", ["01-01 00:00"]),
    ],
)
def test_due_times(cron: str, zone: str, after: str, times: list[str]) -> None:
    assert due(cron, zone, after, len(times)) == times


@pytest.mark.parametrize(
    ("cron", "after", "times"),
    [
        # Spring: 02:30 does not exist on the 29th; it is due when the gap is over, and on the day after as ever.
        ("30 2 * * *", "2026-03-28T12:00", ["03-29 01:00", "03-30 00:30"]),
        # Two times in the gap are one start.
        ("15,45 2 * * *", "2026-03-28T12:00", ["03-29 01:00", "03-30 00:15"]),
        # What is due at the end of the gap anyway is due once.
        ("0 2,3 * * *", "2026-03-28T12:00", ["03-29 01:00", "03-30 00:00"]),
        # Every half of an hour that there is not.
        ("*/30 2 * * *", "2026-03-28T12:00", ["03-30 00:00", "03-30 00:30"]),
        # Every hour is every hour that there is.
        ("0 * * * *", "2026-03-28T23:30", ["03-29 00:00", "03-29 01:00", "03-29 02:00"]),
    ],
)
def test_a_time_that_the_clocks_skip(cron: str, after: str, times: list[str]) -> None:
    assert due(cron, BERLIN, after, len(times)) == times


@pytest.mark.parametrize(
    ("cron", "after", "times"),
    [
        # Autumn: 02:30 comes twice on the 25th; it is due the first time.
        ("30 2 * * *", "2026-10-24T12:00", ["10-25 00:30", "10-26 01:30"]),
        ("15,45 2 * * *", "2026-10-24T12:00", ["10-25 00:15", "10-25 00:45", "10-26 01:15"]),
        # Asked between the two, and in the hour that is repeated before the time itself: not again.
        ("30 2 * * *", "2026-10-25T00:45", ["10-26 01:30"]),
        ("30 2 * * *", "2026-10-25T01:10", ["10-26 01:30"]),
        # Every hour, and every half of one, is real time: the repeated hour counts.
        ("0 * * * *", "2026-10-24T23:30", ["10-25 00:00", "10-25 01:00", "10-25 02:00"]),
        ("*/30 2 * * *", "2026-10-24T12:00", ["10-25 00:00", "10-25 00:30", "10-25 01:00", "10-25 01:30"]),
    ],
)
def test_a_time_that_comes_twice(cron: str, after: str, times: list[str]) -> None:
    assert due(cron, BERLIN, after, len(times)) == times


@pytest.mark.parametrize(
    ("cron", "zone", "reason"),
    [
        ("0 2 * *", "UTC", "InvalidSchedule"),
        ("60 2 * * *", "UTC", "InvalidSchedule"),
        ("0 0 5-3 * *", "UTC", "InvalidSchedule"),
        ("0 0 * FOO *", "UTC", "InvalidSchedule"),
        ("@never", "UTC", "InvalidSchedule"),
        ("0 0 30 2 *", "UTC", "InvalidSchedule"),  # the 30th of February
        ("0 0 * 2 MON#6", "UTC", "InvalidSchedule"),
        ("0 2 * * *", "Mars/Olympus", "UnknownTimeZone"),
        ("0 2 * * *", "../../etc/passwd", "UnknownTimeZone"),
        ("0 2 * * *", "Europe", "UnknownTimeZone"),  # a folder of the data base
        ("0 2 * * *", "", "UnknownTimeZone"),
    ],
)
def test_a_schedule_that_is_never_due_says_why(cron: str, zone: str, reason: str) -> None:
    with pytest.raises(BadSchedule) as refused:
        next_time(cron, zone, utc("2026-03-01T12:00"))
    assert refused.value.reason == reason
    assert (cron if reason == "InvalidSchedule" else zone) in str(refused.value)


@pytest.mark.parametrize(
    ("now", "latest"),
    [
        ("2026-03-02T02:00", "2026-03-02T02:00"),
        ("2026-03-02T02:00:30", "2026-03-02T02:00"),
        ("2026-03-09T01:59:59", "2026-03-08T02:00"),
        ("2026-03-09T02:00", "2026-03-09T02:00"),
    ],
)
def test_of_many_times_that_were_missed_the_last_counts(now: str, latest: str) -> None:
    assert latest_time("0 2 * * *", "UTC", utc("2026-03-02T02:00"), utc(now)) == utc(latest)


CRONS = st.sampled_from(["30 2 * * *", "0 * * * *", "*/7 * * * *", "15,45 1-3 * * *", "0 3 * * SUN", "@daily"])
ZONES = st.sampled_from([BERLIN, "UTC", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca"])
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(CRONS, ZONES, MOMENTS, st.integers(0, 10**6))
def test_times_go_forward_and_the_latest_is_never_ahead(cron: str, zone: str, after: datetime, later: int) -> None:
    due = next_time(cron, zone, after)
    assert due > after
    now = due + timedelta(seconds=later)
    latest = latest_time(cron, zone, due, now)
    assert due <= latest <= now
    assert next_time(cron, zone, latest) > now, "nothing is due between the latest time and now"
