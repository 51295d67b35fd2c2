"""Sieve's three patterns (OSDI '22), for every scenario: what was half done, what was never seen, what was seen late.

Each variation of a history must end like the history without the fault, and break no invariant on its way. Every third
crash, event and late kind is played, all of them with ``FAULTS=all``; every older view of everything always.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count

import pytest

from tests.faults import endstate
from tests.faults.apiserver.kinds import EVENTS, KINDS, Json, Kind
from tests.faults.apiserver.watching import Sent, Watch
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import OFTEN, World

STEP = 1 if os.environ.get("FAULTS") == "all" else 3

# Worlds side by side: a world mostly waits (for a moment's rest, a deadline, the next question to MLflow).
AT_ONCE = 6

SEEN = frozenset(KINDS) - {EVENTS}

_wanted: dict[str, Json] = {}


@dataclass
class Loss:
    """One event of a watch, counted over all watches, is left out."""

    which: int
    seen: int = 0
    lost: str = ""

    def __call__(self, watch: Watch, event: Json) -> Sent:
        self.seen += 1
        if self.seen != self.which:
            return [event]
        self.lost = f"{event['type']} {watch.kind.kind} {event['object']['metadata']['name']}"
        return []


def _first(scenario: Scenario) -> int:
    """Not the same ones of every scenario."""
    return 1 + SCENARIOS.index(scenario) % STEP


async def wanted(scenario: Scenario) -> Json:
    """The end without any fault."""
    if scenario.name not in _wanted:
        async with World(drift=scenario.drift) as world:
            await scenario.play(world)
            _wanted[scenario.name] = endstate.picture(world)
    return _wanted[scenario.name]


async def verdict(scenario: Scenario, world: World) -> str:
    """Play it; nothing, or what is wrong with the end of it."""
    try:
        await scenario.play(world)
    except AssertionError as error:
        return str(error)
    broken = endstate.violations(world)
    return "\n".join(broken) or endstate.differences(await wanted(scenario), endstate.picture(world))


async def each(which: Iterator[int], play: Callable[[int], Awaitable[str | None]]) -> tuple[int, list[str]]:
    """Play variations, several side by side, up to the first that has no fault any more (None).

    Returns how many had one, and what was wrong with them.
    """
    verdicts: list[str | None] = []

    async def one_after_the_other() -> None:
        while None not in verdicts:
            verdicts.append(await play(next(which)))

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    return sum(verdict is not None for verdict in verdicts), list(filter(None, verdicts))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_a_crash_after_any_write_changes_nothing_in_the_end(scenario: Scenario) -> None:
    """Killed right after the write took effect and before its answer came; then started anew."""
    await wanted(scenario)

    async def play(which: int) -> str | None:
        async with World(drift=scenario.drift, die_after=which) as world:
            told = await verdict(scenario, world)
            if world.died is None:
                return None
            return told and f"crash after write {which} ({world.died.what}):\n{told}"

    crashes, wrong = await each(count(_first(scenario), STEP), play)
    assert not wrong, "\n\n".join(wrong)
    assert crashes, "there were writes to crash after"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_an_event_that_is_never_seen_changes_nothing_in_the_end(scenario: Scenario) -> None:
    """Each event of a watch in turn is left out; the resync finds what it told."""
    await wanted(scenario)

    async def play(which: int) -> str | None:
        loss = Loss(which)
        async with World(drift=scenario.drift, resync=OFTEN) as world:
            world.server.watches.meddle = loss
            told = await verdict(scenario, world)
        if not loss.lost:
            return None
        return told and f"without event {which} ({loss.lost}):\n{told}"

    dropped, wrong = await each(count(_first(scenario), STEP), play)
    assert not wrong, "\n\n".join(wrong)
    assert dropped, "there were events to miss"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_an_older_view_after_a_restart_changes_nothing_in_the_end(scenario: Scenario) -> None:
    """At its end the operator is started anew: it sees the cluster as it was at one moment before, then as it is."""
    await looks_back(scenario, lambda world: [View(moment) for moment in _moments(world)][:-1])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=str)
async def test_one_kind_that_is_seen_late_after_a_restart_changes_nothing_in_the_end(scenario: Scenario) -> None:
    """Each kind has a watch of its own, and nothing orders them: all others are seen as they are."""
    first = _first(scenario) - 1

    def views(world: World) -> list[View]:
        """Before each change of a kind, as nothing else of it can be seen late."""
        return [View(moment - 1, (kind,)) for moment, kind in _moments(world).items()][first::STEP]

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
