"""Traefik as a process of this machine, for whatever it is to learn from a cluster."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cluster.ports import free_ports
from tests.contract.apps.gateway_build import traefik

WITHIN: Final = 60.0  # seconds


@contextmanager
def serving(port: int, kubeconfig: Path, log: Path, *provider: str) -> Iterator[None]:
    """It listens on this port of the loopback; what it routes comes when its provider has told it."""
    [admin] = free_ports(1)
    words = [
        *provider,
        f"--entrypoints.web.address=127.0.0.1:{port}",
        f"--entrypoints.traefik.address=127.0.0.1:{admin}",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
    ]
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    with (
        log.open("wb") as told,
        subprocess.Popen([traefik(), *words], env=environment, stdout=told, stderr=told) as process,
    ):
        try:
            _await(process, port, log)
            yield
        finally:
            process.kill()


def _await(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    end = time.monotonic() + WITHIN
    while process.poll() is None and time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    how = "does not listen" if process.poll() is None else f"ended with code {process.returncode}"
    raise TimeoutError(f"Traefik {how} (port {port}, within {WITHIN:.0f} s):\n{log.read_text()[-2000:]}")
