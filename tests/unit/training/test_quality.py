"""Data that do not hold what their checks say stop the run before any step, and the status says what was found."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tandem.api.facts import Query, RunsOf, Unavailable
from tandem.api.meta import Json
from tandem.runtime.validate import parse
from tandem.training.inputs import CHECKS_LIMIT
from tests.unit.training.cluster import DATA_DIGEST
from tests.unit.training.mlflow import START
from tests.unit.training.world import World, complete, kinds

CHECKS = {"columns": [{"name": "sepal", "type": "Float", "min": "0", "drift": {"jensenShannon": "0.1"}}]}
DATA: list[dict[str, Any]] = [
    {"name": "iris", "storageUri": "s3://acme/iris.csv", "secretRef": {"name": "acme"}, "checks": CHECKS},
    {"name": "labels", "storageUri": "s3://acme/labels.csv"},
]


def running(**spec: Any) -> World:
    return World().change(data=DATA, **spec).settle()


def report(verdict: str, message: str = "") -> str:
    return json.dumps({"data": [{"name": "iris", "verdict": verdict, "message": message}]})


def containers(world: World) -> list[Json]:
    pod = world.job["spec"]["template"]["spec"]
    return [*pod["initContainers"], *pod["containers"]]


def instruction(world: World) -> Json:
    [validate] = [container for container in containers(world) if container["name"] == "validate"]
    told: Json = json.loads({entry["name"]: entry["value"] for entry in validate["env"]}["TANDEM_VALIDATE"])
    return told


# --- the container ---------------------------------------------------------------------------------------------------


def test_data_are_checked_after_they_are_fetched_and_before_any_step() -> None:
    names = [container["name"] for container in containers(running())]
    assert names == ["fetch", "validate", "features", "train", "digest"]


def test_nothing_is_checked_where_no_data_set_has_checks() -> None:
    world = World().settle()
    assert [container["name"] for container in containers(world)] == ["fetch", "features", "train", "digest"]
    assert world.condition("DataValidated") is None


def test_the_container_that_checks_has_no_credentials() -> None:
    validate = containers(running())[1]
    assert {mount["name"] for mount in validate["volumeMounts"]} == {"workspace", "tmp"}


def test_the_checks_are_told_as_the_runtime_reads_them() -> None:
    told = instruction(running())
    assert [data["name"] for data in told["data"]] == ["iris"]
    read = parse(json.dumps(told))
    assert read.data[0].checks.columns[0].drift.jensen_shannon == "0.1"
    assert (read.baseline, read.report_limit) == (None, 2457)


@pytest.mark.parametrize(("container", "values"), [("fetch", [2, 3]), ("validate", [2, 10])])
def test_what_another_try_cannot_change_is_not_tried_again(container: str, values: list[int]) -> None:
    rules = running().job["spec"]["podFailurePolicy"]["rules"]
    codes = {"containerName": container, "operator": "In", "values": values}
    assert {"action": "FailJob", "onExitCodes": codes} in rules


def test_checks_that_no_pod_could_be_told_are_refused_with_their_size() -> None:
    columns = [{"name": f"c{n}", "values": ["x" * 250] * 100} for n in range(10)]
    world = World().change(data=[{**DATA[0], "checks": {"columns": columns}}]).settle()
    assert world.told("Trained") == ("False", "InvalidSpec")
    assert f"{CHECKS_LIMIT} can be handed to a pod" in _message(world, "Trained")
    assert world.jobs == {}


# --- the verdict -----------------------------------------------------------------------------------------------------


def test_until_the_data_are_checked_nothing_is_said_of_them() -> None:
    world = running()
    assert world.told("DataValidated") == ("Unknown", "ChecksPending")
    world.runs_step("fetch").settle()
    assert world.told("DataValidated") == ("Unknown", "ChecksPending")


def test_data_that_pass_are_told_and_the_run_goes_on() -> None:
    world = running()
    world.says["validate"] = report("Passed", "150 rows")
    world.runs_step("features").settle()
    assert world.told("DataValidated") == ("True", "ChecksPassed")
    assert _message(world, "DataValidated") == "iris: 150 rows"
    told = {"name": "iris", "digest": DATA_DIGEST, "bytes": 4, "verdict": "Passed", "message": "150 rows"}
    assert world.status["data"][0] == told
    world.completes().settle()
    assert world.status["phase"] == "Complete"
    assert world.told("DataValidated") == ("True", "ChecksPassed")


def test_that_there_is_nothing_to_compare_with_is_told_and_passes() -> None:
    world = running()
    world.says["validate"] = report("NoBaseline", "150 rows; nothing to compare with: no run has passed the gate yet")
    world.completes().settle()
    assert world.status["data"][0]["verdict"] == "NoBaseline"
    assert "no run has passed the gate yet" in _message(world, "DataValidated")


def test_data_that_fail_end_the_run_before_training() -> None:
    world = running()
    found = "column sepal: 3 of 150 values are below min 0 (-1, -2)"
    world.fails("validate", 10, report("Failed", found)).settle()
    assert world.told("DataValidated") == ("False", "ChecksFailed")
    assert world.told("Ready") == ("False", "ChecksFailed")
    assert world.told("Failed") == ("True", "ChecksFailed")
    assert world.told("Trained") is None
    assert _message(world, "Ready") == f"step validate: data set iris: {found}"
    failure = world.status["failure"]
    assert (failure["class"], failure["step"], failure["exitCode"]) == ("Data", "validate", 10)
    assert world.status["data"][0]["verdict"] == "Failed"
    assert world.status["history"][0]["result"] == "ChecksFailed"
    assert world.last_run.status == "FAILED"
    assert "RegisterVersion" not in kinds(world.done)


def test_data_that_fail_are_told_by_one_kind_of_event() -> None:
    """The pod has ended, and the Job not yet: the data had passed for that moment (seen on a real cluster)."""
    world = running()
    world.exits("validate", 10, report("Failed", "x")).settle()
    assert world.told("DataValidated") == ("Unknown", "ChecksPending")
    world.fails("validate", 10, report("Failed", "x")).settle()
    assert {(event.type, event.reason) for event in world.events} == {("Warning", "ChecksFailed")}


def test_a_failed_check_stays_told_when_its_job_is_gone() -> None:
    world = running()
    world.fails("validate", 10, report("Failed", "x")).settle()
    before = world.figure
    world.delete_job()
    assert world.settle().figure == before


@pytest.mark.parametrize(("code", "reason"), [(2, "InvalidChecks"), (9, "NotRecorded"), (1, "BackoffLimitExceeded")])
def test_checks_that_could_not_be_made_fail_the_training(code: int, reason: str) -> None:
    world = running()
    world.fails("validate", code, "the pattern of column a is no regular expression").settle()
    assert world.told("Trained") == ("False", reason)
    assert "no regular expression" in _message(world, "Trained")
    assert world.told("DataValidated") == ("Unknown", "ChecksPending")


@pytest.mark.parametrize("said", ["", "no json", '{"data": 3}', '{"data": [{"name": "iris", "verdict": "Great"}]}'])
def test_a_report_of_another_shape_is_as_good_as_none(said: str) -> None:
    world = running()
    world.fails("validate", 10, said).settle()
    assert world.told("Ready") == ("False", "BackoffLimitExceeded")
    assert "verdict" not in world.status["data"][0]


def test_a_changed_check_is_another_run() -> None:
    world = running()
    world.fails("validate", 10, report("Failed", "x")).settle()
    world.change(data=[{**DATA[0], "checks": {}}, DATA[1]]).settle()
    assert world.status["run"]["number"] == 2


# --- what data are compared with -------------------------------------------------------------------------------------


def test_the_data_of_the_latest_run_that_passed_the_gate_are_the_baseline() -> None:
    world = complete(data=DATA)
    world.ask("again").settle()
    assert instruction(world)["baseline"] == {"run": 1, "mlflowRunId": "run-1"}
    world.completes({"accuracy": 0.1}).settle()
    world.ask("and again").settle()
    assert world.status["run"]["number"] == 3
    assert instruction(world)["baseline"] == {"run": 1, "mlflowRunId": "run-1"}


@dataclass
class PassedUnknown(World):
    """MLflow tells everything but which runs have passed."""

    hidden: bool = False

    def answer(self, query: Query[object]) -> object:
        if self.hidden and isinstance(query, RunsOf) and query.passed:
            return Unavailable(START, "TrackingUnavailable", "the search took too long")
        return super().answer(query)


def test_nothing_starts_before_it_is_known_which_run_is_the_baseline() -> None:
    world = PassedUnknown().change(data=DATA).settle().completes().settle()
    assert isinstance(world, PassedUnknown)
    world.hidden = True
    world.ask("again").settle()
    assert world.told("Trained") == ("Unknown", "TrackingUnavailable")
    assert "with which run's data" in _message(world, "Trained")
    assert len(world.jobs) == 1

    world.hidden = False
    world.settle()
    assert instruction(world)["baseline"] == {"run": 1, "mlflowRunId": "run-1"}


def test_a_first_run_asks_for_no_baseline() -> None:
    world = PassedUnknown(hidden=True).change(data=DATA).settle()
    assert instruction(world)["baseline"] is None


def _message(world: World, type_: str) -> str:
    condition = world.condition(type_)
    assert condition is not None
    return condition.message
