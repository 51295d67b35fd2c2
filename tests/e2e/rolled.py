"""A rollout in whose middle the operator dies, a canary that is aborted, and a rollback, under a visitor's eyes.

It needs no MLflow, so it goes on beside the test that takes MLflow away.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from demo.kubectl import Kubectl
from demo.setup import Site
from demo.stage import namespace_object
from demo.visitor import Tally
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


@contextmanager
def rollouts(site: Site) -> Iterator[Future[Seen]]:
    """All of it begun; what was seen comes later."""
    name = f"rollouts-{os.getpid()}"
    site.kubectl.apply(namespace_object(name))
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(_see, site, site.kubectl.within(name))
    site.kubectl.run("delete", "namespace", name, "--wait=false")


def _see(site: Site, kubectl: Kubectl) -> Seen:
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
