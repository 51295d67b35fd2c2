"""Which run is the current one; when a run is stopped before its end."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.api.children import Job
from tandem.api.meta import ObjectMeta, OwnerReference
from tandem.api.plan import Create, Delete, EndRun
from tandem.training.run import number_of, spec_digest
from tests.unit.training.mlflow import UID
from tests.unit.training.world import World, complete, kinds, trained

OTHER = {"max_iter": "300"}


# --- a Job and its view ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarted", [False, True], ids=["made just now", "there before"])
def test_only_of_a_run_that_was_there_before_a_job_may_have_been_made_and_be_gone(restarted: bool) -> None:
    """Then it is created for the present version of the resource alone; else that read would be one for each Job."""
    world = World()
    while not world.runs:
        world.reconcile()
    if restarted:
        world.restart()
    world.settle()
    (job,) = (action for action in world.done if isinstance(action, Create))
    assert (job.manifest["kind"], job.fenced) == ("Job", restarted)


# --- what trains anew ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"parameters": OTHER},
        {"image": "train:2"},
        {"source": {"git": {"url": "https://git.example/iris.git", "ref": "v2"}}},
        {"data": [{"name": "iris", "storageUri": "https://data.example/new.csv"}]},
        {"steps": [{"name": "train", "command": ["python", "t.py"]}]},
        {"tracking": {"experiment": "other"}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_what_a_model_depends_on_trains_anew(change: dict[str, Any]) -> None:
    world = complete().change(**change).settle()
    assert world.creations == ["iris-1", "iris-2"]
    assert world.status["run"]["trigger"]["type"] == "SpecChanged"
    world.completes().settle()
    assert (world.status["phase"], world.aliases) == ("Complete", {("iris", "challenger"): "2"})


@pytest.mark.parametrize(
    "change",
    [
        {"backoffLimit": 5},
        {"activeDeadlineSeconds": 60},
        {"ttlSecondsAfterFinished": 86400},
        {"gate": {"metrics": [{"name": "accuracy", "min": "0.1"}]}},
        {"model": {"name": "iris", "alias": "champion"}},
        {"retrain": {"cooldown": "2h"}},
        {"historyLimit": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_change_of_anything_else_trains_nothing(change: dict[str, Any]) -> None:
    world = complete().change(**change).settle()
    assert world.creations == ["iris-1"]
    assert world.status["observedGeneration"] == world.generation
    assert all(c["observedGeneration"] == world.generation for c in world.status["conditions"])


def test_the_digest_does_not_depend_on_the_order_in_which_parameters_are_written() -> None:
    one, two = World(), World()
    one.spec["parameters"] = {"a": "1", "b": "2"}
    two.spec["parameters"] = {"b": "2", "a": "1"}
    assert spec_digest(one.resource.spec) == spec_digest(two.resource.spec)


# --- superseded ----------------------------------------------------------------------------------------------------


def test_a_change_while_a_run_goes_on_stops_its_job_waits_and_starts_the_next() -> None:
    world = World().settle().runs_step("train").settle().change(parameters=OTHER)
    world.reconcile()
    assert world.told("Trained") == ("Unknown", "RunStopping")
    assert kinds(world.done) == ["EnsureRun", "Create"], "the intention is written down before anything is deleted"
    world.settle()
    assert kinds(world.done) == ["EnsureRun", "Create", "Delete", "EndRun", "EnsureRun", "Create"]
    assert list(world.jobs) == ["iris-2"]
    assert [run.status for run in world.runs] == ["KILLED", "RUNNING"]
    assert [(e["number"], e["result"]) for e in world.status["history"]] == [(1, "Superseded")]


def test_the_next_job_is_not_created_while_the_old_one_is_still_there() -> None:
    world = World().settle().change(parameters=OTHER)
    for _ in range(20):
        world.reconcile()
        assert len(world.jobs) <= 1
    assert list(world.jobs) == ["iris-2"]


def test_a_change_that_is_taken_back_while_the_old_run_stops_trains_the_old_spec_again() -> None:
    before = World().spec["parameters"]
    world = World().settle().runs_step("train").settle().change(parameters=OTHER)
    while not any(isinstance(action, Delete) for action in world.done):
        world.reconcile()
    world.change(parameters=before).settle()
    assert world.creations == ["iris-1", "iris-2"]
    assert world.completes().settle().status["phase"] == "Complete"


def test_a_job_that_takes_long_to_go_is_deleted_once_and_awaited() -> None:
    world = World(grace=10).settle().runs_step("train").settle().change(parameters=OTHER)
    for _ in range(30):
        world.reconcile()
    assert kinds(world.done) == ["EnsureRun", "Create", "Delete", "EndRun", "EnsureRun", "Create"]


@pytest.mark.parametrize("passes", range(4))
def test_a_change_that_is_taken_back_after_a_crash_is_not_taken_for_a_job_deleted_by_hand(passes: int) -> None:
    before = World().spec["parameters"]
    world = World().settle().runs_step("train").settle().change(parameters=OTHER)
    for _ in range(passes):
        world.reconcile()
    world.reconcile(crash_after=1)
    world.change(parameters=before).settle()
    assert world.told("Failed") is None
    assert len(world.live_jobs) == 1


def test_a_change_that_is_taken_back_before_it_was_seen_changes_nothing() -> None:
    before = World().spec["parameters"]
    world = World().settle().change(parameters=OTHER).change(parameters=before).settle()
    assert world.creations == ["iris-1"]


@pytest.mark.parametrize("crash_after", [0, 1, 2])
@pytest.mark.parametrize("passes", range(8))
def test_stopping_survives_a_crash(passes: int, crash_after: int) -> None:
    world = World().settle().runs_step("train").settle().change(parameters=OTHER)
    for _ in range(passes):
        world.reconcile()
    world.reconcile(crash_after)
    world.settle()
    assert world.status["run"]["number"] == 2
    assert (list(world.jobs), [run.status for run in world.runs]) == (["iris-2"], ["KILLED", "RUNNING"])


def test_stopping_waits_for_mlflow_and_closes_the_old_run() -> None:
    world = World().settle().mlflow_down().change(parameters=OTHER).settle()
    assert world.told("Reconciling") == ("True", "ProgressingWithRetry")
    assert world.creations == ["iris-1"]
    world.mlflow_up().wait(600).settle()
    assert [run.status for run in world.runs] == ["KILLED", "RUNNING"]


def test_a_delete_that_is_refused_is_told_and_tried_again() -> None:
    world = World().settle()
    world.refuse[Delete] = ("Forbidden", "no right to delete jobs")
    world.change(parameters=OTHER).settle()
    assert "no right to delete jobs" in world.condition("Ready").message  # type: ignore[union-attr]
    assert world.creations == ["iris-1"]
    world.refuse.clear()
    assert world.wait(600).settle().creations == ["iris-1", "iris-2"]


def test_the_old_run_is_closed_in_the_experiment_it_was_made_in() -> None:
    world = World().settle().change(tracking={"experiment": "other"}).settle()
    assert [(run.experiment, run.status) for run in world.runs] == [("ml/iris", "KILLED"), ("other", "RUNNING")]


def test_an_old_run_that_was_deleted_in_mlflow_holds_nothing_up() -> None:
    world = World().settle()
    world.last_run.deleted = True
    assert world.change(parameters=OTHER).settle().creations == ["iris-1", "iris-2"]


def test_five_changes_make_one_run_for_the_last() -> None:
    world = World().settle()
    for number in range(5):
        world.change(parameters={"max_iter": str(number)})
    world.settle()
    assert world.creations == ["iris-1", "iris-2"]
    world.completes().settle()
    assert world.status["run"]["specDigest"] == spec_digest(world.resource.spec)


# --- suspended -----------------------------------------------------------------------------------------------------


def test_a_new_resource_that_is_suspended_waits_without_reconciling() -> None:
    world = World().change(suspend=True).settle()
    assert world.done == []
    assert world.told("Ready") == ("Unknown", "Suspended")
    assert world.told("Suspended") == ("True", "Suspended")
    assert world.told("Reconciling") is None
    assert world.change(suspend=False).settle().creations == ["iris-1"]
    assert world.told("Suspended") is None


def test_a_run_that_is_trained_already_ends_though_suspended() -> None:
    world = trained().change(suspend=True).settle()
    assert world.status["phase"] == "Complete"
    assert world.creations == ["iris-1"]


def test_a_settled_run_stays_told_while_suspended() -> None:
    world = complete()
    world.change(suspend=True).settle()
    assert world.told("Ready") == ("True", "Succeeded")
    assert world.told("Suspended") == ("True", "Suspended")
    world.change(suspend=False).settle()
    assert (world.told("Suspended"), world.creations) == (None, ["iris-1"])


def test_a_change_while_suspended_waits() -> None:
    world = complete().change(suspend=True, parameters=OTHER).settle()
    assert world.creations == ["iris-1"]
    assert world.status["phase"] == "Suspended"
    world.change(suspend=False).settle()
    assert world.creations == ["iris-1", "iris-2"]


def test_a_change_that_is_taken_back_while_suspended_leaves_no_trace() -> None:
    world = complete()
    before = world.spec["parameters"]
    world.change(suspend=True, parameters=OTHER).settle().change(suspend=False, parameters=before).settle()
    assert (world.status["phase"], world.creations) == ("Complete", ["iris-1"])
    assert world.told("Ready") == ("True", "Succeeded")


def test_superseding_while_suspended_comes_to_rest() -> None:
    # regression: the old run was closed in MLflow at every pass, for ever
    world = World().settle().runs_step("train").settle().change(suspend=True, parameters=OTHER).settle()
    assert sum(isinstance(action, EndRun) for action in world.done) == 1


def test_suspending_before_the_job_exists_starts_none() -> None:
    world = World()
    world.refuse[Create] = ("Forbidden", "exceeded quota")
    world.settle().change(suspend=True).settle()
    world.refuse.clear()
    assert world.wait(600).settle().creations == []
    assert world.change(suspend=False).settle().creations == ["iris-1"]


# --- what the cluster may hold -------------------------------------------------------------------------------------


def job(name: str, owner: str = "iris", labels: dict[str, str] | None = None) -> Job:
    references = (OwnerReference(api_version="v", kind="TrainingJob", name=owner, uid=UID, controller=True),)
    return Job(metadata=ObjectMeta(name=name, labels=labels or {}, owner_references=references))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("iris-1", 1),
        ("iris-42", 42),
        ("iris-0", 0),
        ("iris-01", 0),
        ("iris-", 0),
        ("iris", 0),
        ("iris-x", 0),
        ("iris--1", 0),
        ("iris-²", 0),
        ("iris-٣", 0),
        ("iris-1-2", 0),
        ("other-1", 0),
        ("iris-99999999999999999999", 0),
    ],
)
def test_a_job_is_of_a_run_by_its_name(name: str, number: int) -> None:
    assert number_of(job(name)) == number


@pytest.mark.parametrize("label", ["", "7", "x", "-1", "²"])
def test_labels_that_somebody_changed_mean_nothing(label: str) -> None:
    assert number_of(job("iris-1", labels={"tandem.dev/run": label})) == 1
    world = World().settle()
    world.job["metadata"]["labels"]["tandem.dev/run"] = label
    world.runs_step("train").settle().completes().settle()
    assert (world.status["phase"], world.creations) == ("Complete", ["iris-1"])


@pytest.mark.parametrize("name", ["iris", "iris-x", "iris-01", "iris-0", "other-9", "iris-99999999999999999999"])
def test_a_job_of_another_name_is_left_alone(name: str) -> None:
    world = World()
    reference = {"apiVersion": "v", "kind": "TrainingJob", "name": "iris", "uid": UID, "controller": True}
    meta = {"name": name, "namespace": "ml", "uid": "forged", "ownerReferences": [reference]}
    world.foreign_jobs.append({"metadata": meta, "status": {}})
    world.settle().completes().change(ttlSecondsAfterFinished=0).settle()
    assert world.status["run"]["number"] == 1
    assert not any(isinstance(a, Delete) and a.uid == "forged" for a in world.done)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"type":"Nonsense"}', "null"])
def test_a_trigger_that_cannot_be_read_does_no_harm(text: str) -> None:
    world = World().settle()
    world.job["metadata"]["annotations"]["tandem.dev/trigger"] = text
    world.last_run.tags["tandem.dev/trigger"] = text
    world.lose_status().restart().settle().completes().settle()
    assert (world.status["phase"], world.creations) == ("Complete", ["iris-1"])


def test_an_mlflow_run_that_was_deleted_before_its_job_was_made_ends_the_run() -> None:
    world = World()
    world.refuse[type(World().settle().done[0])] = ("RunDeleted", "MLflow run x was deleted")
    world.settle()
    assert world.told("Failed") == ("True", "RunDeleted")
    world.refuse.clear()
    assert world.ask("again").settle().creations == ["iris-2"], "the annotation that the message names helps"
