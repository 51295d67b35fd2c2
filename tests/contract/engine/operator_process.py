"""``tandem operator`` as a process of its own, against a real API server and a real MLflow."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from cluster.audit import AuditLog

SOURCES = Path(__file__).parents[3] / "operator"
# Seconds; a fraction of it on a quiet machine, all of it on one that does ten other things.
PATIENCE = 40.0


class OperatorProcess:
    """One replica. Its name is its user agent, so the audit log tells what it did."""

    def __init__(
        self, kubeconfig: Path, mlflow_uri: str, folder: Path, *arguments: str, name: str = "one", lease: bool = False
    ) -> None:
        self.name = name
        self.health_port, self.metrics_port = _free_port(), _free_port()
        self.log_file = folder / f"{name}.log"
        self._environ = {
            **os.environ,
            "PYTHONPATH": str(SOURCES),
            "KUBECONFIG": str(kubeconfig),
            "POD_NAME": name,
            "POD_NAMESPACE": "default",
        }
        self._command = [sys.executable, "-m", "tandem.cli", "operator", "--mlflow-uri", mlflow_uri]
        self._command += ["--runtime-image", "tandem/runtime:test", "--poll-interval", "0.5", "--resync-period", "1"]
        self._command += ["--health-port", str(self.health_port), "--metrics-port", str(self.metrics_port)]
        self._command += ["--lease" if lease else "--no-lease", "--lease-duration", "8", *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def user_agent(self) -> str:
        return f"tandem-operator/{self.name}"

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self, stderr: int | None = None, environ: dict[str, str] | None = None) -> None:
        """``stderr``: a descriptor that takes the log instead of the file; ``environ``: further variables."""
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environ | (environ or {}), stdout=log, stderr=log if stderr is None else stderr
            )

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def terminate(self) -> tuple[int, float]:
        """SIGTERM; the exit code, and the seconds until it came."""
        assert self._process is not None
        started = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30), time.monotonic() - started

    def writes(self, audit: AuditLog, namespace: str) -> Counter[tuple[str, str]]:
        """(verb, resource) → how often."""
        found = audit.requests(user_agent=self.user_agent, writes=True, namespace=namespace)
        return Counter((request.verb, request.resource) for request in found)

    def probe(self, path: str) -> int:
        """The status of ``/healthz`` or ``/readyz``; 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}{path}", timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def healthz(self) -> str:
        """What is wrong with it; "ok" when nothing is."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}/healthz", timeout=2) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def metrics(self) -> str:
        """As Prometheus reads them."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5) as answer:
            return str(answer.read().decode())

    def await_ready(self) -> None:
        self.await_that(lambda: self.probe("/readyz") == 200, "it is ready")

    def await_resyncs(self, audit: AuditLog, times: int) -> None:
        """``times`` comparisons of everything that began after now, and what they led to."""
        since = audit.mark()

        def lists() -> int:
            # The kind that is listed first: one more of its lists means that everything before was looked at.
            return since.count(user_agent=self.user_agent, verb="list", resource="trainingjobs")

        self.await_that(lambda: lists() > times, f"{times} resyncs")

    def await_end(self) -> int:
        """The exit code."""
        assert self._process is not None
        return self._process.wait(PATIENCE)

    def await_that(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if self._process is not None and self._process.poll() is not None:
                raise AssertionError(f"the operator ended while {what} was awaited:\n{self.log[-4000:]}")
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {PATIENCE:.0f} s: {what}\n{self.log[-4000:]}")
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
