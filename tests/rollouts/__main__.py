"""``python -m tests.rollouts``: 20 rollouts, 10 failing canaries and 5 rollbacks, and a client that never stops."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import cycle
from typing import Final

from bench.machine import describe
from cluster.progress import step
from demo.setup import Site, set_up
from demo.stage import namespace_object
from tests.reliability import Section
from tests.rollouts import client
from tests.rollouts.app import NAME, deployed
from tests.rollouts.names import followed
from tests.rollouts.page import Account, Rounds, section
from tests.rollouts.story import FAILURES, MOMENTS, Story

COMMAND: Final = "make rollouts"
OWN_CLUSTER: Final = "rollouts"
# Five times this is the whole of it.
_TURN: Final = ("rollout", "rollout", "failing", "rollout", "rollout", "failing", "rollback")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.rollouts", description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="of seven rounds each")
    parser.add_argument("--write-docs", action="store_true", help="docs/reliability.md, from this run")
    wanted = parser.parse_args()
    named = os.environ.get("TANDEM_E2E_CLUSTER", "")
    site = set_up(named or OWN_CLUSTER)
    account = measured(site, wanted.turns)
    if not named and os.environ.get("TANDEM_KEEP_CLUSTER", "") in ("", "0"):
        site.cluster.down()
    told = section(account)
    print(told)
    if wanted.write_docs:
        Section("rollouts").put(told)
    return 0 if account.held else 1


def measured(site: Site, turns: int) -> Account:
    namespace = f"rollouts-{os.getpid()}"
    site.kubectl.apply(namespace_object(namespace))
    kubectl = site.kubectl.within(namespace)
    machine, begun = describe(COMMAND, []), time.monotonic()
    with followed(kubectl) as names:
        kubectl.apply(deployed("good-1"))
        kubectl.wait_for(f"appdeployment/{NAME}", "condition=Ready", within=300)
        visitor = client.started(kubectl)
        story = Story(site, kubectl, killed_at=lambda number: MOMENTS[number % len(MOMENTS)])
        failures = cycle(FAILURES)
        doings: dict[str, Callable[[], None]] = {
            "rollout": story.roll_out,
            "failing": lambda: story.fail(next(failures)),
            "rollback": story.roll_back,
        }
        problem = ""
        try:
            for number, what in enumerate(_TURN * turns, 1):
                with step(f"{number} of {len(_TURN) * turns}: {what}") as detail:
                    doings[what]()
                    detail(f"{visitor.tally().failures} requests failed so far")
        except Exception as error:  # what was counted until then is told all the same
            problem = f"{type(error).__name__}: {error}"
        tally, told = visitor.tally(), names.account()
    if not problem:
        site.kubectl.run("delete", "namespace", namespace, "--wait=false")
    return Account(
        command=COMMAND,
        machine=f"{machine.cpu}, {machine.cores} cores, Kubernetes {machine.versions['Kubernetes']}",
        commit=machine.commit,
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        minutes=(time.monotonic() - begun) / 60,
        rounds=Rounds(tuple(story.told.rounds)),
        kills=story.told.kills,
        tally=tally,
        rate=client.RATE,
        names=told,
        heard_hidden=sorted(story.told.hidden & set(tally.answered)),
        problem=problem,
    )


if __name__ == "__main__":
    sys.exit(main())
