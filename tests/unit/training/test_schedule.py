"""A schedule starts one run at a time, at most one for all that was missed, and nothing by being written down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tandem.api.meta import Json
from tests.unit.training.test_triggers import finished
from tests.unit.training.world import DRIFT_POLICY, World, complete

NIGHTLY: Json = {"schedule": "0 2 * * *"}
DAY = 86_400


def until(world: World, text: str) -> World:
    """It is that hour, and the operator has looked."""
    world.now = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return world.settle()


def nightly(**more: object) -> World:
    """Run 1 is complete; it is noon of March 1st."""
    return complete(retrain={**NIGHTLY, **more})


def triggers(world: World) -> list[str]:
    return [entry["trigger"]["type"] for entry in world.status["history"]]


# --- when a run starts -----------------------------------------------------------------------------------------------


def test_a_schedule_that_is_new_starts_nothing_and_says_when_it_is_due() -> None:
    world = nightly()
    assert world.creations == ["iris-1"]
    assert world.status["schedule"] == {
        "schedule": "0 2 * * *",
        "timeZone": "UTC",
        "nextScheduleTime": "2026-03-02T02:00:00Z",
    }
    assert world.told("Scheduled") == ("True", "ScheduleActive")


def test_the_plan_wakes_itself_at_the_due_time() -> None:
    world = nightly()
    assert world.plan().requeue_after == datetime(2026, 3, 2, 2, tzinfo=UTC) - world.now


def test_nothing_is_written_between_two_due_times() -> None:
    world = nightly()
    written = len(world.statuses)
    for hour in range(13, 24):
        until(world, f"2026-03-01T{hour}:00")
    assert (len(world.statuses), world.creations) == (written, ["iris-1"])


def test_a_run_starts_when_it_is_due_and_tells_what_it_answers() -> None:
    world = finished(until(nightly(), "2026-03-02T02:00"))
    assert world.creations == ["iris-1", "iris-2"]
    trigger = world.status["history"][0]["trigger"]
    assert (trigger["type"], trigger["id"]) == ("Schedule", "2026-03-02T02:00:00Z")
    assert "0 2 * * *" in trigger["message"]
    assert world.status["schedule"]["lastScheduleTime"] == "2026-03-02T02:00:00Z"
    assert world.status["schedule"]["nextScheduleTime"] == "2026-03-03T02:00:00Z"


def test_it_starts_one_each_night() -> None:
    world = nightly()
    for day in range(2, 6):
        finished(until(world, f"2026-03-0{day}T02:00"))
    assert len(world.creations) == 5
    assert triggers(world) == ["Schedule"] * 4 + ["Created"]


def test_the_time_zone_counts() -> None:
    world = nightly(timeZone="Europe/Berlin")
    assert until(world, "2026-03-02T00:59").creations == ["iris-1"]
    assert until(world, "2026-03-02T01:00").creations == ["iris-1", "iris-2"]


def test_a_night_in_which_the_clocks_skip_the_hour_has_its_run() -> None:
    world = complete(retrain={"schedule": "30 2 * * *", "timeZone": "Europe/Berlin"})
    until(world, "2026-03-28T12:00")
    finished(world)
    before = len(world.creations)
    assert len(until(world, "2026-03-29T00:59").creations) == before
    assert len(finished(until(world, "2026-03-29T01:00")).creations) == before + 1
    assert len(finished(until(world, "2026-03-29T12:00")).creations) == before + 1


def test_a_night_in_which_the_hour_comes_twice_has_one_run() -> None:
    world = complete(retrain={"schedule": "30 2 * * *", "timeZone": "Europe/Berlin"})
    finished(until(world, "2026-10-24T12:00"))
    before = len(world.creations)
    for moment in ("00:30", "00:45", "01:00", "01:30", "02:00"):
        finished(until(world, f"2026-10-25T{moment}"))
    assert len(world.creations) == before + 1


# --- missed starts ---------------------------------------------------------------------------------------------------


def test_of_a_week_that_the_operator_was_away_one_run_is_made_up_for() -> None:
    world = finished(until(nightly(), "2026-03-09T12:00"))
    assert world.creations == ["iris-1", "iris-2"]
    assert world.status["run"]["trigger"]["id"] == "2026-03-09T02:00:00Z", "the last of them"
    assert world.status["schedule"]["nextScheduleTime"] == "2026-03-10T02:00:00Z"


@pytest.mark.parametrize(("moment", "runs"), [("02:00:30", 2), ("02:09:00", 2), ("02:10:30", 1), ("23:00:00", 1)])
def test_a_run_that_would_start_too_late_is_left_out(moment: str, runs: int) -> None:
    world = finished(until(nightly(startingDeadlineSeconds=600), f"2026-03-02T{moment}"))
    assert len(world.creations) == runs
    missed = [event.message for event in world.events if event.reason == "MissedSchedule"]
    assert len(missed) == 2 - runs
    assert all("2026-03-02T02:00:00Z" in message for message in missed)
    assert world.status["schedule"]["nextScheduleTime"] == "2026-03-03T02:00:00Z"


def test_after_a_start_was_left_out_the_next_one_comes() -> None:
    world = until(nightly(startingDeadlineSeconds=600), "2026-03-02T12:00")
    assert finished(until(world, "2026-03-03T02:00")).creations == ["iris-1", "iris-2"]


# --- one run at a time -----------------------------------------------------------------------------------------------


def running_at_two(**more: object) -> World:
    world = until(nightly(**more), "2026-03-02T01:00").ask("a").settle().runs_step("train").settle()
    assert world.creations == ["iris-1", "iris-2"]
    return world


def test_what_comes_due_during_a_run_is_one_run_after_it() -> None:
    world = until(running_at_two(), "2026-03-04T12:00")
    assert world.creations == ["iris-1", "iris-2"]
    assert finished(world).creations == ["iris-1", "iris-2", "iris-3"]
    assert world.status["run"]["trigger"]["id"] == "2026-03-04T02:00:00Z"


def test_what_came_due_during_a_run_is_left_out_when_the_run_took_too_long() -> None:
    world = finished(until(running_at_two(startingDeadlineSeconds=3600), "2026-03-02T04:00"))
    assert world.creations == ["iris-1", "iris-2"]


def test_a_run_that_starts_late_answers_everything_that_was_due_by_then() -> None:
    world = nightly(**DRIFT_POLICY).change(parameters={"max_iter": "300"}).ask("a").alarm("r1")
    assert finished(until(world, "2026-03-02T02:00")).creations == ["iris-1", "iris-2"]
    assert world.status["run"]["trigger"]["type"] == "Drift"
    assert world.status["schedule"]["lastScheduleTime"] == "2026-03-02T02:00:00Z"


def test_the_first_run_answers_nothing_that_lies_ahead() -> None:
    world = World().change(retrain=NIGHTLY).settle()
    assert world.status["schedule"]["nextScheduleTime"] == "2026-03-02T02:00:00Z"
    assert finished(until(finished(world), "2026-03-02T02:00")).creations == ["iris-1", "iris-2"]


def test_what_comes_due_while_suspended_waits_and_is_one_run() -> None:
    world = until(nightly().change(suspend=True), "2026-03-05T12:00")
    assert world.creations == ["iris-1"]
    assert world.told("Suspended") == ("True", "Suspended")
    assert finished(world.change(suspend=False)).creations == ["iris-1", "iris-2"]
    assert world.status["run"]["trigger"]["id"] == "2026-03-05T02:00:00Z"


def test_a_deadline_ends_what_waits_for_the_suspension_to_end() -> None:
    world = until(nightly(startingDeadlineSeconds=600).change(suspend=True), "2026-03-05T12:00")
    assert finished(world.change(suspend=False)).creations == ["iris-1"]


# --- changes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", [{"schedule": "0 3 * * *"}, {**NIGHTLY, "timeZone": "Asia/Tokyo"}])
def test_another_schedule_counts_from_the_moment_in_which_it_is_seen(change: Json) -> None:
    world = until(running_at_two(), "2026-03-02T03:30").change(retrain=change)
    assert finished(world).creations == ["iris-1", "iris-2"], "the old one's time is not this one's"
    assert world.status["schedule"]["nextScheduleTime"] > "2026-03-02T03:30"


def test_without_a_schedule_nothing_is_left_of_it() -> None:
    world = nightly().change(retrain=None).settle()
    assert "schedule" not in world.status
    assert world.told("Scheduled") is None
    assert until(world, "2026-03-05T12:00").creations == ["iris-1"]


def test_a_schedule_is_no_input_of_the_model() -> None:
    assert complete().change(retrain=NIGHTLY).settle().creations == ["iris-1"]


# --- schedules that are none -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retrain", "reason"),
    [
        ({"schedule": "0 0 30 2 *"}, "InvalidSchedule"),
        ({"schedule": "0 2 * * *", "timeZone": "Mars/Olympus"}, "UnknownTimeZone"),
    ],
)
def test_a_schedule_that_is_never_due_is_told_and_harms_nothing_else(retrain: Json, reason: str) -> None:
    world = complete(retrain=retrain)
    assert world.told("Scheduled") == ("False", reason)
    assert world.told("Ready") == ("True", "Succeeded")
    assert [event.type for event in world.events if event.reason == reason] == ["Warning"]
    assert finished(until(world, "2026-04-01T12:00").ask("a")).creations == ["iris-1", "iris-2"]
    world.change(retrain=NIGHTLY).settle()
    assert world.told("Scheduled") == ("True", "ScheduleActive")


# --- crashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passes", range(8))
@pytest.mark.parametrize("crash_after", [0, 1, 2])
def test_a_due_time_is_one_run_whenever_the_operator_crashes(passes: int, crash_after: int) -> None:
    world = nightly()
    world.now = datetime(2026, 3, 2, 2, tzinfo=UTC)
    for _ in range(passes):
        world.reconcile()
    world.reconcile(crash_after)
    assert finished(world).creations[-1] == "iris-2"
    assert len(world.jobs) == 2


def test_a_time_that_came_due_after_the_job_was_made_is_not_answered_by_it() -> None:
    # given the Job of run 2 was made at 01:59, and the operator died before it could say so
    world = nightly().ask("a")
    world.now = datetime(2026, 3, 2, 1, 59, tzinfo=UTC)
    while world.creations != ["iris-1", "iris-2"]:
        world.reconcile(crash_after=1 if len(world.runs) == 2 else None)
    assert world.now < datetime(2026, 3, 2, 2, tzinfo=UTC)
    # when it is back at 03:00
    finished(until(world, "2026-03-02T03:00"))
    assert world.creations == ["iris-1", "iris-2", "iris-3"]


@pytest.mark.parametrize("lost", [World.lose_status, World.restart])
def test_a_due_time_is_answered_once_though_memory_is_lost(lost: object) -> None:
    world = until(nightly(), "2026-03-02T02:00")
    lost(world)  # type: ignore[operator]
    assert finished(world).creations == ["iris-1", "iris-2"]
    lost(world)  # type: ignore[operator]
    assert finished(world).creations == ["iris-1", "iris-2"]
    assert world.now < datetime(2026, 3, 2, 2, tzinfo=UTC) + timedelta(seconds=DAY)
