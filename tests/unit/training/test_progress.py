"""How far a run has come; one that stands still is ended, by an answer that was asked for after the deadline."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tandem.api.facts import LoggedProgress
from tandem.api.meta import Json
from tandem.api.plan import Apply
from tests.unit.training.world import World

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def training(**spec: object) -> World:
    return World().change(**spec).settle().runs_step("train").settle()


def logs(world: World, step: int, percentage: int | None = None, minute: int = 0) -> World:
    world.last_run.progress = LoggedProgress(percentage, step, NOON.replace(minute=minute))
    return world.settle()


def progress(world: World) -> Json:
    found: Json = world.status["run"].get("progress", {})
    return found


def ended(world: World) -> bool:
    return any(isinstance(action, Apply) for action in world.done)


# --- what is told ----------------------------------------------------------------------------------------------------


def test_what_a_step_logs_is_in_the_status() -> None:
    world = logs(training(), step=120, percentage=37)
    told = progress(world)
    assert (told["step"], told["percentage"], told["lastMetricTime"]) == (120, 37, "2026-03-01T12:00:00Z")


def test_a_step_that_logs_nothing_has_a_time_and_no_figures() -> None:
    assert progress(training()).keys() == {"lastUpdateTime"}


def test_the_time_is_that_of_the_last_movement() -> None:
    world = logs(training(), step=1)
    moved = progress(world)["lastUpdateTime"]
    assert progress(world.wait(300).settle())["lastUpdateTime"] == moved
    assert progress(logs(world, step=2))["lastUpdateTime"] > moved
    moved = progress(world)["lastUpdateTime"]
    assert progress(logs(world.wait(60), step=2, minute=1))["lastUpdateTime"] > moved, "the same step, logged again"


def test_nothing_is_written_while_nothing_moves() -> None:
    world = logs(training(), step=1)
    before = len(world.statuses)
    for _ in range(5):
        world.wait(60).settle()
    assert len(world.statuses) == before


def test_mlflow_that_is_away_takes_nothing_back() -> None:
    world = logs(training(), step=7)
    told = progress(world)
    assert progress(world.mlflow_down().wait(60).settle()) == told


# --- a run that hangs ------------------------------------------------------------------------------------------------


def hanging(seconds: float = 601, **spec: object) -> World:
    return logs(training(progressDeadlineSeconds=600, **spec), step=120, percentage=37).wait(seconds).settle()


def test_a_run_without_progress_is_ended_and_says_which_step_hung_and_where() -> None:
    world = hanging()
    assert world.told("Failed") == ("True", "ProgressDeadlineExceeded")
    failure = world.status["failure"]
    assert (failure["class"], failure["reason"], failure["step"]) == ("Hung", "ProgressDeadlineExceeded", "train")
    for part in ("600 s", "spec.progressDeadlineSeconds", "step 120, 37 %"):
        assert part in failure["message"]
    assert (world.live_jobs, world.last_run.status) == ([], "FAILED")
    assert [entry["result"] for entry in world.status["history"]] == ["ProgressDeadlineExceeded"]


def test_one_that_logs_something_before_the_deadline_goes_on() -> None:
    world = hanging(500)
    logs(world, step=121).wait(500).settle()
    assert not ended(world)


def test_the_plan_wakes_itself_at_the_deadline() -> None:
    world = hanging(1)
    after = world.plan().requeue_after
    assert after is not None
    assert 590 < after.total_seconds() <= 600


def test_a_step_that_begins_is_progress() -> None:
    world = World().change(progressDeadlineSeconds=600).settle().runs_step("features").settle().wait(500)
    world.runs_step("train").settle().wait(500).settle()
    assert not ended(world)


def test_what_was_logged_in_the_last_moment_counts() -> None:
    # given an answer from before the deadline, and a metric that came after it
    world = logs(training(progressDeadlineSeconds=600), step=120)
    world.wait(700)
    world.last_run.progress = LoggedProgress(None, 121, NOON)
    assert not ended(world.settle())


def test_while_mlflow_is_away_nobody_knows_and_nothing_is_ended() -> None:
    world = logs(training(progressDeadlineSeconds=600), step=120).mlflow_down().wait(5000).settle()
    assert not ended(world)
    world.mlflow_up()
    world.last_run.progress = LoggedProgress(None, 121, NOON)
    assert not ended(world.settle())


def test_an_operator_that_was_away_looks_before_it_judges() -> None:
    world = logs(training(progressDeadlineSeconds=600), step=120).restart().wait(5000)
    world.last_run.progress = LoggedProgress(None, 900, NOON)
    assert not ended(world.settle())
    assert ended(world.wait(700).settle())


@pytest.mark.parametrize(
    "state",
    [
        lambda world: world.pod("Pending"),
        lambda world: world.runs_step("fetch"),
    ],
    ids=["no node yet", "fetching data"],
)
def test_only_a_step_of_the_users_can_hang(state: object) -> None:
    world = World().change(progressDeadlineSeconds=600).settle()
    state(world)  # type: ignore[operator]
    world.settle().wait(5000).settle()
    assert not ended(world)


def test_a_suspended_run_does_not_hang() -> None:
    world = logs(training(progressDeadlineSeconds=600), step=1).change(suspend=True).settle().wait(5000).settle()
    assert world.told("Suspended") == ("True", "Suspended")
    world.change(suspend=False).settle().runs_step("train").settle()
    assert "activeDeadlineSeconds" not in world.job["spec"], "its time begins anew with its step"


def test_without_a_deadline_nothing_is_ever_ended() -> None:
    assert not ended(logs(training(), step=1).wait(10**7).settle())


@pytest.mark.parametrize("crash_after", [0, 1])
@pytest.mark.parametrize("passes", range(4))
def test_a_hung_run_is_told_as_hung_whenever_the_operator_crashes(passes: int, crash_after: int) -> None:
    world = logs(training(progressDeadlineSeconds=600), step=1).wait(700)
    for _ in range(passes):
        world.reconcile()
    world.reconcile(crash_after)
    world.settle()
    assert world.status["failure"]["class"] == "Hung"
    assert world.creations == ["iris-1"]


def test_a_run_that_hangs_is_not_suspended_back_to_life() -> None:
    # given the Job was told to end, and the Job controller has not done so yet
    world = logs(training(progressDeadlineSeconds=600), step=1).wait(700)
    while not ended(world):
        world.reconcile()
    world.job["status"] = {"active": 1}
    world.job["metadata"]["annotations"]["tandem.dev/hung"] = "no progress"
    world.change(suspend=True).settle()
    assert world.job["spec"].get("suspend") is False
    world.job_fails("DeadlineExceeded").settle()
    assert world.status["failure"]["class"] == "Hung"


# --- what the cluster interrupts -------------------------------------------------------------------------------------


def disrupted(world: World, reason: str = "EvictionByEvictionAPI") -> World:
    """The pod is taken away; the Job does not count it."""
    told = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "node drained"}
    name = list(world.pods)[-1]
    world.pods[name]["status"]["conditions"] = [told]
    world.settle()
    world.pods[f"{name}x"] = world.pods.pop(name)  # it stays, failed; the next one has another name
    world.pods[f"{name}x"]["metadata"] |= {"name": f"{name}x", "uid": f"{name}x"}
    return world


def test_a_pod_that_the_cluster_took_away_is_told_and_costs_no_attempt() -> None:
    world = training()
    disrupted(world)
    run = world.status["run"]
    assert (run["disruptions"], run["attempts"]) == (1, 1)
    assert run["lastDisruption"] == {"pod": "iris-1-0", "reason": "EvictionByEvictionAPI", "message": "node drained"}


def test_a_pod_that_was_gone_before_anybody_looked_is_told_all_the_same() -> None:
    """Evicted, ended and deleted within one second, while the operator was busy with others."""
    world = training()
    [(name, pod)] = world.pods.items()
    told = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    gone = {**pod, "status": {**pod["status"], "conditions": [told]}, "departed": True}
    new = {**pod, "metadata": {**pod["metadata"], "name": f"{name}x", "uid": f"{name}x"}}
    world.pods = {name: gone, f"{name}x": new}
    world.settle()
    run = world.status["run"]
    assert (run["disruptions"], run["attempts"], run["lastDisruption"]["pod"]) == (1, 1, name)
    assert world.status["phase"] == "Running", "what is gone holds nothing up"


@pytest.mark.parametrize("limit", [0, 2])
def test_a_run_that_is_interrupted_too_often_is_ended_by_its_jobs_deadline(limit: int) -> None:
    world = training(disruptionLimit=limit)
    [pod] = world.pods.values()
    told = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "node drained"}
    for number in range(limit + 1):
        assert "tandem.dev/disrupted" not in world.job["metadata"]["annotations"]
        meta = {**pod["metadata"], "name": f"p{number}", "uid": f"p{number}"}
        world.pods = {f"p{number}": {"metadata": meta, "status": {**pod["status"], "conditions": [told]}}}
        world.settle()
    assert world.job["spec"]["activeDeadlineSeconds"] == 1
    assert world.told("Trained") == ("False", "TooManyDisruptions")
    failure = world.status["failure"]
    assert failure["class"] == "Evicted"
    assert f"took {limit + 1} pods away, spec.disruptionLimit is {limit}" in failure["message"]
    assert "EvictionByEvictionAPI: node drained" in failure["message"]
    assert world.last_run.status == "FAILED"


def test_a_run_that_ends_for_its_disruptions_is_not_suspended_in_between() -> None:
    world = training(disruptionLimit=0)
    told = {"type": "DisruptionTarget", "status": "True", "reason": "X"}
    world.pods[list(world.pods)[-1]]["status"]["conditions"] = [told]
    while "tandem.dev/disrupted" not in world.job["metadata"]["annotations"]:
        world.reconcile()
    world.job["status"] = {"active": 1}
    world.change(suspend=True).settle()
    assert world.job["spec"].get("suspend") is False
    world.job_fails("DeadlineExceeded").settle()
    assert world.status["failure"]["reason"] == "TooManyDisruptions"


def test_each_pod_is_counted_once() -> None:
    world = training()
    name = list(world.pods)[-1]
    for number in range(3):
        told = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
        pod = dict(
            world.pods[name], metadata={**world.pods[name]["metadata"], "name": f"p{number}", "uid": f"p{number}"}
        )
        world.pods = {f"p{number}": {**pod, "status": {**pod["status"], "conditions": [told]}}, name: world.pods[name]}
        world.settle().restart().settle()
    assert world.status["run"]["disruptions"] == 3
