"""Where it happens: a real API server, etcd, kube-controller-manager and MLflow, and two replicas of the operator."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cluster.control_plane import ControlPlane
from tests.contract.engine.operator_process import OperatorProcess
from tests.contract.tracking.server import MlflowServer
from tests.crds import FILES
from tests.soak.users import NAMESPACES

REPLICAS: Final = ("one", "two")
RESYNC: Final = 20  # seconds
# What the operator says of it in its last line.
LEASE_LOST: Final = "lease"
WATCH_LOST: Final = "watching ended"
_SAMPLE_EVERY: Final = 5.0


@dataclass(frozen=True)
class Sample:
    """How much memory a process had at a moment."""

    moment: float  # of the event loop
    pid: int
    megabytes: float


@dataclass
class Ground:
    plane: ControlPlane
    mlflow: MlflowServer
    operators: dict[str, OperatorProcess]
    ended: Counter[str] = field(default_factory=Counter)
    samples: list[Sample] = field(default_factory=list)

    async def keep_alive(self) -> None:
        """A kubelet's part: what ends is started anew, a moment later. For ever."""
        while True:
            for operator in self.operators.values():
                code = exit_code(operator)
                if code is not None:
                    self.ended[_end(operator, code)] += 1
                    await asyncio.sleep(0.5)
                    operator.start()
            await asyncio.sleep(0.2)

    async def weigh(self) -> None:
        """For ever."""
        while True:
            now = asyncio.get_running_loop().time()
            self.samples += [Sample(now, p, _megabytes(p)) for p in map(pid, self.operators.values()) if _megabytes(p)]
            await asyncio.sleep(_SAMPLE_EVERY)


def pid(operator: OperatorProcess) -> int:
    assert operator._process is not None
    return operator._process.pid


def exit_code(operator: OperatorProcess) -> int | None:
    assert operator._process is not None
    return operator._process.poll()


def _end(operator: OperatorProcess, code: int) -> str:
    """How a process ended; of one that gave up by itself, why."""
    if code < 0:
        return signal.Signals(-code).name
    reasons = (LEASE_LOST, WATCH_LOST)
    words = next((line for line in reversed(operator.log.splitlines()) if " CRITICAL " in line), "") if code else ""
    return f"exit code {code}" + next((f", {reason}" for reason in reasons if reason in words), "")


@contextmanager
def prepared(folder: Path) -> Iterator[Ground]:
    mlflow = MlflowServer(folder)
    with ControlPlane(controllers=True) as plane:
        plane.define(*FILES.values())
        for namespace in NAMESPACES:
            plane.kubectl("create", "namespace", namespace)
        mlflow.start()
        options = ["--resync-period", str(RESYNC), "--poll-interval", "5", "--lease-duration", "15"]
        operators = {
            name: OperatorProcess(plane.kubeconfig, mlflow.url, folder, *options, name=name, lease=True)
            for name in REPLICAS
        }
        try:
            for operator in operators.values():
                operator.start()
            yield Ground(plane, mlflow, operators)
        finally:
            for operator in operators.values():
                if exit_code(operator) is None:
                    os.kill(pid(operator), signal.SIGCONT)
                operator.kill()
            mlflow.stop()


def _megabytes(process: int) -> float:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)
