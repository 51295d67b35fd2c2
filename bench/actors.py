"""Who is measured: operators as processes of their own, each with a user of its own in the audit log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import msgspec

from bench.audit import Tail
from bench.observed import STARTED, Seen
from bench.workload import IMAGE
from cluster.control_plane import ControlPlane
from cluster.embedded.credentials import ADMINISTRATORS
from cluster.ports import free_ports

ROOT = Path(__file__).parent.parent
READY_WITHIN = 120.0
_QUIET = 0.5
_TICKS = os.sysconf("SC_CLK_TCK")
_numbers = count(1)


@dataclass(frozen=True)
class Actor:
    """How one of them is started; ``{mlflow}`` stands for the address of the stub."""

    name: str
    what: str  # for the table
    module: str = ""
    arguments: Sequence[str] = ()

    @property
    def is_process(self) -> bool:
        return bool(self.module)


def _tandem(name: str, what: str, module: str, first: Sequence[str], rate: int) -> Actor:
    options = ["operator", "--mlflow-uri", "{mlflow}", "--runtime-image", IMAGE, "--no-lease"]
    options += ["--health-port", "0", "--metrics-port", "0", "--requests-per-second", str(rate)]
    return Actor(name, what, module, (*first, *options))


UNLIMITED = 100_000
BARE = Actor("bare client", "aiohttp; makes the resource, its Job and its status itself, no operator at all")
TANDEM = _tandem(
    "Tandem",
    "`tandem operator`, its limit of requests lifted; makes an MLflow run first (seven requests to a stub)",
    "tandem.cli",
    (),
    UNLIMITED,
)
ENGINE = _tandem(
    "Tandem without HTTP to MLflow",
    "the same process, MLflow's answers from memory: the engine and the plan alone",
    "bench.observed",
    ("--tracking-in-memory",),
    UNLIMITED,
)
SHIPPED = _tandem(
    "Tandem as it is installed",
    "with its limit of 200 requests a second, so that it never starves an API server: 100 starts a second at best",
    "tandem.cli",
    (),
    200,
)
KOPF = Actor(
    "naive kopf operator",
    "`bench/naive_kopf.py`: `on.create`, synchronous client, status by `patch`; no MLflow, no check of its own work",
    "bench.naive_kopf",
)


class Process:
    def __init__(self, process: subprocess.Popen[bytes], user: str, log: Path, tail: Tail) -> None:
        self.user = user
        self.tail = tail  # its requests since it was started
        self._process = process
        self._log = log

    @property
    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory(self, of: str = "VmRSS") -> float:
        """MB; VmRSS now, VmHWM at most."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith(f"{of}:"):
                return int(line.split()[1]) / 1000
        raise LookupError(of)

    def check(self) -> None:
        """Raises RuntimeError with the end of its log if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"{self.user} ended:\n{self._log.read_text(errors='replace')[-4000:]}")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def started(plane: ControlPlane, actor: Actor, mlflow: str) -> Iterator[Process]:
    """The actor as a process, ready as soon as it watches; it ends with the block."""
    user = f"bench-{next(_numbers)}-{actor.name.split()[0].lower()}"
    kubeconfig = plane.kubeconfig_for(user, [ADMINISTRATORS])
    command = [part.format(mlflow=mlflow) for part in actor.arguments]
    log = plane.state / f"{user}.log"
    tail = Tail(plane.audit_log, user)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", actor.module, *command],
            env=environment() | {"KUBECONFIG": str(kubeconfig), STARTED: repr(time.time())},
            stdout=output,
            stderr=output,
            cwd=ROOT,
        )
    running = Process(process, user, log, tail)
    try:
        tail.await_watch("trainingjobs", READY_WITHIN)
        tail.await_quiet(_QUIET)  # it may watch more than that
        running.check()
        yield running
    except Exception:
        running.check()
        raise
    finally:
        running.stop()


@contextmanager
def mlflow_stub() -> Iterator[str]:
    """Its address."""
    command = [sys.executable, "-m", "bench.mlflow_stub"]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.terminate()


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}{os.pathsep}{ROOT}"}


def probe_port() -> int:
    return free_ports(1)[0]


def seen(port: int) -> Seen:
    """Raises OSError while nobody answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10) as answer:
        return msgspec.json.decode(answer.read(), type=Seen)
