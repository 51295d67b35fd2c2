"""containerd, the kubelet and kube-proxy: their files and how each is started. All paths are as the node sees them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cluster.daemons import Daemon
from cluster.embedded import debian
from cluster.embedded.credentials import Credentials
from cluster.embedded.network import Slot

STATE = Path("/run/tandem/state")
CACHE = Path("/run/tandem/cache")
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
CLUSTER_DOMAIN = "cluster.local"
MOST_PODS = 250
CAP_SYS_RESOURCE = 24


@dataclass(frozen=True)
class NodePlan:
    name: str
    slot: Slot
    kubernetes: Path
    containerd: Path
    credentials: Credentials
    sandbox_image: str
    cgroup_root: str
    unified_cgroups: bool


def write_files(plan: NodePlan, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "containerd.toml").write_text(_containerd_toml(plan))
    (folder / "cni").mkdir(exist_ok=True)
    (folder / "cni" / "10-tandem.conflist").write_text(json.dumps(_cni(plan.slot), indent=1))
    (folder / "kubelet.yaml").write_text(json.dumps(_kubelet(plan), indent=1))
    (folder / "kube-proxy.yaml").write_text(json.dumps(_proxy(plan), indent=1))
    # What pods with `dnsPolicy: Default` get: without a way out there is no resolver to name.
    (folder / "resolv.conf").write_text("")


def containerd(plan: NodePlan) -> Daemon:
    argv = (str(plan.containerd / "containerd"), "--config", str(STATE / "node" / "containerd.toml"))
    # containerd finds its shim next to runc, on the PATH.
    path = f"{plan.containerd}:{debian.SYSTEM_PATH}"
    # Of the daemons it alone has much to do, when many pods start; before the pods it would starve those that run.
    return Daemon("containerd", argv, "http://127.0.0.1:1338/v1/metrics", env={"PATH": path}, own_session=True)


def kubelet(plan: NodePlan) -> Daemon:
    argv = (
        str(plan.kubernetes / "kubelet"),
        f"--config={STATE / 'node' / 'kubelet.yaml'}",
        f"--kubeconfig={plan.credentials.config('kubelet')}",
        f"--hostname-override={plan.name}",
        f"--node-ip={plan.slot.node}",
    )
    after = ("containerd", "kube-apiserver")
    return Daemon("kubelet", argv, "http://127.0.0.1:10248/healthz", after, {"PATH": debian.SYSTEM_PATH})


def proxy(plan: NodePlan) -> Daemon:
    argv = (str(plan.kubernetes / "kube-proxy"), f"--config={STATE / 'node' / 'kube-proxy.yaml'}")
    after = ("kube-apiserver",)
    return Daemon("kube-proxy", argv, "http://127.0.0.1:10256/healthz", after, {"PATH": debian.SYSTEM_PATH})


def add_node_credentials(credentials: Credentials, name: str, address: str) -> None:
    credentials.add_server("kubelet-server", (name, address))
    credentials.add_config("kubelet", f"system:node:{name}", ("system:nodes",))
    credentials.add_config("kube-proxy", "system:kube-proxy")


def _containerd_toml(plan: NodePlan) -> str:
    runtime = "plugins.'io.containerd.cri.v1.runtime'"
    return f"""\
version = 3
root = '/var/lib/containerd'
state = '/run/containerd'
imports = []

[grpc]
  address = '{CONTAINERD_SOCKET}'
[metrics]
  address = '127.0.0.1:1338'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{plan.sandbox_image}'
[{runtime}]
  disable_apparmor = true  # a profile that is loaded stays in the kernel when the cluster is gone
  restrict_oom_score_adj = {"false" if _may_lower_oom_scores() else "true"}
[{runtime}.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
[{runtime}.containerd.runtimes.runc.options]
  BinaryName = '{debian.where("runc")}'
  SystemdCgroup = false
[{runtime}.cni]
  bin_dirs = ['{debian.CNI_PLUGINS}']
  conf_dir = '{STATE / "node" / "cni"}'
[plugins.'io.containerd.internal.v1.opt']
  path = '/var/lib/containerd-opt'
[plugins.'io.containerd.nri.v1.nri']
  disable = true
"""


def _may_lower_oom_scores() -> bool:
    """Root in a sandbox often lacks this capability; runc then fails every pod with "can't get final child's PID"."""
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> CAP_SYS_RESOURCE & 1)


def _cni(slot: Slot) -> dict[str, object]:
    # A routed pair per pod instead of a bridge: traffic from a pod to a Service that leads to its neighbour passes
    # kube-proxy's rules both ways, without the br_netfilter module that a bridge would need.
    addresses = {
        "type": "host-local",
        "ranges": [[{"subnet": slot.pods}]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": "/run/cni-addresses",
    }
    return {
        "cniVersion": "1.0.0",
        "name": "tandem",
        "plugins": [
            {"type": "ptp", "ipMasq": False, "ipam": addresses},
            {"type": "portmap", "capabilities": {"portMappings": True}},
        ],
    }


def _kubelet(plan: NodePlan) -> dict[str, object]:
    pki = plan.credentials
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "0.0.0.0",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(pki.ca)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(pki.certificate("kubelet-server")),
        "tlsPrivateKeyFile": str(pki.key("kubelet-server")),
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": plan.cgroup_root,
        **({} if plan.unified_cgroups else {"failCgroupV1": False}),
        "failSwapOn": False,
        "clusterDNS": [plan.slot.dns],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(STATE / "node" / "resolv.conf"),
        "volumePluginDir": "/var/lib/kubelet/volume-plugins",
        "maxPods": MOST_PODS,
        "registerNode": True,
        # This machine's disk is its owner's concern: an almost full one must neither evict a pod nor lose an image
        # that can be pulled from nowhere.
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%", "imagefs.available": "0%"},
        "syncFrequency": "10s",
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "eventRecordQPS": 0,
    }


def _proxy(plan: NodePlan) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(plan.credentials.config("kube-proxy"))},
        "mode": "iptables",
        "clusterCIDR": plan.slot.pods,
        "hostnameOverride": plan.name,
        "healthzBindAddress": "127.0.0.1:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        # The default of one second, meant for thousands of Services, is what a client of a new pod would wait.
        "iptables": {"minSyncPeriod": "0.1s"},
        # These limits are the whole machine's, not this namespace's: they are left as they are.
        "conntrack": {
            "maxPerCore": 0,
            "min": 0,
            "tcpEstablishedTimeout": "0s",
            "tcpCloseWaitTimeout": "0s",
        },
    }
