"""Cases 16, 28 and 29 of the list: what may happen while a process starts, and while it lists."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import pytest
from aiohttp import web

from tandem.engine import api
from tests.faults import endstate
from tests.faults.apiserver.faults import Request, Serve, hang
from tests.faults.apiserver.kinds import TRAINING_JOBS
from tests.faults.scenarios import FIRST_RUN, TRAINING, ends, runs, train, training_is
from tests.faults.world import OFTEN, World

AGENT = "tandem-operator"


async def serve_as_ever(serve: Serve) -> web.StreamResponse:
    return await serve()


# --- pages -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two objects each: five resources are three pages."""
    monkeypatch.setattr(api, "_PAGE", 2)


def expire_second_page(world: World) -> list[int]:
    """Before the next further page of a list of TrainingJobs its version is compacted away.

    The code of the answer to that page, when it comes.
    """
    codes: list[int] = []

    async def compacted(serve: Serve) -> web.StreamResponse:
        world.change(TRAINING_JOBS, "iris-0", {"metadata": {"labels": {"touched": "yes"}}})
        world.server.database.compact()
        answer = await serve()
        codes.append(answer.status)
        return answer

    def second_page(request: Request) -> bool:
        mine = request.verb == "list" and request.resource == "trainingjobs" and request.agent.startswith(AGENT)
        return mine and request.continues

    world.server.faults.when(second_page, compacted)
    return codes


@pytest.mark.usefixtures("small_pages")
async def test_case_16_a_first_list_that_expires_on_its_second_page_is_begun_anew() -> None:
    async with World(empty=True) as world:
        for number in range(5):
            world.create(TRAINING_JOBS, f"iris-{number}", {**TRAINING, "suspend": True})
        codes = expire_second_page(world)
        world.start()
        await world.until(
            lambda w: all(w.training(f"iris-{number}").get("phase") == "Suspended" for number in range(5))
        )
        assert codes == [410]


@pytest.mark.usefixtures("small_pages")
async def test_case_16_a_comparison_that_expires_on_its_second_page_forgets_nobody() -> None:
    """Half a list is no proof that the other half is gone."""
    async with World(empty=True) as world:
        for number in range(5):
            world.create(TRAINING_JOBS, f"iris-{number}", {**TRAINING, "suspend": True})
        world.start(resync=OFTEN)
        await world.until(
            lambda w: all(w.training(f"iris-{number}").get("phase") == "Suspended" for number in range(5))
        )
        await world.settled()
        written = len(world.written)
        codes = expire_second_page(world)
        await world.until(lambda _: codes, "the comparison is cut short")
        assert codes == [410]
        mind = await world.operator.mind()
        assert len(mind.known["tandem.dev", "trainingjobs"]) == 5
        before = world.lists()
        await world.until(lambda w: w.lists() > before + 3, "the next ones are whole")
        await world.settled()
        assert len(world.written) == written, "nothing was to be done"


# --- a start with much to do -----------------------------------------------------------------------------------------

MANY = 200
RATE = 50  # requests a second


async def test_case_28_a_start_with_many_changed_resources_writes_each_status_once_and_no_faster_than_allowed() -> None:
    """All new, then all changed while nobody was there. (10,000 of them: bench/.)"""
    async with World(empty=True) as world:
        asked: list[float] = []

        def note(request: Request) -> bool:
            if request.agent.startswith(AGENT):
                asked.append(time.monotonic())
            return False

        world.server.faults.when(note, serve_as_ever, times=None)
        for number in range(MANY):
            world.create(TRAINING_JOBS, f"iris-{number}", {**TRAINING, "suspend": True})
        first = world.start(requests_per_second=RATE)
        await world.until(all_told(1), "each has its status")
        await first.kill()
        world.processes.clear()
        assert statuses_of(world) == {f"iris-{number}": 1 for number in range(MANY)}
        check_pace(asked)

        for number in range(MANY):
            world.change(TRAINING_JOBS, f"iris-{number}", {"spec": {"historyLimit": 3}})
        asked.clear()
        world.start(requests_per_second=RATE)
        await world.until(all_told(2), "each has been looked at again")
        await world.settled()
        assert statuses_of(world) == {f"iris-{number}": 2 for number in range(MANY)}
        check_pace(asked)


def all_told(generation: int) -> Callable[[World], bool]:
    return lambda world: all(
        world.training(f"iris-{number}").get("observedGeneration") == generation for number in range(MANY)
    )


def statuses_of(world: World) -> Counter[str]:
    return Counter(
        write.what.rpartition(" ")[2] for write in world.written if write.what.startswith("patch trainingjobs/status")
    )


def check_pace(asked: list[float]) -> None:
    """A burst of two seconds' worth, and no more than RATE in each second after it."""
    least = (len(asked) - 2 * RATE) / RATE
    assert least > 2, "there is something to measure"
    assert asked[-1] - asked[0] >= least - 0.3, "(the first may have been on its way for longer than the last)"


# --- killed while listing --------------------------------------------------------------------------------------------

LISTED = (
    *("trainingjobs", "appdeployments", "jobs", "pods", "deployments", "replicasets", "services", "configmaps"),
    *("poddisruptionbudgets", "networkpolicies", "horizontalpodautoscalers", "ingresses"),
)


@pytest.mark.parametrize("plural", LISTED)
async def test_case_29_a_process_that_dies_while_it_lists_has_written_nothing_and_the_next_one_goes_on(
    plural: str,
) -> None:
    """Out of memory, say. What is half known is no reason to make a Job a second time."""
    async with World() as world:
        train()(world)
        await world.until(runs("iris-1"))
        await world.settled()
        await world.operator.kill()
        world.processes.clear()
        ends("iris-1")(world)
        written = len(world.written)

        dies = world.server.faults.on("list", plural, fault=hang, agent=AGENT, times=1)
        victim = world.start()
        await world.until(lambda _: dies.seen, "it lists")
        await asyncio.sleep(0.1)
        assert len(world.written) == written, "who has not seen everything does nothing"
        await victim.kill()
        world.processes.clear()

        world.start()
        await world.until(training_is("Complete"))
        await world.settled()
        assert endstate.violations(world) == []
        assert FIRST_RUN.steps[-1].until(world)
