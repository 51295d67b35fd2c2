"""The drift plan, rule by rule: what status.drift says, what it asks for, and what it never does."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from tandem.api.facts import ModelNamed, MonitorOf, VersionNumbered
from tandem.api.plan import Plan
from tests.unit.drift.world import BAD, FIRST, GOOD, HOUR, NOW, World, alarmed, down, hours, signal

CHANGE = signal(change={"absolute": "-0.02"})


def state_of(world: World) -> str:
    return world.drift.signals[0].state


def events_of(made: Plan) -> list[str]:
    return [event.reason for event in made.events]


# --- nothing to do ---------------------------------------------------------------------------------------------------


def test_without_a_policy_there_is_nothing_to_say_or_to_read() -> None:
    assert World(signals=()).plan() == Plan()


def test_a_policy_that_was_removed_takes_its_status_along() -> None:
    made = replace(alarmed(), signals=()).plan()
    assert (made.status, made.reads) == ({"drift": None}, ())


def test_a_resource_that_is_being_deleted_is_left_alone() -> None:
    assert World(metadata={"deletionTimestamp": NOW.isoformat()}).logging(BAD, BAD, BAD).plan() == Plan()


def test_while_the_first_answers_are_on_their_way_nothing_is_said() -> None:
    made = World(unanswered=(ModelNamed,)).plan()
    assert (made.status, made.reads) == (None, (ModelNamed("iris"),))


def test_after_a_restart_what_was_said_stays_said_until_mlflow_answered() -> None:
    for query in (ModelNamed, VersionNumbered, MonitorOf):
        known = World(signals=(CHANGE,)).logging(GOOD).settled()
        restarted = replace(known, unanswered=(query,))
        assert restarted.plan().status == {"drift": known.status["drift"]}, query


# --- judging ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "values", "state", "breaches", "requested"),
    [
        ("no window yet", (), "Unknown", 0, False),
        ("healthy", (GOOD,), "Healthy", 0, False),
        ("one breach", (GOOD, BAD), "Breached", 1, False),
        ("two breaches", (BAD, BAD), "Breached", 2, False),
        ("three in a row", (BAD, BAD, BAD), "Drifted", 3, True),
        ("three, but not in a row", (BAD, BAD, GOOD, BAD), "Breached", 1, False),
        ("three with a NaN between", (BAD, BAD, math.nan, BAD), "Drifted", 3, True),
        ("NaN alone", (math.nan, math.nan, math.nan), "Unknown", 0, False),
        ("an episode that is over", (BAD, BAD, BAD, GOOD), "Healthy", 0, False),
    ],
)
def test_consecutive_breaches_make_a_drift_and_a_drift_makes_a_request(
    rule: str, values: tuple[float, ...], state: str, breaches: int, requested: bool
) -> None:
    world = World().logging(*values).settled()
    assert (state_of(world), world.drift.signals[0].breaches) == (state, breaches), rule
    assert (world.drift.retrain_request is not None) == requested, rule
    assert world.drift.champion_version == "1"


def test_the_champions_own_value_is_the_baseline_of_a_change() -> None:
    world = World(signals=(CHANGE,)).logging(0.909).settled()
    assert (state_of(world), world.drift.signals[0].baseline) == ("Breached", "0.93")
    assert "-0.021 to the champion's 0.93, allowed -0.02" in world.drift.message


def test_a_change_without_a_baseline_is_unknown_with_the_reason() -> None:
    world = replace(World(signals=(CHANGE,)), versions={"1": {}}).logging(GOOD, GOOD).settled()
    assert (state_of(world), world.drift.signals[0].breaches) == ("Unknown", 0)
    assert "the run that made iris version 1 logged no accuracy" in world.drift.message


def test_min_still_judges_when_the_change_cannot_be_judged() -> None:
    both = signal(min="0.85", change={"absolute": "-0.02"})
    world = replace(World(signals=(both,)), versions={"1": {}}).logging(BAD, BAD, BAD).settled()
    assert state_of(world) == "Drifted"


def test_too_few_samples_are_a_state_of_their_own() -> None:
    counted = signal(sampleCountMetric="n", minSamples=200)
    world = World(signals=(counted,)).logging(BAD, BAD, BAD).logging(50, 50, 50, metric="n").settled()
    assert (state_of(world), world.drift.retrain_request) == ("TooFewSamples", None)
    assert "fewer than minSamples 200" in world.drift.message


def test_a_drifted_signal_is_enough_and_each_has_its_own_state() -> None:
    recall = {"metric": "recall", "min": "0.5"}
    world = World(signals=(signal(), recall)).logging(GOOD).logging(0.1, 0.1, 0.1, metric="recall").settled()
    assert [(s.metric, s.state) for s in world.drift.signals] == [("accuracy", "Healthy"), ("recall", "Drifted")]
    assert "recall 0.1" in _request(world)["reason"]


def test_a_signal_that_left_the_policy_leaves_the_status() -> None:
    world = replace(World().logging(BAD).settled(), signals=({"metric": "recall", "min": "0.5"},)).settled()
    assert [s.metric for s in world.drift.signals] == ["recall"]


@pytest.mark.parametrize(
    "world", [World().logging(GOOD), World().logging(BAD), World().logging(BAD, BAD, BAD), World(monitors={"1": None})]
)
def test_a_moved_clock_alone_changes_nothing(world: World) -> None:
    settled = world.settled()
    assert settled.after(NOW + hours(1000)).status == settled.status


# --- missing is never healthy ----------------------------------------------------------------------------------------


def test_nothing_monitors_the_version_is_unknown_and_says_what_to_log_where() -> None:
    world = replace(World().logging(GOOD).settled(), monitors={"1": None}).settled()
    assert state_of(world) == "Unknown"
    assert (
        "nothing monitors version 1 of iris yet: log accuracy to experiment tandem-monitoring "
        "(docs/design/monitoring-runs.md)" in world.drift.message
    )


def test_a_metric_that_is_not_logged_is_unknown() -> None:
    world = World().logging(0.5, metric="loss").settled()
    assert (state_of(world), "accuracy: no window yet" in world.drift.message) == ("Unknown", True)


@pytest.mark.parametrize("values", [(GOOD,), (BAD, BAD), (BAD, BAD, BAD)])
@pytest.mark.parametrize("query", [ModelNamed, MonitorOf])
def test_an_outage_keeps_the_state_and_says_since_when(values: tuple[float, ...], query: type) -> None:
    known = World().logging(*values).settled()
    during = replace(known.logging(BAD), unavailable={query: down()}).settled(NOW + hours(5))
    assert without_message(during) == without_message(known)
    assert "MLflow cannot be read since 2026-11-23 12:00:00Z" in during.drift.message


def test_an_outage_from_the_start_is_told_too() -> None:
    world = World(unavailable={ModelNamed: down()}).settled()
    assert "MLflow cannot be read" in world.drift.message
    assert world.drift.signals == ()


def test_no_champion_is_not_healthy() -> None:
    world = replace(World().logging(GOOD).settled(), champion=None).settled()
    assert state_of(world) == "Unknown"
    assert "waiting for a version of iris with alias champion" in world.drift.message


def test_a_policy_without_a_model_says_which_field_is_missing() -> None:
    world = World(spec={"model": None}).settled()
    assert world.drift.message == "spec.retrain.drift watches a registered model: set spec.model.name"


# --- the request and its brakes --------------------------------------------------------------------------------------


def test_a_request_gives_the_figures_as_its_reason() -> None:
    request = _request(alarmed(signals=(CHANGE,)))
    assert request["reason"] == (
        "iris version 1 drifted: accuracy 0.8: -0.13 to the champion's 0.93, allowed -0.02; "
        "3 consecutive breaches of 3, newest window 2026-11-23 14:00Z"
    )
    assert request["requestedAt"] == "2026-11-23T12:00:00Z"


def test_the_id_does_not_depend_on_what_was_logged_since() -> None:
    early = World().logging(BAD, BAD, BAD).settled()
    late = World().logging(BAD, BAD, BAD, BAD, math.nan, BAD).settled()
    assert _request(early)["id"] == _request(late)["id"]


@pytest.mark.parametrize(
    ("rule", "world", "says"),
    [
        ("suspended", World(spec={"suspend": True}), "spec.suspend"),
        ("a run is in progress", World().with_run(4, {"type": "SpecChanged", "id": "2"}), "run 4 is in progress"),
        ("cooling down", World().with_run(4, {"type": "Drift", "id": "x"}, NOW), "cooling down until"),
    ],
)
def test_a_brake_holds_the_request_and_the_message_tells(rule: str, world: World, says: str) -> None:
    held = world.logging(BAD, BAD, BAD).settled()
    assert (state_of(held), held.drift.retrain_request) == ("Drifted", None), rule
    assert says in held.drift.message, rule


def test_a_cooldown_that_holds_a_request_is_shown_and_its_end_is_awaited() -> None:
    held = World().with_run(4, {"type": "Drift", "id": "x"}, NOW).logging(BAD, BAD, BAD).settled()
    assert held.drift.cooldown_until == NOW + hours(1)
    assert held.plan(NOW + hours(0.5)).requeue_after == hours(0.5)
    after = held.settled(NOW + hours(1))
    assert (after.drift.cooldown_until, after.drift.retrain_request is not None) == (None, True)


def test_a_cooldown_that_holds_nothing_back_is_not_shown() -> None:
    calm = World().with_run(4, {"type": "Drift", "id": "x"}, NOW).logging(GOOD)
    assert (calm.settled().drift.cooldown_until, calm.plan().requeue_after) == (None, None)


def test_an_open_request_is_not_repeated_whatever_comes() -> None:
    world = alarmed()
    later = world.logging(BAD, GOOD, BAD, BAD, BAD, BAD).settled(NOW + hours(9))
    assert _request(later) == _request(world)
    assert "waiting for the operator to start it" in later.drift.message


def test_the_run_that_answers_is_named() -> None:
    assert "run 2 answers it" in alarmed().with_answer().settled().drift.message


# --- after the cycle -------------------------------------------------------------------------------------------------


def test_after_an_answered_request_the_count_begins_again_when_the_cooldown_is_over() -> None:
    # given a request whose run was not promoted: the model goes on being bad
    ended = NOW + hours(2)
    world = alarmed().with_answer(completed=ended).logging(BAD, BAD)
    # when the cooldown holds, then the drift is still told, and nothing is requested
    during = world.settled(ended + hours(0.5))
    assert (state_of(during), during.drift.cooldown_until) == ("Drifted", ended + hours(1))
    assert during.plan(ended + hours(0.5)).requeue_after == hours(0.5)
    # when it is over, then the count begins at nought
    over = during.settled(ended + hours(1))
    assert (over.drift.retrain_request, over.drift.cooldown_until) == (None, None)
    assert (state_of(over), over.drift.signals[0].breaches) == ("Breached", 0)
    # and three more breaches are another alarm
    assert over.logging(BAD, BAD).settled(ended + hours(2)).drift.retrain_request is None
    again = over.logging(BAD, BAD, BAD).settled(ended + hours(2))
    assert _request(again)["id"] != _request(world)["id"]


def test_a_finished_run_in_the_history_counts_like_the_latest_one() -> None:
    world = alarmed()
    answered = {"number": 2, "trigger": {"type": "Drift", "id": _request(world)["id"]}, "result": "GateFailed"}
    history = [{**answered, "completionTime": NOW.isoformat()}]
    past = replace(world, status={**world.status, "history": history})
    assert past.settled(NOW + hours(0.9)).drift.cooldown_until == NOW + hours(1)
    assert past.settled(NOW + hours(1)).drift.retrain_request is None


def test_a_promotion_starts_the_state_anew_and_withdraws_an_open_request() -> None:
    promoted = alarmed().promoting("2").settled(NOW + hours(1))
    assert (promoted.drift.champion_version, promoted.drift.champion_since) == ("2", NOW + hours(1))
    assert (state_of(promoted), promoted.drift.retrain_request) == ("Unknown", None)


def test_windows_of_a_promoted_version_count_from_its_first() -> None:
    world = alarmed().promoting("2").logging(BAD, BAD, BAD, version="2").settled(NOW + hours(1))
    assert state_of(world) == "Drifted"


def test_a_promotion_cools_down_before_the_next_request() -> None:
    world = World().logging(GOOD).settled().promoting("2").logging(BAD, BAD, BAD, version="2").settled()
    assert (world.drift.retrain_request, world.drift.cooldown_until) == (None, NOW + hours(1))
    assert world.settled(NOW + hours(1)).drift.retrain_request is not None


def test_the_first_champion_needs_no_cooldown() -> None:
    assert alarmed().drift.champion_since is None


def test_after_a_rollback_only_new_windows_of_the_old_champion_count() -> None:
    # given version 1 drifted, version 2 took over and was rolled back
    promoted = alarmed().promoting("2").settled(NOW + hours(1))
    rolled_back = promoted.promoting("1").settled(NOW + hours(2))
    assert (rolled_back.drift.champion_since, state_of(rolled_back)) == (NOW + hours(2), "Unknown")
    # then the old alarm is not raised again, however long nothing is logged
    assert rolled_back.settled(NOW + hours(9)).drift.retrain_request is None
    # and new breaches are an alarm of their own
    again = rolled_back.logging(BAD, BAD, BAD).settled(NOW + hours(9))
    assert _request(again)["id"] != _request(alarmed())["id"]


def test_a_change_of_champion_is_seen_only_with_its_monitoring() -> None:
    world = replace(alarmed().promoting("2"), unanswered=(MonitorOf,)).settled(NOW + hours(1))
    assert world.drift.champion_version == "1"


# --- Events ----------------------------------------------------------------------------------------------------------


def test_an_alarm_tells_twice_what_was_found_and_what_is_asked_for() -> None:
    made = World().logging(BAD, BAD, BAD).plan()
    assert [(event.type, event.reason) for event in made.events] == [
        ("Warning", "DriftDetected"),
        ("Normal", "RetrainRequested"),
    ]
    found = made.events[0].message
    assert "iris version 1 drifted: accuracy 0.8: below min 0.85" in found
    assert "3 consecutive breaches of 3, newest window 2026-11-23 14:00Z" in found


def test_an_alarm_is_told_once_and_a_held_request_when_it_is_made() -> None:
    world = World().with_run(4, {"type": "Drift", "id": "x"}, NOW).logging(BAD, BAD, BAD)
    assert events_of(world.plan()) == ["DriftDetected"]
    assert events_of(world.after().logging(BAD).plan()) == []
    assert events_of(world.after().plan(NOW + hours(1))) == ["RetrainRequested"]


def test_healthy_and_breached_windows_are_no_event() -> None:
    assert World().logging(GOOD, BAD, BAD).plan().events == ()


# --- what it never does ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("world", [World(), alarmed(), World().logging(BAD, BAD, BAD), alarmed().promoting("2")])
def test_drift_has_no_action_and_owns_only_its_own_part_of_the_status(world: World) -> None:
    made = world.plan(NOW + hours(3))
    assert made.actions == ()
    assert made.status is not None
    assert made.status.keys() == {"drift"}


def test_a_status_stays_small_whatever_is_logged() -> None:
    many = tuple({"metric": f"m{place:02}" + "x" * 200, "min": "0.85"} for place in range(16))
    world = World(signals=many)
    for one in many:
        world = world.logging(BAD, BAD, BAD, metric=one["metric"])
    settled = world.settled()
    assert len(settled.drift.message) <= 1024
    assert len(_request(settled)["reason"]) <= 1024


def test_strange_steps_are_shown_as_they_are() -> None:
    world = World().logging(BAD, start=10**15).settled()
    assert f"newest window step {10**15}" in world.drift.message
    assert world.drift.signals[0].last_step == 10**15 != FIRST + HOUR


def test_metrics_logged_without_a_step_are_not_silently_healthy() -> None:
    world = World().logging(BAD, start=0).settled()
    assert state_of(world) == "Unknown"
    assert "step is the start of a window, in minutes since the epoch" in world.drift.message


def _request(world: World) -> dict[str, Any]:
    found = world.status["drift"].get("retrainRequest")
    assert isinstance(found, dict), f"no request: {world.drift.message}"
    return found


def without_message(world: World) -> dict[str, Any]:
    return {**world.status["drift"], "message": ""}
