"""A plugin of pytest that writes down every status that the two simulators' plans come to, while their tests run.

    python -m pytest -p tests.contract.kstatus.recorder tests/unit

Those tests tell every story of both kinds; who adds a state adds a test there, and has its recording with that. `make
unit` records, so that no check has to tell the stories once more (half a minute).
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tandem.api.plan import Plan
from tests.contract.kstatus.recording import PLACE_VARIABLE, Recordings, keep, place, recorded
from tests.unit.apps.world import World as AppWorld
from tests.unit.training.world import World as TrainingWorld

KEPT = Recordings()
# Of the sources as they are before the first test; or where whoever started this looks for it.
PLACE = Path(os.environ.get(PLACE_VARIABLE) or place())
_random = False


def keeps_what_is_planned(world: type[Any], kind: str) -> None:
    plan: Callable[[Any], Plan] = world.plan

    @functools.wraps(plan)
    def planned(self: Any) -> Plan:
        made = plan(self)
        if made.status is not None and not _random:
            KEPT.add(recorded(kind, self.generation, made.status))
        return made

    world.plan = planned


@pytest.hookimpl
def pytest_configure() -> None:
    keeps_what_is_planned(TrainingWorld, "TrainingJob")
    keeps_what_is_planned(AppWorld, "AppDeployment")


@pytest.hookimpl
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Random stories are left out: what is judged has to be the same every time."""
    global _random  # noqa: PLW0603
    _random = item.get_closest_marker("hypothesis") is not None


@pytest.hookimpl
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Of some of the stories there is nothing to keep; of all of them also when a test failed."""
    if exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED} and not session.config.option.keyword:
        keep(PLACE, msgspec.json.encode(list(KEPT)))
