"""Why a run starts: one token, one alarm, one change is one run; what waits together is answered together."""

from __future__ import annotations

import pytest

from tandem.api import names
from tests.unit.training.world import DRIFT_POLICY, World, complete

OTHER = {"max_iter": "300"}


def watched(**spec: object) -> World:
    return complete(retrain=DRIFT_POLICY, **spec)


def finished(world: World) -> World:
    """Settled, with every run that started completed."""
    world.settle()
    for _ in range(5):
        if not world.live_jobs:
            return world
        world.completes().settle()
    raise AssertionError("runs without end")


# --- a person asks -------------------------------------------------------------------------------------------------


def test_a_new_token_is_one_run() -> None:
    world = finished(complete().ask("2026-03-01"))
    assert world.creations == ["iris-1", "iris-2"]
    assert world.status["run"]["trigger"]["type"] == "Requested"
    assert world.status["run"]["trigger"]["id"] == "2026-03-01"
    assert world.status["lastHandledReconcileAt"] == "2026-03-01"


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ({}, "asked for by annotation tandem.dev/requestedAt"),
        ({names.REQUESTED_BY_ANNOTATION: "anna"}, "asked for by anna"),
        (
            {names.REQUESTED_BY_ANNOTATION: "anna", names.REQUESTED_BECAUSE_ANNOTATION: "new labels"},
            "asked for by anna: new labels",
        ),
    ],
)
def test_a_run_says_who_asked_for_it_and_why(notes: dict[str, str], message: str) -> None:
    world = complete()
    world.annotations |= notes
    assert finished(world.ask("2026-03-01")).status["run"]["trigger"]["message"] == message


def test_the_same_token_is_no_run() -> None:
    world = finished(complete().ask("a"))
    assert finished(world.ask("a").restart()).creations == ["iris-1", "iris-2"]
    assert finished(world.ask("b")).creations == ["iris-1", "iris-2", "iris-3"]


def test_a_token_that_was_there_from_the_beginning_is_answered_by_the_first_run() -> None:
    world = finished(World().ask("a"))
    assert world.creations == ["iris-1"]
    assert world.status["lastHandledReconcileAt"] == "a"


def test_a_token_that_comes_while_a_run_goes_on_starts_another_after_it() -> None:
    world = World().settle().ask("a").settle()
    assert world.creations == ["iris-1"]
    assert finished(world).creations == ["iris-1", "iris-2"]


def test_a_token_that_is_taken_away_again_is_no_run() -> None:
    world = finished(complete().ask("a"))
    world.annotations.clear()
    assert finished(world).creations == ["iris-1", "iris-2"]


def test_a_failed_run_answers_its_token_too() -> None:
    world = complete().ask("a").settle().fails().settle()
    assert world.restart().settle().creations == ["iris-1", "iris-2"]


def test_a_token_longer_than_a_status_may_hold_is_one_run() -> None:
    assert finished(complete().ask("x" * 5000)).creations == ["iris-1", "iris-2"]


def test_a_token_while_suspended_waits() -> None:
    world = complete().change(suspend=True).ask("a").settle()
    assert world.creations == ["iris-1"]
    assert finished(world.change(suspend=False)).creations == ["iris-1", "iris-2"]


@pytest.mark.parametrize("lost", [World.lose_status, World.restart])
def test_a_token_is_answered_once_though_memory_is_lost(lost: object) -> None:
    world = complete().ask("a").settle()
    lost(world)  # type: ignore[operator]
    assert finished(world).creations == ["iris-1", "iris-2"]
    lost(world)  # type: ignore[operator]
    assert finished(world).creations == ["iris-1", "iris-2"]


@pytest.mark.parametrize("passes", range(8))
@pytest.mark.parametrize("crash_after", [0, 1, 2])
def test_a_token_is_one_run_whenever_the_operator_crashes(passes: int, crash_after: int) -> None:
    world = complete().ask("a")
    for _ in range(passes):
        world.reconcile()
    world.reconcile(crash_after)
    assert finished(world).creations[-1] == "iris-2"
    assert len(world.jobs) == 2


def test_a_token_that_changes_while_the_operator_is_down_is_another_run() -> None:
    # given the Job for token a was created, and the operator died before it could say so
    world = complete().ask("a")
    while world.creations != ["iris-1", "iris-2"]:
        world.reconcile(crash_after=1 if len(world.runs) == 2 else None)
    world.ask("b")
    assert finished(world).creations == ["iris-1", "iris-2", "iris-3"]


# --- drift ---------------------------------------------------------------------------------------------------------


def test_one_alarm_is_one_run() -> None:
    world = finished(watched().alarm("r1"))
    assert world.creations == ["iris-1", "iris-2"]
    trigger = world.status["run"]["trigger"]
    assert (trigger["type"], trigger["id"]) == ("Drift", "r1")
    assert finished(world.restart()).creations == ["iris-1", "iris-2"]


def test_another_alarm_is_another_run() -> None:
    assert finished(finished(watched().alarm("r1")).alarm("r2")).creations == ["iris-1", "iris-2", "iris-3"]


def test_a_request_without_a_policy_is_no_run() -> None:
    world = watched().change(retrain=None).alarm("r1")
    assert finished(world).creations == ["iris-1"]


def test_a_request_while_a_run_goes_on_is_answered_by_the_next() -> None:
    world = World().change(retrain=DRIFT_POLICY).settle().alarm("r1").settle()
    assert world.creations == ["iris-1"]
    assert finished(world).creations == ["iris-1", "iris-2"]


@pytest.mark.parametrize("limit", [0, 1, 2])
def test_an_alarm_stays_answered_however_short_the_history_is(limit: int) -> None:
    # given the alarm was answered by run 2, and other runs followed while the request is still open
    world = finished(watched(historyLimit=limit).alarm("r1"))
    assert [entry["number"] for entry in world.status["history"]] == [2, 1][: max(limit, 1)]
    for token in "abc":
        finished(world.ask(token))
    assert len(world.creations) == 5
    assert "r1" in {entry["trigger"].get("id") for entry in world.status["history"]}


@pytest.mark.parametrize("later", [False, True])
def test_an_alarm_stays_answered_though_status_memory_and_jobs_are_lost(later: bool) -> None:
    world = finished(watched().alarm("r1"))
    if later:
        finished(world.ask("a"))
    runs = len(world.creations)
    for name in list(world.jobs):
        world.delete_job(name)
    assert len(finished(world.lose_status().restart()).creations) == runs


@pytest.mark.parametrize("passes", range(8))
@pytest.mark.parametrize("crash_after", [0, 1, 2])
def test_an_alarm_is_one_run_whenever_the_operator_crashes(passes: int, crash_after: int) -> None:
    world = watched().alarm("r1")
    for _ in range(passes):
        world.reconcile()
    world.reconcile(crash_after)
    assert len(finished(world).jobs) == 2


def test_a_run_that_drift_started_and_that_was_suspended_goes_on_as_drifts() -> None:
    world = watched().alarm("r1").settle().change(suspend=True).settle()
    finished(world.change(suspend=False))
    assert world.creations == ["iris-1", "iris-2"]
    assert world.status["run"]["trigger"]["id"] == "r1"


def test_drift_is_mirrored_as_a_condition() -> None:
    world = finished(watched().alarm("r1"))
    assert world.told("Drifted") == ("True", "DriftDetected")
    world.status["drift"]["signals"][0]["state"] = "Healthy"
    assert world.settle().told("Drifted") == ("False", "WithinBounds")
    world.status["drift"]["signals"][0]["state"] = "TooFewSamples"
    assert world.settle().told("Drifted") == ("Unknown", "NotEnoughEvidence")
    assert world.change(retrain=None).settle().told("Drifted") is None


def test_what_the_drift_controller_wrote_is_never_touched() -> None:
    world = watched().alarm("r1")
    before = dict(world.status["drift"])
    finished(world)
    assert world.status["drift"] == before


# --- together ------------------------------------------------------------------------------------------------------


def test_triggers_that_wait_together_are_one_run() -> None:
    world = watched().change(parameters=OTHER).ask("a").alarm("r1")
    assert finished(world).creations == ["iris-1", "iris-2"]
    assert world.status["run"]["trigger"]["id"] == "r1", "the model-drift controller looks for its request"
    assert world.status["lastHandledReconcileAt"] == "a"


def test_a_change_and_a_token_are_one_run() -> None:
    world = finished(complete().change(parameters=OTHER).ask("a"))
    assert world.creations == ["iris-1", "iris-2"]
    assert world.status["run"]["trigger"]["type"] == "SpecChanged"


def test_what_waits_during_a_run_is_one_run_after_it() -> None:
    world = World().change(retrain=DRIFT_POLICY).settle().ask("a").ask("b").alarm("r1").settle()
    assert finished(world).creations == ["iris-1", "iris-2"]
