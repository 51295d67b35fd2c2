"""A plugin of pytest that writes down every status that the two simulators' plans come to, while their tests run.

    TANDEM_RECORDING=FILE python -m pytest -p tests.contract.kstatus.recorder tests/unit/training tests/unit/apps

Those tests tell every story of both kinds; who adds a state adds a test there, and has its recording with that.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tandem.api.meta import Json
from tandem.api.plan import Plan
from tests.contract.kstatus.recording import FILE, Recordings, recorded
from tests.unit.apps.world import World as AppWorld
from tests.unit.training.world import World as TrainingWorld

KEPT = Recordings()


def keeps_what_is_planned(world: type[Any], kind: str) -> None:
    plan: Callable[[Any], Plan] = world.plan

    @functools.wraps(plan)
    def planned(self: Any) -> Plan:
        made = plan(self)
        if made.status is not None:
            status: Json = msgspec.json.decode(msgspec.json.encode(made.status))
            KEPT.add(recorded(kind, self.generation, status))
        return made

    world.plan = planned


@pytest.hookimpl
def pytest_configure() -> None:
    keeps_what_is_planned(TrainingWorld, "TrainingJob")
    keeps_what_is_planned(AppWorld, "AppDeployment")


@pytest.hookimpl
def pytest_unconfigure() -> None:
    Path(os.environ[FILE]).write_bytes(msgspec.json.encode(list(KEPT)))
