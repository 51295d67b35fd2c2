"""Variations of a history (test_sieve.py, test_views.py): each must end like the one without a fault."""

from __future__ import annotations

from tests.examples import ALL
from tests.faults import endstate
from tests.faults.apiserver.kinds import Json
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import World

STEP = 1 if ALL else 3

# Worlds side by side: a world mostly waits (for a moment's rest, a deadline, the next question to MLflow).
AT_ONCE = 6

_wanted: dict[str, Json] = {}


def first(scenario: Scenario) -> int:
    """Not the same ones of every scenario."""
    return SCENARIOS.index(scenario) % STEP


async def wanted(scenario: Scenario) -> Json:
    """The end without any fault."""
    if scenario.name not in _wanted:
        async with World(drift=scenario.drift) as world:
            await scenario.play(world)
            _wanted[scenario.name] = endstate.picture(world)
    return _wanted[scenario.name]
