"""Data that change start a run: one for each state that no run has fetched, asked for by a pod, between runs only."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tandem.api.children import Job
from tandem.api.meta import Json
from tandem.api.plan import Create
from tandem.training.run import number_of
from tests.unit.training.cluster import POLL_JOB
from tests.unit.training.test_triggers import finished
from tests.unit.training.world import DRIFT_POLICY, World, complete

HOURLY: Json = {"onDataChange": {"interval": "1h"}}
HOUR = 3600
PINNED = "sha256:" + "ef" * 32
TWO: list[Json] = [
    {"name": "iris", "storageUri": "s3://acme/iris.csv", "secretRef": {"name": "acme"}},
    {"name": "labels", "storageUri": "pvc://labels/x.csv"},
]


def watched(version: str = "etag:1", **spec: Any) -> World:
    """Run 1 is complete, of data in this version."""
    world = World(store={"iris": version}).change(**{"retrain": HOURLY, **spec}).settle()
    return world.completes().settle()


def poll(world: World, **told: Json) -> World:
    """An interval later the stores have been asked, and the operator has read the answer."""
    world.wait(HOUR).settle()
    assert POLL_JOB in world.jobs, "nobody asks"
    return world.poll_ends(told=told).settle()


def triggers(world: World) -> list[str]:
    return [entry["trigger"]["type"] for entry in world.status["history"]]


def test_nobody_asks_where_it_was_not_asked_for() -> None:
    world = complete().wait(10 * HOUR).settle()
    assert (world.polls, "dataPoll" in world.status, world.told("DataPolled")) == (0, False, None)


# --- asking ----------------------------------------------------------------------------------------------------------


def test_the_stores_are_asked_an_interval_after_the_run() -> None:
    world = watched()
    assert world.told("DataPolled") == ("Unknown", "PollPending")
    due = world.resource.status.data_poll.next_poll_time  # type: ignore[union-attr]
    assert due is not None
    assert due - world.resource.status.run.completion_time == timedelta(hours=1)  # type: ignore[union-attr, operator]
    assert world.plan().requeue_after == due - world.now
    assert world.wait(HOUR - 60).settle().polls == 0
    assert world.wait(60).settle().polls == 1


def test_the_pod_that_asks_has_the_credentials_of_what_can_change_and_nothing_else() -> None:
    sets = [
        *TWO,
        {"name": "pinned", "storageUri": "s3://acme/p.csv", "digest": PINNED, "secretRef": {"name": "other"}},
    ]
    world = watched(data=sets, nodeSelector={"gpu": "a100"}, tolerations=[{"key": "gpu", "operator": "Exists"}])
    world.wait(HOUR).settle()
    pod = world.jobs[POLL_JOB]["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert [m["mountPath"] for m in container["volumeMounts"]] == [
        "/tmp",
        "/tandem/secrets/iris",
        "/tandem/claims/labels",
    ]
    assert "acme" in json.dumps(pod["volumes"])
    assert "other" not in json.dumps(pod["volumes"])
    told = json.loads({e["name"]: e["value"] for e in container["env"]}["TANDEM_POLL"])
    assert [data["name"] for data in told["data"]] == ["iris", "labels"]
    assert pod["tolerations"] == [{"key": "gpu", "operator": "Exists"}]
    assert "nodeSelector" not in pod, "no node with a GPU wakes for a question"


def test_a_polling_job_is_taken_for_no_runs_also_not_of_a_resource_with_a_similar_name() -> None:
    world = watched().wait(HOUR).settle()
    job = world.jobs[POLL_JOB]
    assert number_of(next(j for j in world.children.jobs if j.metadata.name == POLL_JOB)) == 0
    assert not job["metadata"]["name"].rpartition("-")[2].isdigit(), "NAME-7 is the name of a run's Job"
    assert "tandem.dev/run" not in job["metadata"]["labels"]
    assert isinstance(world.children.jobs[0], Job)


def test_data_that_are_as_they_were_start_nothing_and_the_job_goes() -> None:
    world = poll(watched())
    assert world.creations == ["iris-1"]
    assert POLL_JOB not in world.jobs
    assert world.told("DataPolled") == ("True", "Polled")
    assert world.status["dataPoll"]["data"] == [{"name": "iris", "version": "etag:1", "trainedVersion": "etag:1"}]
    assert world.told("Ready") == ("True", "Succeeded")


def test_a_poll_costs_three_writes() -> None:
    world = poll(watched())
    done, written = len(world.done), len(world.statuses)
    poll(world)
    assert (len(world.done) - done, len(world.statuses) - written) == (2, 1)


def test_they_are_asked_again_and_again() -> None:
    world = watched()
    for _ in range(4):
        poll(world)
    assert (world.polls, world.creations) == (4, ["iris-1"])


def test_an_interval_that_is_changed_counts_at_once() -> None:
    world = watched().wait(600).settle()
    assert world.polls == 0
    assert world.change(retrain={"onDataChange": {"interval": "5m"}}).settle().polls == 1


# --- changes ---------------------------------------------------------------------------------------------------------


def test_a_change_is_one_run_that_tells_what_changed() -> None:
    world = watched()
    world.store["iris"] = "etag:2"
    finished(poll(world))
    assert world.creations == ["iris-1", "iris-2"]
    trigger = world.status["run"]["trigger"]
    assert trigger["type"] == "DataChange"
    assert "iris was etag:1, is etag:2" in trigger["message"]
    assert world.told("DataPolled") == ("True", "Polled"), "the run has fetched what the store tells versions of"
    assert poll(world).creations == ["iris-1", "iris-2"]
    assert world.status["dataPoll"]["data"][0]["trainedVersion"] == "etag:2"


def test_data_that_change_back_and_forth_are_a_run_each_time() -> None:
    world = watched()
    for number, version in enumerate(("etag:2", "etag:1", "etag:2", "etag:1"), start=2):
        world.store["iris"] = version
        assert len(finished(poll(world)).creations) == number
    assert triggers(world) == ["DataChange"] * 4 + ["Created"]


def test_a_change_in_the_middle_of_a_fetch_is_a_change() -> None:
    """The container that fetches tells the version of before the first byte."""
    world = World(store={"iris": "etag:1"}).change(retrain=HOURLY).settle()
    world.completes()
    world.store["iris"] = "etag:2"
    assert poll(world.settle()).creations == ["iris-1", "iris-2"]


def test_several_sets_that_change_together_are_one_run() -> None:
    world = World(store={"iris": "a", "labels": "b"}).change(retrain=HOURLY, data=TWO).settle().completes().settle()
    world.store.update(iris="c", labels="d")
    finished(poll(world))
    assert world.creations == ["iris-1", "iris-2"]
    assert poll(world).creations == ["iris-1", "iris-2"]


def test_a_change_that_another_trigger_has_fetched_already_is_none() -> None:
    world = watched(retrain={**HOURLY, **DRIFT_POLICY})
    world.store["iris"] = "etag:2"
    finished(world.alarm("r1"))
    assert triggers(world) == ["Drift", "Created"]
    assert poll(world).creations == ["iris-1", "iris-2"]


def test_what_a_poll_found_before_a_run_says_nothing_after_it() -> None:
    # given a poll found version 2, and the run that answers fetched version 3 already
    world = watched()
    world.store["iris"] = "etag:2"
    poll(world)
    world.store["iris"] = "etag:3"
    finished(world)
    # then that is no change
    assert world.wait(60).settle().creations == ["iris-1", "iris-2"]
    assert poll(world).creations == ["iris-1", "iris-2"]


def test_a_run_that_failed_is_not_repeated_for_the_same_change() -> None:
    world = watched()
    world.store["iris"] = "etag:2"
    poll(world).fails("fetch", 6).settle()
    assert world.creations == ["iris-1", "iris-2"]
    assert poll(world).creations == ["iris-1", "iris-2"]
    world.store["iris"] = "etag:3"
    assert poll(world).creations == ["iris-1", "iris-2", "iris-3"]


def test_data_that_come_after_a_run_had_looked_for_them_start_one() -> None:
    world = World().change(retrain=HOURLY).settle().fails("fetch", 5).settle()
    assert poll(world, iris={"code": 5, "message": "there is nothing"}).creations == ["iris-1"]
    world.store["iris"] = "etag:1"
    assert finished(poll(world)).creations == ["iris-1", "iris-2"]
    assert "iris was not fetched, is etag:1" in world.status["run"]["trigger"]["message"]


def test_the_first_look_after_a_run_that_recorded_no_version_starts_nothing() -> None:
    """A run of an operator before this one, or a store that has begun to tell."""
    world = World().change(retrain=HOURLY).settle().completes().settle()
    world.store["iris"] = "etag:1"
    assert poll(world).creations == ["iris-1"]
    world.store["iris"] = "etag:2"
    assert poll(world).creations == ["iris-1", "iris-2"]


# --- what cannot be known --------------------------------------------------------------------------------------------


def test_a_store_that_tells_nothing_starts_nothing_and_that_is_told() -> None:
    world = watched()
    del world.store["iris"]
    assert poll(world).creations == ["iris-1"]
    assert world.told("DataPolled") == ("Unknown", "VersionUnknown")


@pytest.mark.parametrize(
    ("code", "reason"), [(5, "DataNotFound"), (6, "AccessDenied"), (7, "StoreUnreachable"), (99, "PollFailed")]
)
def test_a_store_that_cannot_be_asked_is_told_and_stops_nothing(code: int, reason: str) -> None:
    world = poll(watched(), iris={"code": code, "message": "data set iris: no"})
    assert world.told("DataPolled") == ("False", reason)
    assert world.condition("DataPolled").message == "data set iris: no"  # type: ignore[union-attr]
    assert (world.creations, world.told("Ready")) == (["iris-1"], ("True", "Succeeded"))
    assert poll(world).told("DataPolled") == ("True", "Polled")


def test_one_store_that_cannot_be_asked_keeps_no_other_change_from_being_seen() -> None:
    world = World(store={"iris": "a", "labels": "b"}).change(retrain=HOURLY, data=TWO).settle().completes().settle()
    world.store["labels"] = "c"
    assert poll(world, iris={"code": 7, "message": "silence"}).creations == ["iris-1", "iris-2"]


@pytest.mark.parametrize(
    ("code", "said", "message"),
    [
        (2, "TANDEM_POLL is not valid", "TANDEM_POLL is not valid"),
        (137, "", "BackoffLimitExceeded"),
        (1, "Traceback\nKeyError: 1", "KeyError: 1"),
    ],
)
def test_a_poll_that_breaks_is_told_and_asked_again(code: int, said: str, message: str) -> None:
    world = watched().wait(HOUR).settle().poll_ends(code, said).settle()
    assert world.told("DataPolled") == ("False", "PollFailed")
    assert world.condition("DataPolled").message == message  # type: ignore[union-attr]
    assert poll(world).told("DataPolled") == ("True", "Polled")


@pytest.mark.parametrize("said", ["", "{}", '{"data": [{"name": 1}]}', '{"data": []}', "x" * 5000])
def test_a_report_of_another_shape_is_none(said: str) -> None:
    world = watched().wait(HOUR).settle().poll_ends(message=said).settle().wait(61).settle()
    assert world.told("DataPolled") == ("False", "PollFailed")
    assert world.creations == ["iris-1"]


def test_a_pod_whose_last_word_comes_after_its_jobs_is_waited_for() -> None:
    world = watched().wait(HOUR).settle()
    world.store["iris"] = "etag:2"
    world.poll_ends()
    pods, world.pods = world.pods, {}
    assert world.settle().creations == ["iris-1"]
    world.pods = pods
    assert world.settle().creations == ["iris-1", "iris-2"]


def test_a_pod_that_cannot_start_is_told_with_what_it_waits_for() -> None:
    world = watched(data=TWO[:1]).wait(HOUR).settle()
    meta = {"name": "p", "uid": "p", "creationTimestamp": world.now.isoformat()}
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": POLL_JOB, "uid": world.jobs[POLL_JOB]["metadata"]["uid"]}
    sandbox = {"type": "PodReadyToStartContainers", "status": "False"}
    world.jobs[POLL_JOB]["status"] = {"active": 1}
    world.pods["p"] = {
        "metadata": {**meta, "ownerReferences": [{**owner, "controller": True}]},
        "status": {"phase": "Pending", "conditions": [sandbox]},
    }
    assert world.settle().told("DataPolled") == ("Unknown", "PollPending")
    assert world.wait(61).settle().told("DataPolled") == ("False", "PodNotStarted")
    assert "Secret acme" in world.condition("DataPolled").message  # type: ignore[union-attr]


def test_a_polling_job_that_the_namespace_refuses_is_told() -> None:
    world = watched()
    world.refuse[Create] = ("Forbidden", "exceeded quota")
    world.wait(HOUR).settle()
    assert world.told("DataPolled") == ("False", "Forbidden")
    assert world.told("Ready") == ("True", "Succeeded")
    world.refuse.clear()
    world.wait(600).settle().poll_ends().settle()
    assert world.told("DataPolled") == ("True", "Polled")


# --- not beside a run, not while suspended ----------------------------------------------------------------------------


def test_nobody_asks_while_a_run_goes_on() -> None:
    world = World(store={"iris": "etag:1"}).change(retrain=HOURLY).settle().runs_step("train").settle()
    assert world.wait(10 * HOUR).settle().polls == 0
    assert "nextPollTime" not in world.status["dataPoll"]


def test_a_question_that_is_open_when_a_run_starts_is_dropped() -> None:
    world = watched().wait(HOUR).settle()
    assert POLL_JOB in world.jobs
    world.ask("a").settle()
    assert (world.creations, POLL_JOB in world.jobs) == (["iris-1", "iris-2"], False)


@pytest.mark.parametrize("open_question", [False, True])
def test_nobody_asks_while_suspended(open_question: bool) -> None:
    world = watched()
    if open_question:
        world.wait(HOUR).settle()
    before = world.polls
    world.change(suspend=True).settle().wait(10 * HOUR).settle()
    assert (world.polls, POLL_JOB in world.jobs) == (before, False)
    world.store["iris"] = "etag:2"
    world.change(suspend=False).settle().poll_ends().settle()
    assert world.creations == ["iris-1", "iris-2"]


def test_nothing_is_left_of_it_when_it_is_asked_for_no_more() -> None:
    world = watched().wait(HOUR).settle().change(retrain=None).settle()
    assert (POLL_JOB in world.jobs, "dataPoll" in world.status, world.told("DataPolled")) == (False, False, None)


def test_it_is_no_input_of_the_model() -> None:
    assert complete().change(retrain=HOURLY).settle().creations == ["iris-1"]


# --- crashes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("passes", range(8))
@pytest.mark.parametrize("crash_after", [0, 1, 2])
def test_a_change_is_one_run_whenever_the_operator_crashes(passes: int, crash_after: int) -> None:
    world = watched().wait(HOUR).settle()
    world.store["iris"] = "etag:2"
    world.poll_ends()
    for _ in range(passes):
        world.reconcile()
    world.reconcile(crash_after)
    assert finished(world).creations == ["iris-1", "iris-2"]
    assert POLL_JOB not in world.jobs


@pytest.mark.parametrize("lost", [World.lose_status, World.restart])
def test_a_change_is_answered_once_though_memory_is_lost(lost: Any) -> None:
    world = watched()
    world.store["iris"] = "etag:2"
    poll(world)
    lost(world)
    assert finished(world).creations == ["iris-1", "iris-2"]
    lost(world)
    assert poll(finished(world)).creations == ["iris-1", "iris-2"]


def test_a_polling_job_that_somebody_deletes_is_made_again() -> None:
    world = watched().wait(HOUR).settle().delete_job(POLL_JOB).settle()
    assert world.polls == 2
