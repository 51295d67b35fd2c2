"""Who is measured: operators as processes of their own, each with a user of its own in the audit log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
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
    """How one of them is started; ``{mlflow}`` stands for the address of the stub, ``{port}`` for one that is free.

    A module is run by Python, a program by itself; with neither it is the bench's own client.
    """

    name: str
    what: str  # for the table
    module: str = ""
    arguments: Sequence[str] = ()
    program: str = ""
    watches: str = "trainingjobs"  # it is ready when it does
    asks_mlflow: bool = False  # the bare client, too

    @property
    def is_process(self) -> bool:
        return bool(self.module or self.program)

    @property
    def command(self) -> list[str]:
        return [self.program] if self.program else [sys.executable, "-m", self.module]


def _tandem(name: str, what: str, module: str, first: Sequence[str], rate: int, lease: str = "--no-lease") -> Actor:
    options = ["operator", "--mlflow-uri", "{mlflow}", "--runtime-image", IMAGE, lease]
    options += ["--health-port", "0", "--metrics-port", "0", "--requests-per-second", str(rate)]
    return Actor(name, what, module, (*first, *options))


UNLIMITED = 100_000
BARE = Actor("bare client", "aiohttp; makes the resource, its Job and its status itself, no operator at all")
BARE_MLFLOW = Actor(
    "bare client with MLflow",
    "the same, and before each Job the three requests to the stub that Tandem makes",
    asks_mlflow=True,
)
TANDEM = _tandem(
    "Tandem",
    "`tandem operator`, its limit of requests lifted; makes an MLflow run first (three requests to the stub)",
    "bench.observed",
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
    "bench.observed",
    (),
    200,
)
REPLICA = _tandem("Tandem, one of two", "as it is installed, leading by a Lease", "bench.observed", (), 200, "--lease")
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
        self._may_end = False

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
        """Raises RuntimeError with the end of its log if it has ended, and was not meant to."""
        if self._process.poll() is not None and not self._may_end:
            raise RuntimeError(f"{self.user} ended:\n{self._log.read_text(errors='replace')[-4000:]}")

    def send(self, signal_: signal.Signals) -> None:
        """Whatever is sent, it may end from now on."""
        self._may_end = True
        self._process.send_signal(signal_)

    def await_end(self, seconds: float) -> int:
        """Its exit code. It ends by itself: whoever has lost the lease has to."""
        self._may_end = True
        return self._process.wait(seconds)

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def started(
    plane: ControlPlane, actor: Actor, mlflow: str, environ: Mapping[str, str] | None = None, url: str = ""
) -> Iterator[Process]:
    """The actor as a process, ready as soon as it watches; it ends with the block.

    ``url``: where it finds the API server, if not at its own address.
    """
    number = next(_numbers)
    user = f"bench-{number}-{actor.name.split()[0].strip(',').lower()}"
    kubeconfig = plane.kubeconfig_for(user, [ADMINISTRATORS])
    if url:
        kubeconfig = _pointed_at(kubeconfig, plane.url, url)
    port = str(free_ports(1)[0])
    arguments = [part.format(mlflow=mlflow, port=port) for part in actor.arguments]
    log = plane.state / f"{user}.log"
    tail = Tail(plane.audit_log, user)
    own = {"KUBECONFIG": str(kubeconfig), STARTED: repr(time.time()), **(environ or {})}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*actor.command, *arguments], env=environment() | own, stdout=output, stderr=output, cwd=ROOT
        )
    running = Process(process, user, log, tail)
    try:
        tail.await_watch(actor.watches, READY_WITHIN, running.check)
        tail.await_quiet(_QUIET)  # it may watch more than that
        running.check()
        yield running
    except Exception:
        running.check()
        raise
    finally:
        running.stop()


def _pointed_at(kubeconfig: Path, server: str, other: str) -> Path:
    copy = kubeconfig.with_suffix(".elsewhere")
    copy.touch(mode=0o600)
    copy.write_text(kubeconfig.read_text().replace(server, other))
    return copy


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
