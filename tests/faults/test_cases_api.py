"""Cases 1–13 of the list: what the API server answers, late, wrongly or never. Each one heals by itself."""

from __future__ import annotations

import pytest
from aiohttp import web

from tests.faults import endstate
from tests.faults.apiserver.faults import Fault, Serve, garble, hang_up, lose_answer, refuse
from tests.faults.apiserver.kinds import JOBS, TRAINING_JOBS, Json
from tests.faults.scenarios import FIRST_RUN, TRAINING, ends, ready_is, runs, train, training_is
from tests.faults.world import OFTEN, World

WRITES = ("create jobs", "patch trainingjobs/status", "create events")
PASSING: dict[str, tuple[Fault, ...]] = {
    "case 1: 409": (refuse(409, "Conflict"),),
    "case 5: 429 that names a time": (refuse(429, "TooManyRequests", retry_after=1),),
    "case 5: 429 that names none": (refuse(429, "TooManyRequests"),) * 3,
    "case 6: 500": (refuse(500, "InternalError"),) * 3,
    "case 6: 502": (refuse(502),),
    "case 6: 503": (refuse(503, "ServiceUnavailable"),) * 3,
    "case 6: 504": (refuse(504, "Timeout"),),
    "case 11: 401": (refuse(401, "Unauthorized"),) * 2,
    "case 12: the answer is lost": (lose_answer,),
    "case 12: the connection breaks": (hang_up,) * 2,
    "a proxy's page": (garble,),
}


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("faults", PASSING.values(), ids=PASSING)
async def test_cases_01_05_06_11_12_a_fault_of_one_write_passes_without_a_trace(
    write: str, faults: tuple[Fault, ...]
) -> None:
    verb, resource = write.split()
    async with World(resync=OFTEN) as world:
        rules = [world.server.faults.on(verb, resource, fault=fault, agent="tandem-operator") for fault in faults]
        await FIRST_RUN.play(world)
        assert rules[0].seen == 1, "the fault happened"
        assert endstate.violations(world) == []
        assert world.training()["phase"] == "Complete"


SOMEBODYS_JOB: Json = {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x"}]}}}


async def test_case_02_a_job_of_somebody_else_is_told_and_not_touched() -> None:
    async with World() as world:
        world.create(JOBS, "iris-1", SOMEBODYS_JOB)
        before = world.read(JOBS, "iris-1")["metadata"]["uid"]
        train()(world)
        await world.until(lambda w: ready_is(w, "AlreadyExists"), "the condition")
        assert world.read(JOBS, "iris-1")["metadata"]["uid"] == before
        assert [w.what for w in world.written if "jobs iris-1" in w.what] == []

        world.delete(JOBS, "iris-1")
        await world.until(runs("iris-1"), "recovery by itself")
        owner = world.read(JOBS, "iris-1")["metadata"]["ownerReferences"][0]["uid"]
        assert owner == world.read(TRAINING_JOBS, "iris")["metadata"]["uid"]


async def test_case_03_a_change_of_a_job_that_is_invalid_is_told_without_a_hot_loop() -> None:
    async with World(resync=0.1) as world:
        train()(world)
        await world.until(runs("iris-1"))
        await world.settled()
        invalid = refuse(422, "Invalid", 'Job.batch "iris-1" is invalid: spec.template: field is immutable')
        rule = world.server.faults.on("apply", "jobs", fault=invalid, times=None)
        world.change(TRAINING_JOBS, "iris", {"spec": {"suspend": True}})
        await world.until(lambda w: ready_is(w, "Invalid"), "the condition")
        seen = world.lists()
        await world.until(lambda w: w.lists() > seen + 15, "more than a second of resyncs")
        assert rule.seen <= 3, "after 1, 2, 4 … seconds, whatever wakes it"
        assert "field is immutable" in str(world.training()["conditions"])

        rule.lift()
        await world.until(training_is("Suspended"), "recovery by itself")


async def test_case_08_a_quota_is_told_without_a_hot_loop() -> None:
    async with World(resync=0.1) as world:
        forbidden = refuse(403, "Forbidden", "exceeded quota: jobs")
        rule = world.server.faults.on("create", "jobs", fault=forbidden, times=None)
        train()(world)
        await world.until(lambda w: ready_is(w, "Forbidden"), "the condition")
        await world.until(lambda w: w.lists() > 15, "more than a second of resyncs")
        assert rule.seen <= 3, "after 1, 2, 4 … seconds, whatever wakes it"
        statuses = [w.what for w in world.written if w.what.startswith("patch trainingjobs/status")]
        assert len(statuses) == 1, "and it is told once"

        rule.lift()
        await world.until(runs("iris-1"), "recovery by itself")


async def test_case_09_a_namespace_that_is_going_is_told() -> None:
    async with World() as world:
        world.create(TRAINING_JOBS, "iris", TRAINING)
        world.server.writes.namespaces["default"] = "Terminating"
        await world.until(lambda w: ready_is(w, "Forbidden"), "the condition")
        assert "being terminated" in str(world.training()["conditions"])


async def test_case_10_a_write_that_is_too_large_is_told_and_stops_nobody_else() -> None:
    async with World() as world:
        large = refuse(413, "RequestEntityTooLarge", "limit is 3145728")
        world.server.faults.when(lambda r: (r.verb, r.resource) == ("create", "jobs"), large, times=1)
        train()(world)
        await world.until(lambda w: ready_is(w, "RequestEntityTooLarge"), "the condition")
        await world.until(runs("iris-1"), "another try")


async def test_case_07_a_right_that_is_taken_and_given_back_costs_nothing() -> None:
    async with World(resync=OFTEN) as world:
        train()(world)
        await world.until(runs("iris-1"))
        await world.settled()
        rule = world.server.faults.on(
            "patch", "trainingjobs/status", fault=refuse(403, "Forbidden", "no such right"), times=None
        )
        ends("iris-1")(world)
        await world.until(lambda _: rule.seen > 2, "it is tried again")
        rule.lift()
        await world.until(training_is("Complete"), "recovery by itself")


async def test_case_43_a_resource_that_is_made_anew_before_the_status_is_written_does_not_get_the_old_ones() -> None:
    async with World() as world:

        async def anew(serve: Serve) -> web.StreamResponse:
            world.delete(TRAINING_JOBS, "iris")
            train(suspend=True)(world)
            return await serve()

        world.server.faults.on("patch", "trainingjobs/status", fault=anew)
        train()(world)
        await world.settled()
        await world.until(lambda w: w.training().get("phase"), "a status of its own")
        assert "run" not in world.training(), "the former one's run is not this one's"


async def test_case_43_a_resource_that_is_deleted_before_its_job_is_made_leaves_nothing() -> None:
    async with World() as world:

        async def gone(serve: Serve) -> web.StreamResponse:
            world.delete(TRAINING_JOBS, "iris")
            return await serve()

        world.server.faults.on("create", "jobs", fault=gone)
        train()(world)
        await world.until(lambda w: any(r.verb == "create" for r in w.server.written("tandem")), "the Job")
        await world.settled()
        assert not list(world.server.database.of(JOBS)), "garbage collection takes it"
