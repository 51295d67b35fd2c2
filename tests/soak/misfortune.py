"""What goes wrong: processes die, stand still and are told to end; the API server, etcd and MLflow go away."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

from tests.contract.engine.operator_process import OperatorProcess
from tests.soak.ground import REPLICAS, Ground, exit_code, pid

EVERY: Final = 12.0  # seconds, on average


class Misfortune:
    def __init__(self, ground: Ground, dice: random.Random) -> None:
        self.happened: Counter[str] = Counter()
        self.processes_too = True  # operators are killed as well; not while their memory is watched
        self._ground = ground
        self._dice = dice

    async def strike(self) -> None:
        """For ever."""
        to_processes: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self._kill, 4),
            (self._stop_for_a_while, 3),
            (self._terminate, 2),
            (self._kill_both, 1),
        ]
        to_servers: list[tuple[Callable[[], Awaitable[None]], int]] = [
            (self._restart_api_server, 2),
            (self._restart_etcd, 1),
            (self._restart_controllers, 1),
            (self._mlflow_goes_away, 2),
        ]
        while True:
            await asyncio.sleep(self._dice.expovariate(1 / EVERY))
            faults, weights = zip(*(to_servers + (to_processes if self.processes_too else [])), strict=True)
            (fault,) = self._dice.choices(faults, weights)
            await fault()

    def _one(self) -> OperatorProcess:
        return self._ground.operators[self._dice.choice(REPLICAS)]

    async def _kill(self) -> None:
        self._signal(self._one(), signal.SIGKILL)
        self.happened["operator killed (SIGKILL)"] += 1

    async def _kill_both(self) -> None:
        for operator in self._ground.operators.values():
            self._signal(operator, signal.SIGKILL)
        self.happened["both operators killed"] += 1

    async def _terminate(self) -> None:
        self._signal(self._one(), signal.SIGTERM)
        self.happened["operator told to end (SIGTERM)"] += 1

    async def _stop_for_a_while(self) -> None:
        operator = self._one()
        self._signal(operator, signal.SIGSTOP)
        try:
            await asyncio.sleep(self._dice.uniform(2, 30))
        finally:
            self._signal(operator, signal.SIGCONT)
        self.happened["operator stopped for 2–30 s (SIGSTOP)"] += 1

    async def _restart_api_server(self) -> None:
        await self._restart("kube-apiserver")

    async def _restart_etcd(self) -> None:
        await self._restart("etcd")

    async def _restart_controllers(self) -> None:
        await self._restart("kube-controller-manager")

    async def _restart(self, daemon: str) -> None:
        await asyncio.to_thread(self._ground.plane.kill, daemon)
        await asyncio.to_thread(self._ground.plane.await_ready)
        self.happened[f"{daemon} killed"] += 1

    async def _mlflow_goes_away(self) -> None:
        await asyncio.to_thread(self._ground.mlflow.stop)
        try:
            await asyncio.sleep(self._dice.uniform(1, 15))
        finally:
            await asyncio.to_thread(self._ground.mlflow.start)
        self.happened["MLflow away for 1–15 s and its start"] += 1

    def _signal(self, operator: OperatorProcess, number: signal.Signals) -> None:
        if exit_code(operator) is None:
            os.kill(pid(operator), number)
