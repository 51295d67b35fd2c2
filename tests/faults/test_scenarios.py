"""Both kinds, from end to end, when nothing goes wrong: how each scenario ends, and that it then is quiet."""

from __future__ import annotations

import asyncio

import pytest

from tests.faults import endstate
from tests.faults.apiserver.kinds import EVENTS
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import PATIENCE, World

_idle: dict[bool, dict[str, tuple[int, int]]] = {}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_it_comes_to_its_end_by_events_alone_and_is_quiet_then(scenario: Scenario) -> None:
    async with World(drift=scenario.drift) as world:
        await scenario.play(world)

        assert endstate.violations(world) == []
        await world.settled()
        await nothing_is_left_behind(scenario, world)
        before = len(world.written)
        for name, process in list(world.processes.items()):
            await process.terminate()
            world.start(name, resync=0.1)
        await world.settled()
        await world.until(lambda _: world.lists() >= 3 * len(world.processes), "three resyncs")
        await world.settled()
        assert world.written[before:] == [], "an operator that is started anew finds nothing to do, nor does a resync"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_every_event_is_told_once(scenario: Scenario) -> None:
    async with World(drift=scenario.drift) as world:
        await scenario.play(world)
        told = [(e["regarding"]["name"], e["reason"], e["note"]) for e in world.server.database.of(EVENTS)]
        assert sorted(told) == sorted(set(told))


async def occupied(world: World) -> dict[str, tuple[int, int]]:
    """Tasks of each process, and keys in its queue."""
    return {name: await process.occupied() for name, process in world.processes.items()}


async def nothing_is_left_behind(scenario: Scenario, world: World) -> None:
    """No more tasks and keys than in an empty world; a task that ends just now (of a connection, say) is awaited.

    There may have been such a one when the empty world was looked at: the least that was ever seen is what counts.
    """
    least = await nothing_ever_happened(scenario.drift)
    try:
        async with asyncio.timeout(PATIENCE):
            while more(found := await occupied(world), least):
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{await occupied(world)} instead of {least}") from None
    _idle[scenario.drift] = found


def more(found: dict[str, tuple[int, int]], least: dict[str, tuple[int, int]]) -> bool:
    return any(now > then for name in least for now, then in zip(found[name], least[name], strict=True))


async def nothing_ever_happened(drift: bool) -> dict[str, tuple[int, int]]:
    """The same in a world that is empty."""
    if drift not in _idle:
        async with World(drift=drift) as world:
            await world.until(World.listens, "it listens")
            await world.settled()
            _idle[drift] = await occupied(world)
    return _idle[drift]
