"""Where it runs: one control plane without controllers, Tandem's two kinds, eight namespaces, a stub of MLflow."""

from __future__ import annotations

import asyncio
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

import msgspec

from bench.actors import ROOT, mlflow_stub
from bench.audit import Tail
from bench.client import Client, connected
from bench.mlflow_stub import ASKED
from bench.workload import NAMESPACES, Workload
from cluster.control_plane import ControlPlane
from cluster.embedded.credentials import ADMINISTRATORS

_prefixes = count(1)
_USER = "bench-client"


@dataclass(frozen=True)
class Ground:
    plane: ControlPlane
    mlflow: str

    def workload(self) -> Workload:
        """Names that were never used before."""
        return Workload(f"r{next(_prefixes)}", self.mlflow)

    def client_tail(self) -> Tail:
        """The requests of :meth:`do`, from now on."""
        return Tail(self.plane.audit_log, _USER)

    def asked_mlflow(self) -> Counter[str]:
        """Call → how often it was made until now, by anybody."""
        with urllib.request.urlopen(f"{self.mlflow}{ASKED}", timeout=10) as answer:
            return Counter(msgspec.json.decode(answer.read(), type=dict[str, int]))

    def do(self, work: Callable[[Client], Awaitable[None]]) -> None:
        """Something with the bare client."""

        async def connect_and_work() -> None:
            kubeconfig = self.plane.state / "pki" / f"user-{_USER}.kubeconfig"
            async with connected(self.plane.url, kubeconfig) as client:
                await work(client)

        asyncio.run(connect_and_work())

    def clear(self) -> None:
        self.do(Client.clear)


@contextmanager
def prepared() -> Iterator[Ground]:
    with ControlPlane() as plane, mlflow_stub() as mlflow:
        plane.define(ROOT / "crds/trainingjobs.yaml", ROOT / "crds/appdeployments.yaml")
        for namespace in NAMESPACES:
            plane.kubectl("create", "namespace", namespace)
        plane.kubeconfig_for(_USER, [ADMINISTRATORS])
        yield Ground(plane, mlflow)
