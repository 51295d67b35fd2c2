"""What every cluster has besides its daemons: names, and volumes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from cluster.embedded.network import Slot
from cluster.embedded.node_daemons import CLUSTER_DOMAIN

STORAGE_CLASS = "standard"
# Enough for a test run that claims and releases; a released volume is not handed out again.
VOLUMES = {"1Gi": 12, "5Gi": 12, "20Gi": 6}
DNS_LABELS = {"k8s-app": "kube-dns"}


def manifests(slot: Slot, dns_image: str, volumes_on_node: Path) -> str:
    items = [*_dns(slot, dns_image), _storage_class(), *_volumes(volumes_on_node)]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def make_volume_folders(folder: Path) -> None:
    for name, _ in _volume_names():
        path = folder / name
        path.mkdir(parents=True, exist_ok=True)
        # fsGroup does not apply to a hostPath volume: without this only root could write.
        path.chmod(0o777)


def _volume_names() -> Iterator[tuple[str, str]]:
    for size, count in VOLUMES.items():
        for number in range(1, count + 1):
            yield f"{STORAGE_CLASS}-{size.lower()}-{number}", size


def _volumes(folder: Path) -> Iterator[dict[str, object]]:
    for name, size in _volume_names():
        spec = {
            "capacity": {"storage": size},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
            "hostPath": {"path": str(folder / name), "type": "Directory"},
        }
        yield {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}


def _storage_class() -> dict[str, object]:
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {
            "name": STORAGE_CLASS,
            "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
        },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    }


def _corefile() -> str:
    # Names outside the cluster are answered with "no such name" at once: there is no way out that could know them.
    # They need a block of their own, because `template` comes before `kubernetes` whatever the order here.
    return f"""\
{CLUSTER_DOMAIN}:53 in-addr.arpa:53 ip6.arpa:53 {{
    errors
    health
    ready
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        ttl 5
    }}
    prometheus :9153
    cache 5
    loadbalance
}}
.:53 {{
    errors
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""


def _dns(slot: Slot, image: str) -> Iterator[dict[str, object]]:
    account = {"name": "coredns", "namespace": "kube-system"}
    yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:coredns"},
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["endpoints", "services", "pods", "namespaces"],
                "verbs": ["list", "watch"],
            },
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    }
    yield {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"kind": "ServiceAccount", **account}],
    }
    yield {"apiVersion": "v1", "kind": "ConfigMap", "metadata": account, "data": {"Corefile": _corefile()}}
    yield {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {**account, "labels": DNS_LABELS},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": DNS_LABELS},
            "template": {"metadata": {"labels": DNS_LABELS}, "spec": _dns_pod(image)},
        },
    }
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": DNS_LABELS},
        "spec": {
            "clusterIP": slot.dns,
            "selector": DNS_LABELS,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP"},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
                {"name": "metrics", "port": 9153, "protocol": "TCP"},
            ],
        },
    }


def _dns_pod(image: str) -> dict[str, object]:
    return {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "dnsPolicy": "Default",
        "containers": [
            {
                "name": "coredns",
                "image": image,
                "imagePullPolicy": "Never",
                "args": ["-conf", "/etc/coredns/Corefile"],
                "resources": {"requests": {"cpu": "10m", "memory": "30Mi"}, "limits": {"memory": "170Mi"}},
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
                "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "initialDelaySeconds": 30},
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
                },
                "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
