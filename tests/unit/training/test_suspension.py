"""A run that is suspended is the same run when it goes on; what others have suspended is theirs to let go."""

from __future__ import annotations

import pytest

from tandem.api.meta import Json
from tandem.api.plan import Apply, Create, Delete
from tests.unit.training.world import World

QUEUE = "kueue.x-k8s.io/queue-name"
MORE = {"max_iter": "300"}


def training(**spec: object) -> World:
    return World().change(**spec).settle().runs_step("train").settle()


def suspended(**spec: object) -> World:
    return training(**spec).change(suspend=True).settle()


def queued(**spec: object) -> World:
    return World(labels={QUEUE: "team-a", "kueue.x-k8s.io/priority-class": "low"}).change(**spec).settle()


# --- suspend -------------------------------------------------------------------------------------------------------


def test_suspending_takes_the_pods_and_keeps_run_job_and_mlflow_run() -> None:
    world = suspended()
    assert world.job["spec"]["suspend"] is True
    assert world.pods == {}
    assert (world.creations, world.last_run.status) == (["iris-1"], "RUNNING")
    assert not any(isinstance(action, Delete) for action in world.done)


def test_a_suspended_run_says_so_and_is_no_work_in_progress() -> None:
    world = suspended()
    assert world.told("Suspended") == ("True", "Suspended")
    assert world.told("Ready") == ("Unknown", "Suspended")
    assert world.told("Trained") == ("Unknown", "Suspended")
    assert (world.told("Reconciling"), world.status["phase"]) == (None, "Suspended")
    assert "iris-1" in world.condition("Suspended").message  # type: ignore[union-attr]
    assert "history" not in world.status


def test_the_same_run_goes_on() -> None:
    world = suspended().change(suspend=False).settle()
    assert world.job["spec"]["suspend"] is False
    assert (world.told("Suspended"), world.told("Ready")) == (None, ("Unknown", "JobRunning"))
    world.runs_step("train").settle().completes().settle()
    assert world.creations == ["iris-1"]
    assert (world.status["phase"], world.status["run"]["number"]) == ("Complete", 1)


def test_a_suspension_costs_no_attempt() -> None:
    world = training(backoffLimit=0)
    for _ in range(3):
        world.change(suspend=True).settle().change(suspend=False).settle().runs_step("train").settle()
    assert world.status["run"]["attempts"] == 1


def test_nothing_of_the_job_is_changed_but_whether_it_is_suspended() -> None:
    world = training().change(suspend=True).settle().change(suspend=False).settle()
    applied = [action.manifest["spec"] for action in world.done if isinstance(action, Apply)]
    assert applied == [{"suspend": True}, {"suspend": False}]


def test_while_suspended_no_step_is_told_to_run() -> None:
    assert suspended().status["run"].keys() & {"step", "progress"} == set()


def test_a_resumed_job_gets_the_time_that_every_job_gets_for_its_first_pod() -> None:
    world = training().change(suspend=True).settle().wait(3600).change(suspend=False).settle()
    assert world.settle().told("Ready") == ("Unknown", "JobRunning")
    assert world.wait(61).settle().told("Ready") == ("False", "FailedCreate")


@pytest.mark.parametrize("passes", range(5))
@pytest.mark.parametrize("crash_after", [0, 1])
def test_suspending_and_resuming_survive_a_crash(passes: int, crash_after: int) -> None:
    world = training().change(suspend=True)
    for _ in range(passes):
        world.reconcile()
    world.reconcile(crash_after)
    world.settle()
    assert world.job["spec"]["suspend"] is True
    world.change(suspend=False)
    for _ in range(passes):
        world.reconcile()
    world.reconcile(crash_after)
    world.settle()
    assert world.job["spec"]["suspend"] is False
    assert sum(isinstance(action, Apply) for action in world.done) == 2


def test_a_status_that_is_lost_while_suspended_is_found_again() -> None:
    world = suspended().lose_status().restart().settle()
    assert world.told("Suspended") == ("True", "Suspended")
    world.change(suspend=False).settle().runs_step("train").settle().completes().settle()
    assert (world.creations, world.status["phase"]) == (["iris-1"], "Complete")


def test_a_change_of_what_is_trained_ends_a_suspended_run() -> None:
    world = suspended().change(parameters=MORE).settle()
    assert (world.jobs, world.last_run.status) == ({}, "KILLED")
    assert world.change(suspend=False).settle().creations == ["iris-1", "iris-2"]


def test_a_job_that_ends_just_before_it_is_suspended_is_judged() -> None:
    world = training()
    world.change(suspend=True).completes().settle()
    assert world.status["phase"] == "Complete"


def test_a_refused_suspension_is_told() -> None:
    world = training()
    world.refuse[Apply] = ("Forbidden", "no patch")
    world.change(suspend=True).settle()
    assert world.told("Ready") == ("False", "Forbidden")
    assert "could not be suspended: no patch" in world.condition("Ready").message  # type: ignore[union-attr]


# --- what others suspend ---------------------------------------------------------------------------------------------


def test_a_job_that_somebody_else_suspended_is_left_alone_and_told() -> None:
    world = training()
    world.job["spec"]["suspend"] = True
    world.settle()
    assert world.told("Ready") == ("Unknown", "JobSuspended")
    assert not any(isinstance(action, Apply) for action in world.done)
    world.job["spec"]["suspend"] = False
    assert world.settle().told("Ready") == ("Unknown", "JobRunning")


def test_labels_of_kueue_are_passed_on_and_the_job_waits_to_be_admitted() -> None:
    world = queued()
    labels = world.job["metadata"]["labels"]
    assert (labels[QUEUE], labels["kueue.x-k8s.io/priority-class"]) == ("team-a", "low")
    assert world.job["spec"]["suspend"] is True
    assert world.told("Ready") == ("Unknown", "Queued")
    assert "team-a" in world.condition("Ready").message  # type: ignore[union-attr]
    assert world.wait(86_400).settle().told("Ready") == ("Unknown", "Queued"), "a full queue is no failure"


@pytest.mark.parametrize("label", ["app.kubernetes.io/managed-by", "team", "xkueue.x-k8s.io/queue-name"])
def test_other_labels_are_not_passed_on(label: str) -> None:
    world = World(labels={label: "mine"}).settle()
    assert world.job["metadata"]["labels"].get(label) != "mine"
    assert "suspend" not in world.job["spec"]


def test_an_admitted_job_trains_like_any_other() -> None:
    world = queued()
    world.job["spec"]["suspend"] = False  # Kueue does that
    world.settle().runs_step("train").settle()
    assert world.told("Ready") == ("Unknown", "JobRunning")
    assert world.completes().settle().status["phase"] == "Complete"


@pytest.mark.parametrize("admitted", [False, True])
def test_suspending_gives_the_quota_back(admitted: bool) -> None:
    # given that Kueue would let the Job go on as long as it has admitted it
    world = queued()
    if admitted:
        world.job["spec"]["suspend"] = False
        world.settle().runs_step("train").settle()
    world.change(suspend=True).settle()
    assert (world.jobs, world.told("Suspended")) == ({}, ("True", "Suspended"))
    assert [entry["result"] for entry in world.status["history"]] == ["Suspended"]
    world.change(suspend=False).settle()
    assert world.creations == ["iris-1", "iris-2"]


def test_a_queue_that_is_suspended_and_resumed_at_once_still_runs_one_at_a_time() -> None:
    world = queued().change(suspend=True)
    for _ in range(20):
        world.reconcile()
        if any(isinstance(action, Delete) for action in world.done):
            break
    world.change(suspend=False).settle()
    assert world.live_jobs == [world.creations[-1]] == ["iris-2"]


@pytest.mark.parametrize("spec", [{}, {"suspend": False}])
def test_without_a_queue_a_job_is_not_made_suspended(spec: Json) -> None:
    world = World().change(**spec).settle()
    assert "suspend" not in world.job["spec"]
    assert isinstance(world.done[-1], Create)
