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
from tests.contract.kstatus.recording import FILE, Recordings, recorded
from tests.crds import KINDS, ROOT
from tests.faults.operators import login_with_kubeconfig
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.world import World

_FAILED_TESTS = 1  # they are their own lane's business; what they came to is a state all the same


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    found = Recordings()
    plans = of_the_plans(tmp_path_factory.mktemp("recording") / "plans.json")
    for body in (*plans, *asyncio.run(of_the_engine())):
        found.add(body)
    return found


def of_the_plans(file: Path) -> list[Json]:
    """What the plans say in all stories of the unit tests. (Random ones are left out: they would take a minute.)"""
    plugins = ["-p", "tests.contract.kstatus.recorder", "-p", "no:cacheprovider"]
    stories = ["tests/unit/training", "tests/unit/apps"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, "-m", "not hypothesis", *stories],
        cwd=ROOT,
        env={**os.environ, FILE: str(file), "PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in {0, _FAILED_TESTS}, done.stdout[-4000:] + done.stderr[-4000:]
    found: list[Json] = msgspec.json.decode(file.read_bytes())
    return found


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
