"""etcd, the API server, the controllers and the scheduler: how each is started and when it is ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.daemons import Daemon
from cluster.embedded.credentials import Credentials

LOOPBACK = "127.0.0.1"
FRONT_PROXY = "front-proxy-client"
# With the defaults (20 and 30 a second) 10,000 Jobs take the controllers 25 minutes.
CLIENT_LIMITS = ("--kube-api-qps=1000", "--kube-api-burst=2000")
# Counting tests read the log from a byte offset: it must not be rotated under them.
AUDIT_MEGABYTES = 4000


@dataclass(frozen=True)
class Plan:
    """All paths are as the daemons see them."""

    binaries: Path
    data: Path
    credentials: Credentials
    etcd_port: int
    etcd_peer_port: int
    api_port: int
    api_bind: str
    api_advertise: str
    services: str
    stand_alone: bool = False  # no node: nothing could reach the address in the `kubernetes` Service

    @property
    def etcd_url(self) -> str:
        return f"http://{LOOPBACK}:{self.etcd_port}"


def etcd(plan: Plan) -> Daemon:
    peer = f"http://{LOOPBACK}:{plan.etcd_peer_port}"
    argv = (
        str(plan.binaries / "etcd"),
        "--name=default",
        f"--data-dir={plan.data / 'etcd'}",
        f"--listen-client-urls={plan.etcd_url}",
        f"--advertise-client-urls={plan.etcd_url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # a cluster that is thrown away has nothing to lose in a power cut
        "--quota-backend-bytes=8589934592",  # ten thousand Jobs with their events outgrow the default of 2 GiB
        "--log-level=warn",
    )
    return Daemon("etcd", argv, ready=f"{plan.etcd_url}/health")


def apiserver(plan: Plan, extra: Sequence[str] = ()) -> Daemon:
    pki = plan.credentials
    argv = (
        str(plan.binaries / "kube-apiserver"),
        f"--etcd-servers={plan.etcd_url}",
        f"--secure-port={plan.api_port}",
        f"--bind-address={plan.api_bind}",
        f"--advertise-address={plan.api_advertise}",
        f"--endpoint-reconciler-type={'none' if plan.stand_alone else 'lease'}",
        f"--service-cluster-ip-range={plan.services}",
        f"--tls-cert-file={pki.certificate('apiserver')}",
        f"--tls-private-key-file={pki.key('apiserver')}",
        f"--client-ca-file={pki.ca}",
        f"--kubelet-client-certificate={pki.certificate('apiserver-to-kubelet')}",
        f"--kubelet-client-key={pki.key('apiserver-to-kubelet')}",
        # By its name, as the default has it, `kubectl logs` would look up a host that no resolver knows.
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={pki.signing_key}",
        f"--service-account-signing-key-file={pki.signing_key}",
        # Who asks it to ask an API of somebody else's (metrics-server's) is told to that one in these headers.
        f"--requestheader-client-ca-file={pki.ca}",
        f"--requestheader-allowed-names={FRONT_PROXY}",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki.certificate(FRONT_PROXY)}",
        f"--proxy-client-key-file={pki.key(FRONT_PROXY)}",
        "--enable-aggregator-routing=true",  # asks the pods themselves: from here no route leads to a ClusterIP
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--audit-policy-file={plan.data / 'audit-policy.yaml'}",
        f"--audit-log-path={plan.data / 'audit.log'}",
        f"--audit-log-maxsize={AUDIT_MEGABYTES}",
        "--profiling=false",
        *extra,
    )
    return Daemon("kube-apiserver", argv, ready=f"https://{LOOPBACK}:{plan.api_port}/readyz", after=("etcd",))


def controller_manager(plan: Plan, port: int) -> Daemon:
    pki = plan.credentials
    config = pki.config("controller-manager")
    argv = (
        str(plan.binaries / "kube-controller-manager"),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        f"--root-ca-file={pki.ca}",
        f"--service-account-private-key-file={pki.signing_key}",
        f"--cluster-signing-cert-file={pki.ca}",
        f"--cluster-signing-key-file={pki.key('ca')}",
        "--use-service-account-credentials=true",
        f"--flex-volume-plugin-dir={plan.data / 'volume-plugins'}",  # the default is made on the machine's /usr
        "--leader-elect=false",
        "--concurrent-job-syncs=20",
        "--horizontal-pod-autoscaler-sync-period=1s",  # 15 by default: tests wait for it
        f"--service-cluster-ip-range={plan.services}",
        *CLIENT_LIMITS,
    )
    ready = f"https://{LOOPBACK}:{port}/healthz"
    return Daemon("kube-controller-manager", argv, ready, after=("kube-apiserver",))


def scheduler(plan: Plan, port: int) -> Daemon:
    config = plan.credentials.config("scheduler")
    argv = (
        str(plan.binaries / "kube-scheduler"),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={port}",
        "--leader-elect=false",
        *CLIENT_LIMITS,
    )
    return Daemon("kube-scheduler", argv, ready=f"https://{LOOPBACK}:{port}/healthz", after=("kube-apiserver",))


def add_control_credentials(credentials: Credentials, reached_as: Sequence[str]) -> None:
    names = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    credentials.add_server("apiserver", (*names, "localhost", LOOPBACK, *reached_as))
    credentials.add_client("apiserver-to-kubelet", "kube-apiserver", ("system:masters",))
    credentials.add_client(FRONT_PROXY, FRONT_PROXY)
    credentials.add_config("controller-manager", "system:kube-controller-manager")
    credentials.add_config("scheduler", "system:kube-scheduler")
