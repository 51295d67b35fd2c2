"""A rollout in whose middle the operator dies, a canary that is aborted, and a rollback, under a visitor's eyes.

It needs no MLflow, so it goes on beside the test that takes MLflow away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from demo.visitor import Tally
from tests.e2e.beside import Scenario, Stage
from tests.rollouts import client
from tests.rollouts.app import NAME, deployed
from tests.rollouts.names import Account, followed
from tests.rollouts.story import Story, Told


@dataclass(frozen=True)
class Seen:
    """What the visitor was answered, what the status named meanwhile, and what was done."""

    tally: Tally
    names: Account
    told: Told


def _see(stage: Stage) -> Seen:
    site, kubectl = stage.site, stage.kubectl
    with followed(kubectl) as names:
        kubectl.apply(deployed("good-1"))
        kubectl.wait_for(f"appdeployment/{NAME}", "condition=Ready")
        visitor = client.started(kubectl)
        story = Story(site, kubectl, killed_at=lambda number: "waiting" if number == 0 else None)
        story.roll_out()
        visitor.hears("good-2")
        story.fail("aborted")
        story.roll_back()
        return Seen(visitor.tally(), names.account(), story.told)


# It kills the operator, so nothing else may do so meanwhile.
ROLLED: Final = Scenario("rolled", (), _see)
