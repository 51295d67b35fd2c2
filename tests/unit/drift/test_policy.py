"""The brakes: what holds a request back, and when a cooldown ends."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tandem.drift.policy import answer_to, brake, cooldown_end, request_id, seconds
from tests.unit.drift.world import NOW, World, hours

DRIFT = {"type": "Drift", "id": "a1"}
CHANGED = {"type": "SpecChanged", "id": "2"}


def run(number: int = 2, completed: datetime | None = None, trigger: dict[str, str] = DRIFT) -> dict[str, Any]:
    ended = {"completionTime": completed.isoformat()} if completed else {}
    return {"number": number, "trigger": trigger, "specDigest": "d", **ended}


def entry(completed: datetime, trigger: dict[str, str] = DRIFT) -> dict[str, Any]:
    return {"number": 1, "trigger": trigger, "result": "Complete", "completionTime": completed.isoformat()}


@pytest.mark.parametrize(
    ("rule", "status", "champion_since", "ended_before"),
    [
        ("no cycle yet", {}, None, None),
        ("the run of a drift", {"run": run(completed=NOW)}, None, hours(0)),
        ("while it runs there is no end", {"run": run()}, None, None),
        ("a run that somebody else asked for is no cycle", {"run": run(completed=NOW, trigger=CHANGED)}, None, None),
        ("an earlier run of a drift", {"history": [entry(NOW - hours(2))]}, None, hours(2)),
        ("the newest cycle counts", {"run": run(completed=NOW), "history": [entry(NOW - hours(2))]}, None, hours(0)),
        ("a promotion or rollback", {}, NOW - hours(3), hours(3)),
        ("a promotion after the run", {"run": run(completed=NOW - hours(5))}, NOW - hours(1), hours(1)),
        ("a run after the promotion", {"run": run(completed=NOW - hours(1))}, NOW - hours(5), hours(1)),
    ],
)
def test_a_cooldown_counts_from_the_end_of_the_last_cycle(
    rule: str, status: dict[str, Any], champion_since: datetime | None, ended_before: timedelta | None
) -> None:
    job = World(status=status, cooldown="4h").job
    expected = NOW - ended_before + hours(4) if ended_before is not None else None
    assert cooldown_end(job, champion_since) == expected, rule


def test_a_changed_cooldown_counts_at_once() -> None:
    status = {"run": run(completed=NOW - hours(2))}
    assert brake(World(status=status, cooldown="24h").job, None, NOW) is not None
    assert brake(World(status=status, cooldown="1h").job, None, NOW) is None


@pytest.mark.parametrize(
    ("rule", "world", "by"),
    [
        ("nothing in the way", World(), None),
        ("suspended", World(spec={"suspend": True}), "Suspended"),
        ("a run is in progress, whoever asked for it", World(status={"run": run(trigger=CHANGED)}), "RunInProgress"),
        ("cooling down", World(status={"run": run(completed=NOW)}), "Cooldown"),
        ("a cooldown is over at its last second", World(status={"run": run(completed=NOW - hours(1))}), None),
    ],
)
def test_what_holds_a_request_back(rule: str, world: World, by: str | None) -> None:
    held = brake(world.job, None, NOW)
    assert (held.by if held else None) == by, rule


def test_a_brake_says_what_moves_it() -> None:
    suspended = brake(World(spec={"suspend": True}).job, None, NOW)
    cooling = brake(World(status={"run": run(completed=NOW)}).job, None, NOW)
    assert suspended is not None
    assert "spec.suspend" in suspended.message
    assert cooling is not None
    assert cooling.until == NOW + hours(1)
    assert "2026-11-23 13:00:00Z (spec.retrain.cooldown)" in cooling.message


@pytest.mark.parametrize(
    ("rule", "status", "number"),
    [
        ("nobody yet", {}, None),
        ("the latest run", {"run": run(5)}, 5),
        ("an earlier run", {"run": run(5, trigger=CHANGED), "history": [entry(NOW)]}, 1),
        ("another request's run does not", {"run": run(5, trigger={"type": "Drift", "id": "b2"})}, None),
    ],
)
def test_a_request_is_answered_by_the_run_that_names_it(rule: str, status: dict[str, Any], number: int | None) -> None:
    found = answer_to("a1", World(status=status).job.status)
    assert (found.number if found else None) == number, rule


ALARM = st.tuples(st.text(), st.text(), st.text(), st.integers(0, 10**9))


@example(("u", "1", "a\n2", 3), ("u", "1\na", "2", 3))
@given(ALARM, ALARM)
def test_equal_alarms_have_one_id_and_different_alarms_two(one: Any, other: Any) -> None:
    assert (request_id(*one) == request_id(*other)) == (one == other)


def test_the_id_of_an_alarm_is_the_same_for_ever() -> None:
    # It is compared across versions of the controller: a changed hash would start a second run for an open alarm.
    # By hand: printf '["uid-1", "3", "accuracy", 29917440]' | sha256sum | cut -c1-16
    assert request_id("uid-1", "3", "accuracy", 29_917_440) == "f390668980d71bb8"


def test_times_are_kept_in_utc_and_whole_seconds() -> None:
    east = datetime(2026, 11, 23, 14, 0, 0, 999_999, tzinfo=timezone(hours(2)))
    assert seconds(east).isoformat() == "2026-11-23T12:00:00+00:00"
