"""Cases 27 and 31–36 of the list: who leads, who thinks so, and that it does no harm."""

from __future__ import annotations

import pytest

from tandem.engine.lease import LeadershipLost, LeaseTimes
from tests.faults import endstate
from tests.faults.apiserver.faults import Fault, hang, hang_up
from tests.faults.apiserver.kinds import LEASES
from tests.faults.operators import OperatorProcess
from tests.faults.scenarios import DRIFT_RETRAINS, FIRST_RUN, MODEL_UPDATE, Scenario, ends, runs, train, training_is
from tests.faults.world import OPERATOR, World

TIMES = LeaseTimes(duration=4)


def replica(world: World, name: str) -> OperatorProcess:
    return world.start(OPERATOR, replica=name, lease_namespace="default", lease_times=TIMES)


def holder(world: World) -> str:
    return str(world.read(LEASES, OPERATOR).get("spec", {}).get("holderIdentity", ""))


async def test_case_27_sigterm_hands_the_lease_over_at_once() -> None:
    async with World(empty=True) as world:
        first = replica(world, "first")
        train()(world)
        await world.until(runs("iris-1"))
        del world.processes["first"]
        await first.terminate()
        assert holder(world) == ""

        replica(world, "second")
        ends("iris-1")(world)
        await world.until(training_is("Complete"))
        assert endstate.violations(world) == []


@pytest.mark.parametrize("fault", [hang, hang_up], ids=["case 32: renewals hang", "case 31: cut off"])
async def test_cases_31_32_who_cannot_renew_ends_and_another_goes_on(fault: Fault) -> None:
    async with World(empty=True) as world:
        first = replica(world, "first")
        train()(world)
        await world.until(runs("iris-1"))
        replica(world, "second")
        del world.processes["first"]
        everything = "" if fault is hang_up else "leases"
        world.server.faults.on(resource=everything, fault=fault, times=None, agent=first.agent)
        await world.until(lambda _: first.ended, "it ends")
        assert isinstance(first.ended, LeadershipLost)
        assert holder(world) == first.options.instance, "before another may take over"

        ends("iris-1")(world)
        await world.until(training_is("Complete"), "the other goes on")
        assert holder(world) == world.processes["second"].options.instance
        assert endstate.violations(world) == []
        await first.kill()


async def test_case_33_only_who_leads_may_write_outside_the_cluster() -> None:
    """MLflow's client asks in the last moment before each write (tests/unit/tracking/test_run_writes.py)."""
    async with World(empty=True) as world:
        first = replica(world, "first")
        train()(world)
        await world.until(runs("iris-1"))
        second = replica(world, "second")
        await world.until(lambda _: second.ready)
        assert (first.permission(), second.permission()) == (True, False)

        world.server.faults.on(resource="leases", fault=hang, times=None, agent=first.agent)
        await world.until(lambda _: not first.permission(), "its Lease is not renewed")
        del world.processes["first"]
        await world.until(lambda _: second.permission(), "the other goes on")
        await first.kill()


async def test_case_33_a_process_that_is_stopped_and_resumed_does_no_harm() -> None:
    async with World(empty=True) as world:
        first = replica(world, "first")
        train()(world)
        await world.until(runs("iris-1"))
        replica(world, "second")
        del world.processes["first"]
        first.pause(10)
        ends("iris-1")(world)
        await world.until(training_is("Complete"), "the other takes over")
        await world.until(lambda _: first.ended, "the first ends when it is resumed")
        assert isinstance(first.ended, LeadershipLost)
        await world.settled()
        assert endstate.violations(world) == []
        await first.kill()


@pytest.mark.parametrize("scenario", [FIRST_RUN, DRIFT_RETRAINS, MODEL_UPDATE], ids=str)
async def test_case_35_two_that_both_lead_end_where_one_does(scenario: Scenario) -> None:
    async with World(drift=scenario.drift) as alone:
        await scenario.play(alone)
        wanted = endstate.picture(alone)
    async with World(drift=scenario.drift) as world:
        for name in list(world.processes):
            world.start(name, replica=f"another {name}")
        await scenario.play(world)
        assert endstate.violations(world) == []
        assert not endstate.differences(wanted, endstate.picture(world))


async def test_case_36_a_lease_that_is_deleted_by_hand_is_made_again() -> None:
    async with World(empty=True) as world:
        first = replica(world, "first")
        await world.until(lambda w: holder(w) == first.options.instance)
        world.delete(LEASES, OPERATOR)
        await world.until(lambda w: holder(w) == first.options.instance, "the same one leads")
        await FIRST_RUN.play(world)
