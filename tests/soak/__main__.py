"""``python -m tests.soak``: random doings and faults for a long time, on real parts; see docs/reliability.md."""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.machine import describe
from tests.reliability import Section
from tests.soak.client import Client, connected
from tests.soak.ground import RESYNC, WATCH_LOST, Ground, Sample, pid, prepared
from tests.soak.invariants import WATCHED, Invariants, broken_in_mlflow, made_in_mlflow, unsettled
from tests.soak.kubelet import Kubelet
from tests.soak.misfortune import Misfortune
from tests.soak.page import Account, section
from tests.soak.users import Users

_DOINGS_PER_SECOND: Final = 3.0
_SETTLES_WITHIN: Final = 600.0  # seconds
_QUIET: Final = 10.0  # seconds without a write
_COMPARISONS: Final = 3
_AGENT: Final = "tandem-operator"
_MEMORY_SHARE: Final = 0.4  # of the time: no operator is killed, so that what one uses can be watched


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=float(os.environ.get("SOAK_MINUTES", "60")))
    parser.add_argument("--resources", type=int, default=int(os.environ.get("SOAK_RESOURCES", "1000")))
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SOAK_SEED", "0")) or random.randrange(10**6))
    parser.add_argument("--write-docs", action="store_true", help="docs/reliability.md, from this run")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tandem-soak-") as folder, prepared(Path(folder)) as ground:
        account = asyncio.run(Soak(ground, wanted.minutes, wanted.resources, wanted.seed).run())
        if not account.held:
            _keep_logs(ground)
    told = section(account)
    print(told)
    if wanted.write_docs:
        Section("soak").put(told)
    return 0 if account.held else 1


class Soak:
    def __init__(self, ground: Ground, minutes: float, resources: int, seed: int) -> None:
        self._ground = ground
        self._seconds = minutes * 60
        self._dice = random.Random(seed)
        machine = describe("", [])
        self._account = Account(
            command=f"make soak SOAK_MINUTES={minutes:g} SOAK_RESOURCES={resources}",
            machine=f"{machine.cores} cores of {machine.cpu}, {machine.memory_gb:.0f} GB, {machine.kernel}",
            versions=", ".join(f"{name} {version}" for name, version in machine.versions.items()),
            commit=machine.commit,
            date=datetime.now(UTC).strftime("%Y-%m-%d"),
            minutes=minutes,
            resources=resources,
            seed=seed,
        )

    async def run(self) -> Account:
        plane = self._ground.plane
        async with connected(plane.url, plane.kubeconfig) as client, asyncio.TaskGroup() as always:
            invariants = Invariants(client)
            kubelet = Kubelet(client, self._ground.mlflow.url, self._dice)
            users = Users(client, self._account.resources, self._dice)
            misfortune = Misfortune(self._ground, self._dice)
            tasks = [always.create_task(invariants.watch(path)) for path in WATCHED]
            tasks += [always.create_task(work) for work in self._standing(kubelet)]
            _say(f"{self._account.resources} resources are created")
            await users.create_all()
            await self._let_it_go_wrong(users, misfortune)
            _say("the faults end; it settles")
            await users.let_everything_run()
            await self._settle(client, invariants, kubelet)
            await self._rest()
            for task in tasks:
                task.cancel()
        account = self._account
        account.broken += list(dict.fromkeys(invariants.broken)) + broken_in_mlflow(self._ground.mlflow.database)
        account.runs, account.versions_registered = made_in_mlflow(self._ground.mlflow.database)
        account.did = users.did + kubelet.did + Counter({"requests asked again": client.asked_again})
        account.happened, account.ended = misfortune.happened, self._ground.ended
        # Servers that go away are waited for. (With uvloop every tenth restart of the API server ended a process.)
        account.broken += [f"an operator ended by itself: {how}" for how in account.ended if WATCH_LOST in how]
        account.looked_at, account.jobs = invariants.seen, invariants.jobs_made
        account.writes = plane.audit.writes(user_agent=_AGENT)
        return account

    def _standing(self, kubelet: Kubelet) -> list[Coroutine[Any, Any, None]]:
        return [kubelet.run(), self._ground.keep_alive(), self._ground.weigh()]

    async def _let_it_go_wrong(self, users: Users, misfortune: Misfortune) -> None:
        doing = asyncio.create_task(users.go_on(_DOINGS_PER_SECOND))
        striking = asyncio.create_task(misfortune.strike())
        _say("operators, servers and MLflow are killed")
        await self._for_a_while(self._seconds * (1 - _MEMORY_SHARE), doing, striking)
        misfortune.processes_too = False
        began = asyncio.get_running_loop().time()
        _say("servers and MLflow are killed; the operators' memory is watched")
        await self._for_a_while(self._seconds * _MEMORY_SHARE, doing, striking)
        for task in (doing, striking):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._account.memory = growth(self._ground.samples, began, {pid(o) for o in self._ground.operators.values()})

    async def _for_a_while(self, seconds: float, *tasks: asyncio.Task[None]) -> None:
        ended, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()  # it never ends but by an error

    async def _settle(self, client: Client, invariants: Invariants, kubelet: Kubelet) -> None:
        loop, audit = asyncio.get_running_loop(), self._ground.plane.audit
        began = loop.time()
        mark, quiet_since = audit.mark(), began
        while loop.time() < began + _SETTLES_WITHIN:
            await asyncio.sleep(1)
            before, mark = mark, audit.mark()
            waiting = {b["metadata"]["name"]: why for b in invariants.present.values() if (why := unsettled(b))}
            if _writes(before.writes(user_agent=_AGENT)) or waiting or kubelet.busy:
                quiet_since = loop.time()
            if loop.time() > quiet_since + _QUIET:
                self._account.settled_after = quiet_since - began
                break
        else:
            self._account.broken += [f"{name} has not settled: {why}" for name, why in sorted(waiting.items())[:20]]
            self._account.broken.append(f"not settled within {_SETTLES_WITHIN:.0f} s: {len(waiting)} resources")
        if len(invariants.present) != self._account.resources:
            self._account.broken.append(f"{len(invariants.present)} resources are there")

    async def _rest(self) -> None:
        mark = self._ground.plane.audit.mark()
        await asyncio.sleep(RESYNC * 1.1 * (_COMPARISONS + 1))
        written = mark.requests(user_agent=_AGENT, writes=True)
        self._account.at_rest = [
            f"{r.verb} {r.resource} {r.namespace}/{r.name}" for r in written if r.resource != "leases"
        ]
        listed = mark.requests(user_agent=_AGENT, verb="list", resource="trainingjobs")
        lists = sum("continue=" not in request.uri for request in listed)  # pages after the first are no list
        self._account.resyncs = lists // len(self._ground.operators)
        if self._account.resyncs < _COMPARISONS:
            self._account.broken.append(f"only {self._account.resyncs} comparisons while it rested")


def growth(samples: list[Sample], began: float, alive: set[int]) -> tuple[float, float, float, float]:
    """MB early, MB late, minutes between, MB at most: of the process that lives on and uses most.

    Early is the middle of the first quarter of the time, not its beginning: a process that has just started grows.
    """
    most = max((sample.megabytes for sample in samples), default=0.0)
    found = []
    for process in alive:
        mine = [sample for sample in samples if sample.pid == process and sample.moment >= began]
        if len(mine) >= 4:
            early, late = mine[len(mine) // 4], mine[-1]
            found.append((early.megabytes, late.megabytes, (late.moment - early.moment) / 60, most))
    return max(found, key=lambda one: one[1], default=(0.0, 0.0, 0.0, most))


def _writes(counted: Counter[tuple[str, str]]) -> int:
    return sum(times for (_, resource), times in counted.items() if resource != "leases")


def _keep_logs(ground: Ground) -> None:
    kept = Path(tempfile.mkdtemp(prefix="tandem-soak-failed-"))
    for operator in ground.operators.values():
        (kept / operator.log_file.name).write_bytes(operator.log_file.read_bytes())
    (kept / "audit.log").write_bytes(ground.plane.audit_log.read_bytes())
    _say(f"logs are kept in {kept}")


def _say(what: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
