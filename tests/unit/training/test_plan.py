"""The whole way of a run: what is done, in which order, how often; and that nothing that goes wrong changes the end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tandem.api.plan import Create, EndRun, EnsureRun, MoveAlias, RegisterVersion, TagRun
from tandem.engine.controller import status_difference
from tests.unit.training.cluster import DATA_DIGEST, DIGEST
from tests.unit.training.world import OWNED, World, complete, kinds, trained

ORDER = ["EnsureRun", "Create", "TagRun", "RegisterVersion", "MoveAlias"]


def test_a_run_is_tracked_trained_judged_registered_and_the_alias_moves_last() -> None:
    world = complete()
    assert kinds(world.done) == ORDER
    assert world.aliases == {("iris", "challenger"): "1"}
    assert world.told("Ready") == ("True", "Succeeded")
    assert world.status["model"] == {"name": "iris", "version": "1", "alias": "challenger"}


def test_every_step_is_a_condition_of_its_own() -> None:
    world = complete()
    steps = {c["type"]: c["status"] for c in world.status["conditions"]}
    assert steps == dict.fromkeys(["Ready", "Trained", "Blessed", "Registered", "Promoted", "Complete"], "True")


def test_one_job_and_one_status_until_the_pod_runs() -> None:
    world = World().settle()
    assert world.creations == ["iris-1"]
    assert len(world.statuses) == 1
    assert world.told("Ready") == ("Unknown", "JobRunning")
    world.pod("Pending").settle()
    assert len(world.statuses) == 1, "a pending pod is no news"


def test_each_step_that_starts_is_told_once() -> None:
    world = World().settle()
    for step in ("fetch", "features", "train"):
        world.runs_step(step).settle()
        assert world.status["run"]["step"] == step
    assert len(world.statuses) == 1 + 3


def test_the_job_finds_the_mlflow_run_that_was_made_for_it() -> None:
    world = World().settle()
    job = world.job
    env = {e["name"]: e["value"] for e in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert (env["MLFLOW_RUN_ID"], env["MLFLOW_EXPERIMENT_ID"]) == ("run-1", "7")
    assert env["MLFLOW_TRACKING_URI"] == "http://mlflow.mlflow:5000"


def test_code_data_and_image_are_recorded_in_status_run_and_version() -> None:
    world = complete()
    assert world.status["image"] == {"digest": DIGEST, "steps": {"features": DIGEST, "train": DIGEST}}
    assert world.status["data"] == [{"name": "iris", "digest": DATA_DIGEST, "bytes": 4}]
    lineage = {"tandem.dev/image-digest": DIGEST, "tandem.dev/data.iris": DATA_DIGEST}
    assert lineage.items() <= world.last_run.tags.items()
    assert lineage.items() <= world.versions[0].tags.items()


def test_without_a_model_a_run_ends_with_the_gate() -> None:
    world = trained(model=None).settle()
    assert kinds(world.done) == ["EnsureRun", "Create", "TagRun"]
    assert world.status["phase"] == "Complete"
    assert world.told("Registered") is None


def test_nothing_is_told_before_mlflow_has_answered_once() -> None:
    world = World()
    world.reconcile()
    assert (world.statuses, world.done) == ([], [])


def test_events_come_once_for_each_transition() -> None:
    world = complete()
    reasons = [event.reason for event in world.events]
    assert reasons == ["JobComplete", "ThresholdsMet", "VersionRegistered", "AliasMoved", "RunComplete"]
    world.change(historyLimit=5).settle()
    assert [event.reason for event in world.events] == reasons, "a change of no consequence is no transition"


def test_a_run_that_its_script_left_open_is_closed_and_then_judged() -> None:
    # given a script that exits 0 without ending its MLflow run: MLflow lists its models only when it is closed
    world = World().settle()
    world.completes()
    world.last_run.status = "RUNNING"
    world.settle()
    assert world.last_run.status == "FINISHED"
    assert world.status["phase"] == "Complete"


# --- crashes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash_after", [0, 1, 2, 3])
@pytest.mark.parametrize("pass_", range(1, 9))
def test_a_crash_anywhere_ends_in_the_same_state(pass_: int, crash_after: int) -> None:
    # given the operator dies in this pass after so many actions, before the status is written
    world = World()
    for current in range(1, 40):
        world.reconcile(crash_after if current == pass_ else None)
        if world.live_jobs and current >= 4:
            world.completes()
    world.settle()
    # then the end is that of a run without a crash, and nothing was done twice that counts
    assert world.figure == complete().figure
    assert world.creations.count("iris-1") >= 1
    assert (len(world.jobs), len(world.runs), len(world.versions)) == (1, 1, 1)


@pytest.mark.parametrize("action", [EnsureRun, Create, TagRun, RegisterVersion, MoveAlias], ids=lambda a: a.__name__)
def test_a_crash_right_after_an_action_does_not_repeat_its_effect(action: type) -> None:
    world = World()
    while not any(isinstance(a, action) for a in world.plan().actions):
        world.reconcile()
        if world.live_jobs:
            world.completes()
    world.reconcile(crash_after=len(world.plan().actions))
    world.settle()
    if world.live_jobs:
        world.completes().settle()
    assert world.figure == complete().figure
    assert (len(world.jobs), len(world.runs), len(world.versions)) == (1, 1, 1)


# --- the status is lost --------------------------------------------------------------------------------------------

STAGES: dict[str, Callable[[], World]] = {
    "created": lambda: World().settle(),
    "running": lambda: World().settle().runs_step("train").settle(),
    "trained": trained,
    "complete": complete,
    "complete, Job gone": lambda: complete().delete_job(),
    "not passed": lambda: World().settle().completes({"accuracy": 0.5}).settle(),
    "not passed, Job gone": lambda: World().settle().completes({"accuracy": 0.5}).settle().delete_job(),
    "failed": lambda: World().settle().fails().settle(),
    "failed, Job gone": lambda: World().settle().fails().settle().delete_job(),
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("restarted", [False, True])
def test_a_lost_status_is_found_again_and_nothing_trains_twice(stage: str, restarted: bool) -> None:
    world = STAGES[stage]()
    before = dict(world.status)
    world.lose_status()
    if restarted:
        world.restart()
    world.settle()
    if world.live_jobs:
        world.completes().settle()
    assert world.creations == ["iris-1"]
    assert world.status["run"]["number"] == 1
    if before.get("phase") in {"Complete", "Failed"}:
        assert world.status["phase"] == before["phase"]
        assert world.status.get("gate") == before.get("gate")
    assert len(world.versions) <= 1


def test_a_lost_status_finds_the_highest_run_though_its_job_is_gone() -> None:
    # given two runs; the Job of the second is gone, that of the first is still there
    world = complete().change(parameters={"max_iter": "300"}).settle()
    world.completes().settle()
    world.change(parameters={"max_iter": "200"}).settle()
    world.completes().settle().delete_job("iris-3")
    world.aliases[("iris", "challenger")] = "3"
    world.lose_status().restart().settle()
    assert world.status["run"]["number"] == 3
    assert world.aliases[("iris", "challenger")] == "3"
    assert world.creations == ["iris-1", "iris-2", "iris-3"]
    assert [entry["number"] for entry in world.status["history"]] == [3, 2, 1]


def test_without_a_status_nothing_starts_while_mlflow_is_away() -> None:
    world = complete().delete_job().lose_status().restart().mlflow_down().settle()
    assert world.creations == ["iris-1"]
    assert world.told("Reconciling") == ("True", "ProgressingWithRetry")
    world.mlflow_up().settle()
    assert (world.creations, world.status["phase"]) == (["iris-1"], "Complete")


# --- MLflow is away ------------------------------------------------------------------------------------------------


def _until(action: type) -> Callable[[], World]:
    """A world in which this action is the next."""

    def made() -> World:
        world = World()
        while not any(isinstance(a, action) for a in world.plan().actions):
            world.reconcile()
            if world.live_jobs and action is not Create:
                world.completes()
        return world

    return made


@pytest.mark.parametrize("action", [EnsureRun, TagRun, RegisterVersion, MoveAlias], ids=lambda a: a.__name__)
def test_mlflow_away_at_a_write_is_retried_and_told(action: type) -> None:
    world = _until(action)().mlflow_down()
    world.settle()
    _waits(world)
    world.mlflow_up().wait(600).settle()
    if world.live_jobs:
        world.completes().settle()
    assert world.figure == complete().figure
    assert [k for k in kinds(world.done) if k != "EndRun"] == ORDER


@pytest.mark.parametrize("passes", range(10))
def test_mlflow_away_at_any_time_loses_nothing(passes: int) -> None:
    # given MLflow goes away after so many passes, and the operator restarts while it is away
    world = World()
    for _ in range(passes):
        world.reconcile()
        if world.live_jobs and passes > 3:
            world.completes()
    world.mlflow_down().restart().settle()
    if not world.live_jobs and world.status.get("phase") != "Complete":
        _waits(world)
    # when it is back
    world.mlflow_up().wait(600).settle()
    if world.live_jobs:
        world.completes().settle()
    # then the run ends as if nothing had been
    assert world.figure == complete().figure


def test_a_running_job_does_not_mind_that_mlflow_is_away() -> None:
    world = World().settle().mlflow_down().runs_step("train").settle()
    assert world.told("Ready") == ("Unknown", "JobRunning")


SETTLED: dict[str, Callable[[], World]] = {
    "promoted": complete,
    "without thresholds": lambda: trained(gate={}).settle(),
    "without a model": lambda: trained(model=None).settle(),
    "not passed": lambda: World().settle().completes({"accuracy": 0.5}).settle(),
    "no model logged": lambda: World().settle().completes(models=0).settle(),
    "failed": lambda: World().settle().fails().settle(),
    "suspended": lambda: World().settle().change(suspend=True).settle(),
}


@pytest.mark.parametrize("end", SETTLED)
def test_what_is_settled_asks_nothing_and_changes_nothing(end: str) -> None:
    world = SETTLED[end]()
    for later in (0, 86_400):
        world.wait(later)
        made = world.plan()
        assert (made.actions, made.reads, made.requeue_after) == ((), (), None)
        assert made.status is not None
        assert status_difference(world.status, made.status, OWNED) == {}


@pytest.mark.parametrize("end", SETTLED)
def test_what_is_settled_stays_settled_while_mlflow_is_away(end: str) -> None:
    world = SETTLED[end]()
    before = world.status
    world.mlflow_down().restart().settle()
    assert world.status == before


def test_the_message_says_since_when_mlflow_is_away() -> None:
    world = World().mlflow_down().settle()
    ready = world.condition("Ready")
    assert ready is not None
    assert "2026-03-01 12:00" in ready.message
    assert "connection refused" in ready.message


def _waits(world: World) -> None:
    ready, reconciling = world.told("Ready"), world.told("Reconciling")
    assert ready is not None
    assert ready[0] == "False"
    assert reconciling == ("True", "ProgressingWithRetry")


# --- the Job is refused --------------------------------------------------------------------------------------------


def test_a_job_that_is_refused_needs_a_person_and_heals_by_itself() -> None:
    world = World()
    world.refuse[Create] = ("Forbidden", "exceeded quota: compute")
    world.settle()
    assert world.told("Stalled") == ("True", "Forbidden")
    assert "exceeded quota" in world.condition("Ready").message  # type: ignore[union-attr]
    world.refuse.clear()
    world.wait(600).settle()
    assert world.told("Ready") == ("Unknown", "JobRunning")
    assert world.creations == ["iris-1"]


def test_an_end_that_mlflow_refuses_keeps_the_failure_told_and_the_run_open() -> None:
    world = World().settle()
    world.refuse[EndRun] = ("TrackingUnavailable", "timeout")
    world.fails().settle()
    assert world.told("Stalled") == ("True", "BackoffLimitExceeded")
    assert "completionTime" not in world.status["run"]
    world.refuse.clear()
    world.wait(600).settle()
    assert (world.last_run.status, world.status["phase"]) == ("FAILED", "Failed")
    assert "completionTime" in world.status["run"]
