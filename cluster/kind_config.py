"""What kind makes its cluster from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

# kubeadm asks for 0.85 of a processor for what stands idle here: on a machine with two, the pods of our own e2e tests
# found no room. The 0.1 of kind's own network stay.
ASK_FOR_NO_CPU: Final = (
    *("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
    "corednsdeployment",
)
# kube-proxy gathers changes for a second unless it is told not to, and refuses meanwhile who asks a Service whose pods
# are ready. On control groups of version 1 a kubelet ends at once unless it is told not to.
CONFIG: Final = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
  extraMounts:
  - hostPath: {patches}
    containerPath: /kind/patches
kubeadmConfigPatches:
- |
  kind: InitConfiguration
  patches:
    directory: /kind/patches
- |
  kind: KubeProxyConfiguration
  iptables:
    minSyncPeriod: 0.1s
- |
  kind: KubeletConfiguration
  failCgroupV1: false
"""


def written(folder: Path) -> Path:
    """The file that `kind create cluster --config` reads, and beside it the patches that kubeadm applies."""
    patches = folder / "patches"
    patches.mkdir(exist_ok=True)
    for target in ASK_FOR_NO_CPU:
        pod = "/spec/template/spec" if target.endswith("deployment") else "/spec"
        operation = {"op": "remove", "path": f"{pod}/containers/0/resources/requests/cpu"}
        (patches / f"{target}+json.json").write_text(json.dumps([operation]))
    config = folder / "kind.yaml"
    config.write_text(CONFIG.format(patches=json.dumps(str(patches))))
    return config
