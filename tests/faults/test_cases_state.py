"""Cases 38–45 of the list: what users, other controllers and old objects do to the state."""

from __future__ import annotations

from collections import Counter

from aiohttp import web

from tests.crds import schema
from tests.faults import endstate
from tests.faults.apiserver.database import Change
from tests.faults.apiserver.faults import Serve
from tests.faults.apiserver.kinds import APP_DEPLOYMENTS, DEPLOYMENTS, JOBS, TRAINING_JOBS, Json
from tests.faults.scenarios import (
    FIRST_RUN,
    TRAINING,
    change_training,
    deploy,
    ends,
    ready_is,
    runs,
    serves,
    train,
    training_is,
)
from tests.faults.world import OFTEN, World


async def test_case_38_a_job_that_a_user_deletes_is_told_and_not_made_again() -> None:
    async with World() as world:
        train()(world)
        await world.until(runs("iris-1"))
        await world.settled()
        world.delete(JOBS, "iris-1")
        await world.until(lambda w: ready_is(w, "JobDeleted"), "the condition")
        await world.settled()
        assert endstate.violations(world) == []
        assert not list(world.server.database.of(JOBS))


async def test_case_38_a_deployment_that_a_user_deletes_is_made_again_and_one_that_is_scaled_is_scaled_back() -> None:
    async with World(resync=OFTEN) as world:
        deploy(image="shop:1", replicas=2)(world)
        await world.until(serves(1))
        await world.settled()
        world.change(DEPLOYMENTS, "shop-1", {"spec": {"replicas": 0}})
        await world.until(lambda w: w.read(DEPLOYMENTS, "shop-1")["spec"]["replicas"] == 2, "as the spec asks for")
        await world.until(serves(1))
        world.delete(DEPLOYMENTS, "shop-1")
        await world.until(lambda w: w.read(DEPLOYMENTS, "shop-1"), "it is made again")
        await world.until(serves(1))


async def test_case_39_a_job_that_loses_its_owner_trains_nothing_twice() -> None:
    async with World(resync=OFTEN) as world:
        train()(world)
        await world.until(runs("iris-1"))
        await world.settled()
        world.change(JOBS, "iris-1", {"metadata": {"ownerReferences": None}})
        await world.until(lambda w: ready_is(w, "JobDeleted"), "the condition")
        await world.settled()
        jobs = [body["metadata"]["name"] for body in world.server.database.of(JOBS)]
        assert jobs == ["iris-1"], "nothing is made in its place, and it is not touched"


async def test_case_39_a_job_that_loses_its_label_is_asked_for_and_followed_to_its_end() -> None:
    """No watch tells of it any more, and it is not gone."""
    async with World(resync=OFTEN) as world:
        train()(world)
        await world.until(runs("iris-1"))
        world.change(JOBS, "iris-1", {"metadata": {"labels": None}})
        seen = world.lists()
        await world.until(lambda w: w.lists() > seen + 1, "a comparison that does not find it")
        assert not ready_is(world, "JobDeleted")
        asked = [r for r in world.server.requests if (r.verb, r.resource) == ("get", "jobs")]
        assert len(asked) <= 2 * world.lists(), "once for each comparison, and not again and again"
        ends("iris-1")(world)
        await world.until(training_is("Complete"))
        assert endstate.violations(world) == []


async def test_case_40_a_spec_that_changes_while_the_status_is_written_is_seen_at_once() -> None:
    """The answer to our own write shows somebody else's change, too: the event that tells it is no news any more."""
    async with World() as world:

        async def meanwhile(serve: Serve) -> web.StreamResponse:
            change_training({"parameters": {"depth": "3"}})(world)
            return await serve()

        world.server.faults.on("patch", "trainingjobs/status", fault=meanwhile)
        train()(world)
        await world.until(runs("iris-2"), "a run of the changed spec")
        assert world.read(TRAINING_JOBS, "iris")["metadata"]["generation"] == 2


async def test_case_40_a_spec_that_changes_when_the_run_has_ended_starts_another() -> None:
    async with World() as world:
        await FIRST_RUN.play(world)
        change_training({"parameters": {"depth": "3"}})(world)
        await world.until(runs("iris-2"))
        assert endstate.violations(world) == []


async def test_case_41_a_job_that_is_removed_after_it_succeeded_does_not_run_again() -> None:
    async with World(resync=OFTEN) as world:
        await FIRST_RUN.play(world)
        before = endstate.picture(world)
        writes = len(world.written)
        world.delete(JOBS, "iris-1")
        await world.settled()
        await world.restart()
        await world.settled()
        after = endstate.picture(world)
        assert after["TrainingJob/iris"] == before["TrainingJob/iris"]
        assert world.written[writes:] == []


async def test_case_42_a_status_that_a_user_wipes_comes_back_and_nothing_runs_again() -> None:
    async with World(resync=OFTEN) as world:
        await FIRST_RUN.play(world)
        before = endstate.picture(world)
        world.change(TRAINING_JOBS, "iris", {"status": None}, status=True)
        await world.until(training_is("Complete"), "it comes back")
        await world.settled()
        assert endstate.violations(world) == []
        after = endstate.picture(world)
        assert after["MLflow runs"].keys() == before["MLflow runs"].keys()
        assert after["MLflow versions"] == before["MLflow versions"]


GOOD = 999
DEFAULTS = {
    name: field["default"]
    for name, field in schema("TrainingJob")["properties"]["spec"]["properties"].items()
    if "default" in field
}
POISON: Json = {
    "apiVersion": "tandem.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {
        "name": "poison",
        "namespace": "default",
        "uid": "uid-poison",
        "generation": 1,
        "annotations": {"large": "ü\u0000\U0001f4a3" * 50_000},
    },
    # The defaults are there already: the API server fills them in as it reads, which changes no generation.
    "spec": {"steps": "as an older CRD had it", **DEFAULTS},
}


async def test_case_44_a_resource_that_nobody_can_read_shows_its_own_error_and_stops_none_of_999_others() -> None:
    async with World(empty=True) as world:
        for number in range(GOOD):
            world.create(TRAINING_JOBS, f"good-{number}", {**TRAINING, "suspend": True})
        world.server.database.put((TRAINING_JOBS, "default", "poison"), POISON)
        world.start(requests_per_second=100_000)

        await world.until(lambda w: w.read(TRAINING_JOBS, "poison").get("status"), "its own error")
        await world.until(lambda w: len(_told(w)) == GOOD, "a status of every other one")
        await world.settled()

        (ready,) = (c for c in world.read(TRAINING_JOBS, "poison")["status"]["conditions"] if c["type"] == "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
        assert "$.spec.steps" in ready["message"]
        statuses = Counter(write.what for write in world.written if "/status" in write.what)
        assert not {what: times for what, times in statuses.items() if times > 1}, "one status each"
        assert len(statuses) == GOOD + 1


def _told(world: World) -> list[str]:
    trainings = world.server.database.of(TRAINING_JOBS)
    return [t["metadata"]["name"] for t in trainings if t.get("status", {}).get("phase") == "Suspended"]


async def test_case_45_a_webhook_that_changes_our_children_starts_no_quarrel() -> None:
    async with World(resync=OFTEN) as world:

        def injects(change: Change) -> None:
            if change.place[0] is DEPLOYMENTS and change.type == "ADDED":
                patch = {"metadata": {"labels": {"mesh": "on"}}, "spec": {"revisionHistoryLimit": 10}}
                world.change(DEPLOYMENTS, change.place[2], patch)

        world.server.database.listeners.append(injects)
        deploy(image="shop:1")(world)
        await world.until(serves(1))
        await world.settled()
        before = len(world.written)
        seen = world.lists()
        await world.until(lambda w: w.lists() >= seen + 3, "three comparisons")
        await world.settled()
        assert world.written[before:] == []
        assert world.read(DEPLOYMENTS, "shop-1")["metadata"]["labels"]["mesh"] == "on"


async def test_case_46_an_autoscaler_scales_through_the_resource_and_is_not_opposed() -> None:
    """What a HorizontalPodAutoscaler writes through /scale is spec.replicas: no new revision, and never taken back."""
    async with World(resync=OFTEN) as world:
        deploy(image="shop:1", replicas=1)(world)
        await world.until(serves(1))
        await world.settled()
        for replicas in (4, 2, 3):
            world.change(APP_DEPLOYMENTS, "shop", {"spec": {"replicas": replicas}})
            await world.settled()
            assert world.app()["replicas"] == replicas, "as the autoscaler asks for"
        assert world.read(APP_DEPLOYMENTS, "shop")["spec"]["replicas"] == 3
        assert [d["metadata"]["name"] for d in world.server.database.of(DEPLOYMENTS)] == ["shop-1"]
        assert not [write for write in world.written if write.what == "patch appdeployments shop"]


async def test_case_40_a_job_that_ends_in_the_moment_of_a_change_is_not_run_twice() -> None:
    async with World() as world:
        train()(world)
        await world.until(runs("iris-1"))
        await world.settled()
        ends("iris-1")(world)
        change_training({"parameters": {"depth": "3"}})(world)
        await world.until(runs("iris-2"), "the changed spec runs")
        assert endstate.violations(world) == []
