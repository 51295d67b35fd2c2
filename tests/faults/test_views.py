"""Sieve's third pattern (OSDI '22), for every scenario: what is seen late.

Each must end like the history without the fault, and break no invariant on its way. Every older view of everything is
played, and every third of one kind alone, all of them with ``FAULTS=all``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.faults import endstate
from tests.faults.apiserver.kinds import EVENTS, KINDS, Kind
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.variations import AT_ONCE, STEP, first, wanted
from tests.faults.world import World

SEEN = frozenset(KINDS) - {EVENTS}


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_an_older_view_after_a_restart_changes_nothing_in_the_end(scenario: Scenario) -> None:
    """At its end the operator is started anew: it sees the cluster as it was at one moment before, then as it is."""
    await looks_back(scenario, lambda world: [View(moment) for moment in _moments(world)][:-1])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_one_kind_that_is_seen_late_after_a_restart_changes_nothing_in_the_end(scenario: Scenario) -> None:
    """Each kind has a watch of its own, and nothing orders them: all others are seen as they are."""

    def views(world: World) -> list[View]:
        """Before each change of a kind, as nothing else of it can be seen late."""
        return [View(moment - 1, (kind,)) for moment, kind in _moments(world).items()][first(scenario) :: STEP]

    await looks_back(scenario, views)


@dataclass(frozen=True)
class View:
    """As of a version: these kinds alone, or everything."""

    moment: int
    kinds: tuple[Kind, ...] = ()


def _moments(world: World) -> dict[int, Kind]:
    """The versions of the past at which something changed that can be seen, oldest first."""
    moments = {c.revision: c.place[0] for c in world.server.database.changes if c.place[0] in SEEN}
    assert len(moments) > 5, "there was a past to look at"
    return moments


async def looks_back(scenario: Scenario, views: Callable[[World], list[View]]) -> None:
    await wanted(scenario)
    parts = await asyncio.gather(*(_look_back(scenario, part, views) for part in range(AT_ONCE)))
    wrong = list(filter(None, parts))
    assert not wrong, "\n\n".join(wrong)


async def _look_back(scenario: Scenario, part: int, views: Callable[[World], list[View]]) -> str:
    """One of every few views, one after the other; the first of them that changed anything."""
    async with World(drift=scenario.drift) as world:
        await scenario.play(world)
        for view in views(world)[part::AT_ONCE]:
            world.server.look_back(view.moment, *view.kinds)
            for name in list(world.processes):
                await world.restart(name)
            await world.settled(in_the_past=True)
            world.server.look_back(None)
            await world.settled()
            broken = endstate.violations(world)
            told = "\n".join(broken) or endstate.differences(await wanted(scenario), endstate.picture(world))
            if told:
                late = "".join(f", {kind.kind} alone" for kind in view.kinds)
                return f"seen as of version {view.moment}{late}:\n{told}"
    return ""
