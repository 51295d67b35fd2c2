"""Two of Sieve's three patterns (OSDI '22), for every scenario: what was half done, what was never seen.

Each variation of a history must end like the history without the fault, and break no invariant on its way. Every third
crash and event is played, all of them with ``FAULTS=all``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from itertools import count

import pytest

from tests.faults import endstate
from tests.faults.apiserver.kinds import Json
from tests.faults.apiserver.watching import Sent, Watch
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.variations import AT_ONCE, STEP, first, wanted
from tests.faults.world import OFTEN, World


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

    crashes, wrong = await each(count(1 + first(scenario), STEP), play)
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

    dropped, wrong = await each(count(1 + first(scenario), STEP), play)
    assert not wrong, "\n\n".join(wrong)
    assert dropped, "there were events to miss"
