"""Nobody who asks notices a rollout: a canary, a canary that is given up, a rollback, an operator that is killed.

The long variant, of 35 rounds, is `make rollouts`: docs/reliability.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from demo.setup import Site
from demo.stage import namespace_object
from demo.visitor import Tally
from tests.rollouts import client
from tests.rollouts.app import NAME, deployed
from tests.rollouts.names import Account, followed
from tests.rollouts.story import Story, Told

pytestmark = pytest.mark.e2e


@dataclass(frozen=True)
class Seen:
    tally: Tally
    names: Account
    told: Told


@pytest.fixture(scope="module")
def seen(site: Site) -> Iterator[Seen]:
    """Of a rollout in whose middle the operator dies, a canary that is aborted, and a rollback."""
    name = f"rollouts-{os.getpid()}"
    site.kubectl.apply(namespace_object(name))
    kubectl = site.kubectl.within(name)
    with followed(kubectl) as names:
        kubectl.apply(deployed("good-1"))
        kubectl.wait_for(f"appdeployment/{NAME}", "condition=Ready")
        visitor = client.started(kubectl)
        story = Story(site, kubectl, killed_at=lambda number: "waiting" if number == 0 else None)
        story.roll_out()
        visitor.hears("good-2")
        story.fail("aborted")
        story.roll_back()
        yield Seen(visitor.tally(), names.account(), story.told)
    site.kubectl.run("delete", "namespace", name, "--wait=false")


def test_no_request_is_lost(seen: Seen) -> None:
    assert seen.told.kills == 1
    assert seen.tally.failed == {}
    assert seen.tally.answers > 500


def test_a_canary_answers_some_and_in_the_end_the_first_one_all(seen: Seen) -> None:
    assert set(seen.tally.answered) == {"good-1", "good-2", "bad-3"}
    assert seen.tally.answered["bad-3"] < seen.tally.answered["good-2"]


def test_the_status_names_what_serves_at_every_change(seen: Seen) -> None:
    assert seen.names.wrong == []
    assert seen.names.switches == [1, 2, 1]
    assert seen.names.statuses > 10
