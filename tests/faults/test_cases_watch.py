"""Cases 14–24 of the list: what becomes of watches. Whatever was missed is found again by the next comparison."""

from __future__ import annotations

import pytest

from tandem.engine.handlers import WatchLost
from tests.faults import endstate
from tests.faults.apiserver.faults import hang_up, refuse
from tests.faults.apiserver.kinds import JOBS, TRAINING_JOBS, Json
from tests.faults.apiserver.watching import Meddle, Sent, Watch
from tests.faults.scenarios import (
    FIRST_RUN,
    TRAINING,
    change_training,
    deploy,
    ends,
    runs,
    serves,
    train,
    training_is,
)
from tests.faults.world import OFTEN, World

_EXPIRED: Json = {
    "type": "ERROR",
    "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"},
}


def once(kind: str, sent: Sent | None) -> Meddle:
    """For the first event of this kind of object, this is sent instead; None: the event, twice."""
    left = 1

    def meddle(watch: Watch, event: Json) -> Sent:
        nonlocal left
        if watch.kind.kind != kind or not left:
            return [event]
        left -= 1
        return [event, event] if sent is None else sent

    return meddle


MEDDLING: dict[str, Sent | None] = {
    "case 14: 410 in mid-stream": [_EXPIRED],
    "case 18: a truncated line": ['{"type": "MODIFIED", "object": {"kind"', None],
    "case 19: an event that never comes": [],
    "case 20: an event that comes twice": None,
    "the connection breaks": [None],
}


@pytest.mark.parametrize("kind", ["TrainingJob", "Job", "Pod"])
@pytest.mark.parametrize("sent", MEDDLING.values(), ids=MEDDLING)
async def test_cases_14_18_19_20_a_stream_that_is_disturbed_changes_nothing_in_the_end(
    kind: str, sent: Sent | None
) -> None:
    async with World(resync=OFTEN) as world:
        world.server.watches.meddle = once(kind, sent)
        await FIRST_RUN.play(world)
        assert endstate.violations(world) == []


async def test_case_15_410_at_the_beginning_of_a_watch_ends_the_process_and_the_next_one_goes_on() -> None:
    """kopf gives a watch up that is refused. Better to end than to be deaf behind a green probe."""
    async with World(empty=True) as world:
        world.server.faults.on("watch", "pods", fault=refuse(410, "Expired"))
        first = world.start()
        world.processes.clear()
        await world.until(lambda _: first.ended, "it ends")
        assert isinstance(first.ended, WatchLost)
        await first.kill()
        world.start()
        await FIRST_RUN.play(world)


async def test_case_16_a_list_that_is_told_to_be_too_old_is_begun_anew() -> None:
    async with World() as world:
        await world.until(lambda w: w.operator.ready)
        gone = refuse(410, "Expired", "The provided continue parameter is too old")
        world.server.faults.on("list", "trainingjobs", fault=gone, agent="tandem-operator")
        train()(world)
        await world.restart()
        await world.until(runs("iris-1"))


async def test_case_17_a_connection_that_is_dead_and_does_not_tell_is_made_up_for_by_comparing() -> None:
    async with World(resync=OFTEN) as world:
        train()(world)
        await world.until(runs("iris-1"))
        await world.settled()
        for watch in world.server.watches.open:
            watch.silent = True
        ends("iris-1")(world)
        await world.until(training_is("Complete"), "it is seen nevertheless")


async def test_case_19_a_deletion_that_was_missed_is_found() -> None:
    async with World(resync=OFTEN) as world:
        deploy(image="shop:1")(world)
        await world.until(serves(1))
        await world.settled()
        world.server.watches.meddle = lambda _, event: [] if event["type"] == "DELETED" else [event]
        deployment = next(p for p in world.server.database.all() if p[0].kind == "Deployment")
        world.delete(*deployment[::2])
        await world.until(lambda w: w.read(*deployment[::2]), "it is made again")
        await world.until(serves(1))


async def test_case_21_events_out_of_order_are_put_in_order_by_their_versions() -> None:
    kept: list[Json] = []

    def swap(watch: Watch, event: Json) -> Sent:
        """Events of TrainingJobs in pairs, the later one first."""
        if watch.kind is not TRAINING_JOBS:
            return [event]
        kept.append(event)
        if len(kept) % 2:
            return []
        return [event, kept[-2]]

    async with World(resync=OFTEN) as world:
        world.server.watches.meddle = swap
        await FIRST_RUN.play(world)
        assert endstate.violations(world) == []


async def job_is_seen_late(world: World) -> None:
    """It trains, its status says so, and an operator that has just started sees all that but the Job."""
    before = world.server.database.revision
    train()(world)
    await world.until(runs("iris-1"))
    await world.settled()
    world.server.look_back(before, JOBS)
    await world.restart()
    await world.settled(in_the_past=True)


async def test_case_21_a_job_that_is_seen_later_than_the_status_that_names_it_is_not_told_to_be_gone() -> None:
    """Watches keep no order. Found by random sequences: the run had failed (JobDeleted), and its Job trained on."""
    async with World() as world:
        await job_is_seen_late(world)
        world.server.look_back(None)
        await world.settled()
        ends("iris-1")(world)
        await world.until(training_is("Complete"))
        told = [change.object.get("status", {}) for change in world.server.database.changes]
        assert not any(status.get("failure") for status in told), "nor was it told in passing"


async def test_case_21_a_run_is_not_stopped_while_its_job_is_only_not_seen() -> None:
    async with World() as world:
        await job_is_seen_late(world)
        change_training({"parameters": {"depth": "3"}})(world)
        await world.until(lambda w: not w.read(JOBS, "iris-1"), "it is found and deleted")
        assert not world.read(JOBS, "iris-2")
        world.server.look_back(None)
        await world.until(runs("iris-2"))
        assert endstate.violations(world) == []


async def test_case_21_a_job_that_a_person_has_deleted_is_not_made_again_for_an_older_view() -> None:
    """Of the resource, before its status told of the Job. Found by random sequences: it trained a second time."""
    async with World() as world:
        train()(world)
        before = world.server.database.revision
        await world.until(runs("iris-1"))
        await world.settled()
        world.server.look_back(before)
        world.delete(JOBS, "iris-1")
        await world.restart()
        await world.settled(in_the_past=True)
        world.server.look_back(None)
        await world.until(training_is("Failed"))
        assert world.training()["failure"]["reason"] == "JobDeleted"
        assert endstate.violations(world) == []


async def test_case_22_a_resource_that_is_deleted_and_made_again_is_another_one() -> None:
    async with World() as world:
        train()(world)
        await world.until(runs("iris-1"))
        former = world.read(JOBS, "iris-1")["metadata"]["uid"]
        world.delete(TRAINING_JOBS, "iris")
        train()(world)
        await world.until(lambda w: runs("iris-1")(w) and w.read(JOBS, "iris-1")["metadata"]["uid"] != former)
        ends("iris-1")(world)
        await world.until(training_is("Complete"))
        assert len(world.mlflow.runs) == 2, "one of each of the two"


async def test_case_23_an_object_of_nobody_is_left_alone() -> None:
    async with World() as world:
        labels = {"app.kubernetes.io/managed-by": "tandem", "tandem.dev/training-job": "iris"}
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "iris", "uid": "uid-of-nobody"}
        train()(world)
        pod: Json = {"containers": [{"name": "c", "image": "x"}], "restartPolicy": "Never"}
        world.server.garbage.pause()
        world.create(JOBS, "iris-7", {"template": {"spec": pod}}, labels=labels, ownerReferences=[owner])
        await world.until(runs("iris-1"), "the first run, not the eighth")
        await world.settled()
        assert not [write for write in world.written if "iris-7" in write.what]


async def test_case_24_hours_of_nothing_but_bookmarks_are_no_reason_to_do_anything() -> None:
    async with World() as world:
        train()(world)
        await world.until(runs("iris-1"))
        await world.settled()
        before = len(world.server.requests)
        for _ in range(20):
            world.server.watches.bookmark()
        change_training({"suspend": False, "historyLimit": 3})(world)
        await world.settled()
        made = [str(request) for request in world.server.requests[before:] if request.verb != "watch"]
        assert [request for request in made if "get " in request or "list " in request] == []


async def test_case_13_a_request_that_hangs_up_while_listing_is_made_again() -> None:
    async with World() as world:
        world.create(TRAINING_JOBS, "iris", TRAINING)
        world.server.faults.on("list", "jobs", fault=hang_up, agent="tandem-operator", times=2)
        await world.restart()
        await world.until(runs("iris-1"))
