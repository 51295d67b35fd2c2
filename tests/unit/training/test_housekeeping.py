"""A Job goes when its time is over; the record of its run stays."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tandem.api.plan import Delete
from tests.unit.training.mlflow import UID
from tests.unit.training.world import World, complete, trained


def three_runs(**spec: object) -> World:
    world = complete(**spec)
    for token in "ab":
        world.ask(token).settle().completes().settle()
    return world


def test_a_job_is_deleted_when_its_time_is_over_and_the_run_stays_finished() -> None:
    world = complete(ttlSecondsAfterFinished=600)
    before = world.status
    assert world.plan().requeue_after is not None
    assert world.plan().requeue_after <= timedelta(seconds=600)  # type: ignore[operator]
    assert list(world.jobs) == ["iris-1"]
    world.wait(600).settle()
    assert world.jobs == {}
    assert world.status == before
    assert world.restart().wait(86_400).settle().creations == ["iris-1"]


@pytest.mark.parametrize("metrics", [{"accuracy": 0.95}, {"accuracy": 0.5}])
def test_a_job_is_never_deleted_before_its_run_is_written_down(metrics: dict[str, float]) -> None:
    # given no time to live at all
    world = World().change(ttlSecondsAfterFinished=0).settle().completes(metrics)
    for _ in range(20):
        planned = any(isinstance(action, Delete) for action in world.plan().actions)
        assert not planned or "completionTime" in world.status["run"]
        world.reconcile()
    assert world.jobs == {}
    assert world.status["history"][0]["number"] == 1


def test_a_job_is_kept_while_mlflow_is_away_and_the_run_is_open() -> None:
    world = trained(ttlSecondsAfterFinished=0).mlflow_down().wait(3600).settle()
    assert list(world.jobs) == ["iris-1"]
    world.mlflow_up().wait(600).settle()
    assert (world.jobs, world.status["phase"]) == ({}, "Complete")


def test_without_a_time_to_live_the_job_stays() -> None:
    assert list(complete().wait(10**8).settle().jobs) == ["iris-1"]


@pytest.mark.parametrize(("limit", "jobs"), [(0, 1), (1, 2), (2, 3), (10, 3)])
def test_the_history_limit_holds_for_jobs_too(limit: int, jobs: int) -> None:
    world = three_runs(historyLimit=limit)
    assert len(world.jobs) == jobs
    assert list(world.jobs)[-1] == "iris-3"


@pytest.mark.parametrize(("limit", "kept"), [(0, [3]), (1, [3]), (2, [3, 2]), (10, [3, 2, 1])])
def test_the_history_is_newest_first_and_no_longer_than_asked(limit: int, kept: list[int]) -> None:
    world = three_runs(historyLimit=limit)
    assert [entry["number"] for entry in world.status["history"]] == kept


def test_a_shorter_limit_trims_at_once() -> None:
    world = three_runs().change(historyLimit=1).settle()
    assert [entry["number"] for entry in world.status["history"]] == [3]


def test_the_status_of_a_run_is_written_once_at_its_end_even_with_the_shortest_history() -> None:
    world = trained(historyLimit=0)
    before = len(world.statuses)
    world.settle()
    assert len(world.statuses) == before + 1


def test_a_refused_delete_does_not_touch_the_status() -> None:
    world = complete(ttlSecondsAfterFinished=0)
    world = trained(ttlSecondsAfterFinished=0)
    world.refuse[Delete] = ("Forbidden", "no")
    world.settle()
    assert world.told("Ready") == ("True", "Succeeded")
    world.refuse.clear()
    assert world.wait(600).settle().jobs == {}


def test_a_short_history_does_not_reach_for_jobs_that_are_not_a_runs() -> None:
    world = complete(historyLimit=0)
    reference = {"apiVersion": "v", "kind": "TrainingJob", "name": "iris", "uid": UID, "controller": True}
    meta = {"name": "iris-mine", "namespace": "ml", "uid": "foreign", "ownerReferences": [reference]}
    world.foreign_jobs.append({"metadata": meta, "status": {}})
    world.ask("a").settle().completes().settle()
    assert [a.name for a in world.done if isinstance(a, Delete)] == ["iris-1"]
