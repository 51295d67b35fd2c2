"""All attempts of a run log into one MLflow run; only what the one that succeeded has logged is judged."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta

import pytest

from tandem.api import names
from tandem.api.facts import LoggedModel, MetricsSince
from tandem.api.meta import Json
from tandem.training.attempts import TOLERANCE
from tests.unit.training.mlflow import START
from tests.unit.training.test_nodes import INDEX, Nodes
from tests.unit.training.test_nodes import nodes as of_nodes
from tests.unit.training.world import World, complete

GOOD = {"accuracy": 0.95}
NOTHING: Mapping[str, float] = {}


def died(world: World, metrics: Mapping[str, float] = GOOD, models: int = 1) -> World:
    """The attempt that goes on has logged, and its script exits 1; the Job controller waits ten seconds."""
    failed = world.job["status"].get("failed", 0)
    world.runs_step("train").settle()
    world.wait(60).logs(metrics, models, status="FAILED").exits("train", 1)
    world.job["status"] = {"failed": failed + 1}
    return world.settle().wait(10)


def succeeds(world: World, metrics: Mapping[str, float] = GOOD, models: int = 1) -> World:
    failed = world.job["status"].get("failed", 0)
    world.runs_step("train").settle().wait(60)
    world.completes(metrics, models)
    world.job["status"] |= {"failed": failed}
    return world


def message(world: World, condition: str) -> str:
    found = world.condition(condition)
    assert found is not None
    return found.message


def test_a_metric_that_only_an_earlier_attempt_logged_does_not_pass() -> None:
    world = succeeds(died(World().settle()), NOTHING).settle()
    assert world.told("Blessed") == ("False", "MetricNotFound")
    assert message(world, "Blessed").startswith("accuracy was logged by an earlier attempt only; ")
    assert (world.aliases, world.versions) == ({}, [])
    assert "accuracy" not in world.status.get("metrics", {})


def test_a_metric_that_each_attempt_logged_is_judged() -> None:
    world = succeeds(died(World().settle(), {"accuracy": 0.1}), GOOD).settle()
    assert world.told("Blessed") == ("True", "ThresholdsMet")
    assert world.status["phase"] == "Complete"


@pytest.mark.parametrize(("value", "verdict"), [(0.95, ("True", "ThresholdsMet")), (0.5, ("False", "ThresholdNotMet"))])
def test_an_attempt_that_began_anew_and_stopped_earlier_is_judged_by_its_own_last_step(
    value: float, verdict: tuple[str, str]
) -> None:
    # given MLflow answers the value of the highest step, whoever logged it
    world = World().settle().runs_step("train").settle().wait(60)
    world.logs({"accuracy": 0.99}, step=30)
    died(world, {"accuracy": 0.1})
    world.runs_step("train").settle().wait(30).logs({"accuracy": 0.2}, step=10).logs({"accuracy": value}, step=20)
    succeeds(world, NOTHING).settle()
    assert world.told("Blessed") == verdict
    assert world.status["metrics"]["accuracy"] == str(value)


def test_while_mlflow_does_not_tell_what_the_last_attempt_logged_nothing_is_judged() -> None:
    world = succeeds(died(World().settle()), NOTHING)
    while not any(isinstance(query, MetricsSince) for query in world.plan().reads):
        world.reconcile()
    world.mlflow_down().restart().settle()
    assert world.told("Ready") == ("False", "TrackingUnavailable")
    assert world.mlflow_up().wait(600).settle().told("Blessed") == ("False", "MetricNotFound")


def test_what_the_last_attempt_logs_counts_from_its_first_container_on() -> None:
    # given a script with a checkpoint, whose first step logs what the others need not log again
    world = died(World().settle(), NOTHING)
    world.runs_step("features").settle().logs(GOOD, 0)
    succeeds(world.wait(3600), NOTHING).settle()
    assert world.told("Blessed") == ("True", "ThresholdsMet")


def test_a_model_that_only_an_earlier_attempt_logged_is_not_registered() -> None:
    world = succeeds(died(World().settle()), models=0).settle()
    assert world.told("Registered") == ("False", "NoLoggedModel")
    assert "the last attempt of MLflow run run-1 logged no model" in message(world, "Registered")
    assert world.versions == []


@pytest.mark.parametrize(("counted", "told"), [("rows", "rows, the number of samples,"), ("base", "base of this run,")])
def test_every_metric_that_a_rule_asks_for_is_of_the_attempt_that_is_judged(counted: str, told: str) -> None:
    rule: Json = {"name": "accuracy", "min": "0.9", "sampleCountMetric": "rows"}
    change = {"change": {"absolute": "0", "direction": "HigherIsBetter", "baselineMetric": "base"}}
    world = World().change(gate={"metrics": [rule | change]}).settle()
    everything = {"accuracy": 0.95, "rows": 100.0, "base": 0.9}
    world.aliases["iris", "champion"] = "1"
    world.versions = [complete().versions[0]]
    world.versions[0] = type(world.versions[0])("iris", "1", "elsewhere", "models:/m-9", "READY")
    late = {name: value for name, value in everything.items() if name != counted}
    succeeds(died(world, everything), late).settle()
    assert world.told("Blessed") == ("False", "VerdictUnknown")
    assert told in message(world, "Blessed")
    assert "was logged by an earlier attempt only" in message(world, "Blessed")


@pytest.mark.parametrize(("before", "counts"), [(timedelta(0), True), (TOLERANCE, True), (2 * TOLERANCE, False)])
def test_clocks_of_machines_differ_by_a_little(before: timedelta, counts: bool) -> None:
    world = succeeds(died(World().settle()), GOOD)
    while not world.status["run"].get("attemptStartTime"):
        world.reconcile()
    dated = world.resource.status.run
    assert dated is not None
    assert dated.attempt_start_time is not None
    began = dated.attempt_start_time
    world.last_run.metric_times["accuracy"] = round((began - before).timestamp() * 1000)
    last = world.last_run.models[-1]
    made = LoggedModel(last.model_id, last.name, last.status, began - before, last.artifact_uri)
    world.last_run.models[-1] = made
    assert (world.settle().status["phase"] == "Complete") is counts


def test_one_attempt_is_judged_by_whatever_its_run_has_however_that_is_dated() -> None:
    # given a script that dates its metrics itself, and a server whose clock is an hour behind
    world = World().settle().runs_step("train").settle().wait(60).completes()
    world.last_run.metric_times = {}
    model = world.last_run.models[0]
    past = START - timedelta(hours=1)
    world.last_run.models[0] = LoggedModel(model.model_id, model.name, model.status, past, model.artifact_uri)
    assert world.settle().status["phase"] == "Complete"
    assert names.TAG_ATTEMPT_START not in world.last_run.tags


def test_a_pod_that_the_cluster_took_away_is_an_earlier_attempt() -> None:
    world = World().settle().runs_step("train").settle().wait(60).logs(GOOD, status="RUNNING")
    world.pods["iris-1-0"]["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "X"}]
    world.settle()
    world.pods.clear()
    world.settle().wait(30)
    succeeds(world, NOTHING).settle()
    assert world.status["run"].get("attempts") == 1
    assert world.told("Blessed") == ("False", "MetricNotFound")


def test_what_ran_before_a_suspension_is_an_earlier_attempt() -> None:
    world = World().settle().runs_step("train").settle().wait(60).logs(GOOD, status="RUNNING")
    world.change(suspend=True).settle()
    assert "attemptStartTime" not in world.status["run"]
    world.change(suspend=False).settle().wait(30)
    succeeds(world, NOTHING).settle()
    assert world.told("Blessed") == ("False", "MetricNotFound")


def test_the_start_survives_the_pod() -> None:
    world = died(World().settle())
    succeeds(world, NOTHING).mlflow_down().settle()
    world.pods.clear()
    world.restart().mlflow_up().wait(600).settle()
    assert world.told("Blessed") == ("False", "MetricNotFound")


def test_an_attempt_whose_start_nobody_saw_has_logged_nothing() -> None:
    # given the operator is away from the end of the first attempt until the last one's pod is gone
    world = World().settle().runs_step("train").settle().wait(60).logs(GOOD)
    world.exits("train", 1).job["status"] = {"failed": 1}
    succeeded = {"conditions": [{"type": "Complete", "status": "True"}], "succeeded": 1, "failed": 1}
    world.wait(600).logs(GOOD).job["status"] = succeeded
    world.pods.clear()
    world.restart().settle()
    assert world.told("Blessed") == ("False", "MetricNotFound")
    assert "nobody knows by which attempt" in message(world, "Blessed")


def test_a_pod_that_has_succeeded_and_forgotten_when_it_began_is_still_the_one_that_was_seen() -> None:
    world = World().settle().runs_step("train").settle().wait(60).logs(GOOD)
    ended = {name: {"terminated": {"exitCode": 0, "startedAt": None}} for name in world.container_names()}
    world.pod("Succeeded", ended)._ends("Complete", "CompletionsReached", "", succeeded=1)
    assert world.settle().status["phase"] == "Complete"


@pytest.mark.parametrize("lost", [World.lose_status, World.delete_job])
def test_a_run_is_judged_alike_when_its_status_or_its_job_is_lost(lost: Callable[[World], World]) -> None:
    world = succeeds(died(World().settle()), NOTHING).settle()
    lost(world).restart().settle()
    assert world.told("Blessed") == ("False", "MetricNotFound")
    world.change(gate={"metrics": [{"name": "accuracy", "min": "0.1"}]}).settle()
    assert world.told("Blessed") == ("False", "MetricNotFound")


def test_when_status_and_job_are_both_lost_the_tags_tell_which_attempt_was_judged() -> None:
    world = succeeds(died(World().settle()), NOTHING).settle()
    world.delete_job().lose_status().restart().settle()
    assert world.told("Blessed") == ("False", "MetricNotFound")


@pytest.mark.parametrize("forged", ["0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59Z", "2026-03-01", "soon", ""])
def test_a_tag_that_somebody_has_written_changes_nothing_that_the_status_knows(forged: str) -> None:
    world = succeeds(World().settle())
    world.last_run.tags[names.TAG_ATTEMPT_START] = forged
    assert world.settle().status["phase"] == "Complete"


def test_a_tag_that_no_calendar_has_is_none() -> None:
    world = succeeds(died(World().settle()), NOTHING).settle()
    world.last_run.tags[names.TAG_ATTEMPT_START] = "0001-01-01T00:00:00+00:00"
    world.delete_job().lose_status().restart().settle()
    assert world.status["phase"] == "Complete", "as where nothing is known of another attempt"


# --- an MLflow run that is not FINISHED ------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_a_run_that_mlflow_says_has_failed_is_not_judged_although_its_script_exits_0(status: str) -> None:
    # measured, MLflow 3.17: an exception, or sys.exit(0), that leaves `with mlflow.start_run()` makes it FAILED
    world = World().settle().completes()
    world.last_run.status = status
    world.settle()
    assert world.told("Blessed") == ("False", "RunFailed")
    assert f"run-1 is {status}" in message(world, "Blessed")
    assert (world.aliases, world.versions) == ({}, [])
    assert world.ask("again").settle().creations == ["iris-1", "iris-2"]


def test_the_last_attempt_makes_good_what_an_earlier_one_left_failed() -> None:
    # measured: a run that is taken up again is RUNNING, and then what its last script makes of it
    world = succeeds(died(World().settle()))
    assert world.settle().status["phase"] == "Complete"


def test_a_run_that_an_earlier_attempt_left_failed_is_judged_if_the_last_one_never_joined_it() -> None:
    # given the last attempt logs by MLflow's client alone, which leaves the run's status as it is
    world = died(World().settle())
    ended = world.last_run.ended_at
    succeeds(world)
    world.last_run.status, world.last_run.ended_at = "FAILED", ended
    assert world.settle().status["phase"] == "Complete"


def test_a_reproduction_of_which_mlflow_says_that_it_failed_is_not_compared() -> None:
    from tests.unit.training.test_reproduction import SAME, reproducing

    world = reproducing(image="registry.example/train:2")
    world.last_run.tags[names.TAG_REPRODUCTION] = json.dumps(SAME)
    world.completes().last_run.status = "FAILED"
    assert world.settle().told("Reproduced") == ("False", "RunFailed")


def test_a_model_that_only_an_earlier_attempt_logged_is_no_reproduction() -> None:
    from tests.unit.training.test_reproduction import SAME, reproducing

    world = succeeds(died(reproducing(image="registry.example/train:2")), models=0)
    world.last_run.tags[names.TAG_REPRODUCTION] = json.dumps(SAME)
    assert world.settle().told("Reproduced") == ("False", "NotCompared")


# --- the Job is deleted by hand --------------------------------------------------------------------------------------

ONE_STEP: Json = {"steps": [{"name": "train", "command": ["python", "t.py"]}]}


@pytest.mark.parametrize("spec", [ONE_STEP, {}], ids=["one step", "two steps"])
@pytest.mark.parametrize("at", ["nothing", "fetch", "train"])
def test_a_job_deleted_in_its_second_attempt_is_not_taken_for_trained_by_what_the_first_one_left(
    spec: Json, at: str
) -> None:
    # given a script that ends its MLflow run and then exits 1 (measured: at exit MLflow ends it as FINISHED)
    world = World().change(**spec).settle()
    died(world).last_run.status = "FINISHED"
    world.pod("Pending") if at == "nothing" else world.runs_step(at)
    world.settle().delete_job().settle()
    assert world.told("Failed") == ("True", "JobDeleted")
    assert world.aliases == {}


@pytest.mark.parametrize("spec", [ONE_STEP, {}], ids=["one step", "two steps"])
def test_a_job_deleted_between_two_attempts_is_not_taken_for_trained(spec: Json) -> None:
    world = World().change(**spec).settle()
    died(world).last_run.status = "FINISHED"
    world.settle().delete_job().settle()
    assert world.told("Failed") == ("True", "JobDeleted")


def test_a_job_deleted_after_its_second_attempt_had_finished_counts() -> None:
    world = died(World().settle())
    world.runs_step("train").settle().wait(60).logs(GOOD).delete_job().settle()
    assert world.told("Trained") == ("True", "RunFinished")
    assert world.status["phase"] == "Complete"


def test_a_last_step_that_has_not_joined_the_mlflow_run_yet_has_not_ended_it() -> None:
    # given the first step logs everything, and the last one may still say no
    world = World().settle().runs_step("features").settle().wait(60).logs(GOOD)
    world.runs_step("train").settle().wait(60).delete_job().settle()
    assert world.told("Failed") == ("True", "JobDeleted")


def test_a_script_whose_status_and_job_are_both_lost_before_it_was_judged_has_not_finished() -> None:
    world = World().change(**ONE_STEP).settle().runs_step("train").settle().logs(GOOD)
    world.delete_job().lose_status().restart().settle()
    assert world.told("Failed") == ("True", "JobDeleted")


# --- several nodes ---------------------------------------------------------------------------------------------------


def newest(world: Nodes, index: int) -> Json:
    """The pod of this node in the attempt that goes on."""
    return [pod for pod in world.pods.values() if pod["metadata"]["labels"][INDEX] == str(index)][-1]


def began(world: Nodes, *starts: int) -> Nodes:
    """The pods of node 0, 1 … of the attempt that goes on have begun so many seconds after the start of all."""
    for index, seconds in enumerate(starts):
        world.node(index)
        for container in newest(world, index)["status"]["initContainerStatuses"]:
            container["state"]["terminated"]["startedAt"] = (START + timedelta(seconds=seconds)).isoformat()
    return world


def succeeded(world: Nodes, nodes: int) -> Nodes:
    for index in range(nodes):
        newest(world, index)["status"]["phase"] = "Succeeded"
    world._ends("Complete", "CompletionsReached", "", succeeded=nodes)
    return world


def test_the_first_node_speaks_for_the_attempt_and_another_one_that_began_before_it_is_none() -> None:
    world = began(of_nodes(2), 30, 0)
    world.settle()
    run = world.status["run"]
    assert run["attemptStartTime"] == run["firstAttemptStartTime"] == "2026-03-01T12:00:30Z"
    world.wait(60).logs(GOOD).last_run.metric_times["accuracy"] = 0
    succeeded(world, 2).settle()
    assert world.status["phase"] == "Complete"


def test_nodes_that_begin_again_together_are_another_attempt() -> None:
    world = began(of_nodes(2), 0, 0)
    world.settle().wait(60).logs(GOOD, status="RUNNING")
    world.node(1, "Failed", 1).settle()
    assert world.suspensions == 1
    world.settle()
    world.wait(60)
    began(world, 200, 200).settle()
    assert world.status["run"]["attempts"] == 2
    world.logs(NOTHING, models=1)
    succeeded(world, 2).settle()
    assert world.told("Blessed") == ("False", "MetricNotFound")
