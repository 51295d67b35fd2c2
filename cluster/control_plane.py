"""An API server and its etcd alone: no root, no namespaces, ready in seconds, several at once, gone with its user.

with ControlPlane() as plane:
    plane.kubectl("apply", "-f", "crds/")
    before = plane.audit.mark()
    …
    assert before.count(user_agent="tandem", writes=True) == 2
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any

import urllib3

from cluster import audit
from cluster.daemons import clean_environment, log_of, read_status, write_spec
from cluster.embedded import parts
from cluster.embedded.control_daemons import (
    LOOPBACK,
    Plan,
    add_control_credentials,
    apiserver,
    controller_manager,
    etcd,
)
from cluster.embedded.credentials import ADMINISTRATORS, Credentials, new_credentials
from cluster.errors import ClusterError
from cluster.ports import free_ports

READY_WITHIN = 120.0
POLL = 0.05
# The advertised address may not be loopback; nothing listens on this one (it is reserved for documentation).
NOWHERE = "198.51.100.1"
SERVICES = "10.255.0.0/16"
READER = "reader"


class ControlPlane:
    """`controllers` adds kube-controller-manager: Jobs then create Pods, and deletion collects children."""

    def __init__(self, *, controllers: bool = False, flags: Sequence[str] = (), state: Path | None = None) -> None:
        self._controllers = controllers
        self._flags = tuple(flags)
        self._own_state = state is None
        self.state = state or Path(tempfile.mkdtemp(prefix="tandem-control-plane-"))
        self.kubeconfig = self.state / "pki" / "admin.kubeconfig"
        self.audit_log = self.state / "audit.log"
        self.url = ""
        self._credentials: Credentials | None = None
        self._supervisor: subprocess.Popen[bytes] | None = None

    @property
    def audit(self) -> audit.AuditLog:
        return audit.AuditLog(self.audit_log)

    def __enter__(self) -> ControlPlane:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, tied: bool = True, started: Callable[[int], None] | None = None) -> None:
        """Tied, it ends with this program, however that ends; otherwise with its own process, told to `started`."""
        kubernetes = parts.ensure(parts.kubernetes())
        self._prepare(kubernetes.folder)
        options = [*(["--tied"] if tied else []), *(["--remove"] if self._own_state else [])]
        self._supervisor = subprocess.Popen(
            [sys.executable, "-m", "cluster.supervise", str(self.state), *options],
            stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.state / "supervisor.log").open("wb"),
            cwd=self.state,
            env=clean_environment(os.environ.get("PATH", os.defpath)),
            start_new_session=True,  # Ctrl-C is for the tests, which then stop it themselves
        )
        if started is not None:
            started(self._supervisor.pid)
        self._await_ready()

    def stop(self) -> None:
        if self._supervisor is not None:
            self._supervisor.terminate()
            self._supervisor.wait()
            if self._supervisor.stdin is not None:
                self._supervisor.stdin.close()
        if self._own_state:
            shutil.rmtree(self.state, ignore_errors=True)

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Another user's; the audit log and RBAC know the user by this name."""
        assert self._credentials is not None, "the control plane was not started"
        return self._credentials.add_config(f"user-{user.replace(':', '-')}", user, groups)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        kubectl = parts.kubernetes().binary("kubectl")
        done = subprocess.run(
            [str(kubectl), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise ClusterError(
                what=f"kubectl {' '.join(arguments)}: {done.stderr.strip()}",
                rule="the API server refused it",
                remedy=f"see {self.state / 'logs'}",
            )
        return done.stdout

    def get(self, path: str) -> dict[str, Any]:
        """As `kubectl get --raw`, for what is looked at again and again: a kubectl costs 70 ms of processor."""
        answer = self._reader.request("GET", f"{self.url}{path}")
        if answer.status >= 400:
            raise ClusterError(
                what=f"GET {path}: {answer.data.decode(errors='replace')}",
                rule="the API server refused it",
                remedy=f"see {self.state / 'logs'}",
            )
        found: dict[str, Any] = answer.json()
        return found

    @cached_property
    def _reader(self) -> urllib3.PoolManager:
        """Connections that stay: a handshake with a client certificate costs both sides more than an answer."""
        assert self._credentials is not None, "the control plane was not started"
        return urllib3.PoolManager(
            ca_certs=str(self._credentials.ca),
            cert_file=str(self._credentials.certificate(READER)),
            key_file=str(self._credentials.key(READER)),
            timeout=30,
            retries=False,
        )

    def define(self, *files: Path) -> None:
        """Custom resource definitions: applied, and returned from when they are served."""
        named = [f"--filename={file}" for file in files]
        self.kubectl("apply", "--server-side", *named)
        # Two waits: while a CRD has no conditions at all, waiting for one of them is an error (kubectl 1.34).
        self.kubectl("wait", "--for=jsonpath={.status.conditions[0].type}", "--timeout=60s", *named)
        self.kubectl("wait", "--for=condition=Established", "--timeout=60s", *named)

    def kill(self, daemon: str = "kube-apiserver") -> None:
        """A crash, for tests of faults: the daemon is started again on the same port with the same data."""
        before = read_status(self.state).daemons[daemon]
        os.kill(before.pid, signal.SIGKILL)
        self._await(lambda: read_status(self.state).daemons[daemon].starts > before.starts)

    def await_ready(self) -> None:
        self._await_ready()

    def _prepare(self, binaries: Path) -> None:
        api_port, etcd_port, peer_port, controllers_port = free_ports(4)
        self.url = f"https://{LOOPBACK}:{api_port}"
        name = "tandem-control-plane"
        self._credentials = new_credentials(name=name, url=self.url, folder=self.state / "pki")
        add_control_credentials(self._credentials, ())
        self._credentials.add_config("admin", "kubernetes-admin", (ADMINISTRATORS,))
        self._credentials.add_client(READER, "kubernetes-admin", (ADMINISTRATORS,))
        (self.state / "audit-policy.yaml").write_text(audit.POLICY)
        plan = Plan(
            binaries=binaries,
            data=self.state,
            credentials=self._credentials,
            etcd_port=etcd_port,
            etcd_peer_port=peer_port,
            api_port=api_port,
            api_bind=LOOPBACK,
            api_advertise=NOWHERE,
            services=SERVICES,
            stand_alone=True,
        )
        daemons = [etcd(plan), apiserver(plan, self._flags)]
        if self._controllers:
            daemons.append(controller_manager(plan, controllers_port))
        write_spec(self.state, daemons)

    def _await_ready(self) -> None:
        self._await(lambda: read_status(self.state).ready)

    def _await(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not condition():
            assert self._supervisor is not None
            failed = read_status(self.state).failed
            if failed or self._supervisor.poll() is not None or time.monotonic() > deadline:
                raise self._not_ready(failed)
            time.sleep(POLL)

    def _not_ready(self, failed: str) -> ClusterError:
        waiting = failed or next(
            (name for name, now in read_status(self.state).daemons.items() if not now.ready), "the supervisor"
        )
        log = log_of(self.state, waiting) if waiting != "the supervisor" else self.state / "supervisor.log"
        last = "\n".join(log.read_text(errors="replace").splitlines()[-8:]) if log.exists() else ""
        return ClusterError(
            what=f"{waiting} did not become ready:\n{last}\n",
            rule=f"a control plane serves within {READY_WITHIN:.0f} s",
            remedy="look at the lines above; a busy machine may simply need another try",
        )
