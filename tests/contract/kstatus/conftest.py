"""Every state that either kind can be in, recorded anew in each session: from the simulators and from the engine."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import kopf
import msgspec
import pytest

from tandem.api.meta import Json
from tests.contract.kstatus.recording import PLACE_VARIABLE, Recordings, place, recorded
from tests.crds import KINDS, ROOT
from tests.faults.operators import login_with_kubeconfig
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import World

_FAILED_TESTS = 1  # they are their own lane's business; what they came to is a state all the same


@pytest.fixture(scope="session")
def recordings() -> Recordings:
    found = Recordings()
    for body in (*of_the_plans(), *asyncio.run(of_the_engine())):
        found.add(body)
    return found


def of_the_plans() -> list[Json]:
    """What the plans say in all stories of the unit tests; told once more where `make unit` has not told them yet."""
    file = place()
    if not file.exists():
        _tell_the_stories(file)
    found: list[Json] = msgspec.json.decode(file.read_bytes())
    return found


def _tell_the_stories(file: Path) -> None:
    plugins = ["-p", "tests.contract.kstatus.recorder", "-p", "no:cacheprovider"]
    # Random stories are not recorded, and would take a minute.
    stories = ["-m", "not hypothesis", "tests/unit/training", "tests/unit/apps"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *stories],
        cwd=ROOT,
        env={**os.environ, PLACE_VARIABLE: str(file), "PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, _FAILED_TESTS}, done.stdout[-4000:] + done.stderr[-4000:]


async def of_the_engine() -> list[Json]:
    """What real processes write in all scenarios, on the stand-in."""
    with patch.object(kopf, "login_with_kubeconfig", login_with_kubeconfig):
        return [body for scenario in SCENARIOS for body in await _played(scenario)]


async def _played(scenario: Scenario) -> list[Json]:
    async with World(drift=scenario.drift) as world:
        await scenario.play(world)
        return _told(world)


def _told(world: World) -> list[Json]:
    bodies = [change.object for change in world.server.database.changes]
    return [
        recorded(body["kind"], body["metadata"]["generation"], body["status"])
        for body in bodies
        if body["kind"] in KINDS and body.get("status", {}).get("conditions")
    ]
