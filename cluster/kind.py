"""The backend for machines with Docker, on the kind that pytest-kind fetches and drives."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest_kind.cluster as driver
from pytest_kind import KindCluster

from cluster import docker, images, paths
from cluster.command import run
from cluster.errors import ClusterError
from cluster.lock import exclusive
from cluster.progress import step
from cluster.references import repository
from cluster.versions import KIND, KUBERNETES, NODE_IMAGE

# Its own defaults are from 2022. Its environment variables would do, but it reads them when it is imported, and pytest
# imports it, as a plugin, long before this module.
driver.KIND_VERSION = KIND
driver.KUBECTL_VERSION = KUBERNETES

METRICS = "/apis/metrics.k8s.io/v1beta1"
METRICS_SERVER = "https://github.com/kubernetes-sigs/metrics-server/releases/latest/download/components.yaml"
CONFIG = """\
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
"""


class Kind:
    def __init__(self, name: str) -> None:
        self.name = name
        self.state = paths.state(name)
        self.kubeconfig = self.state / "kubeconfig"

    def build(self) -> None:
        _require_docker()
        self._cluster().ensure_kind()
        self._cluster().ensure_kubectl()

    def up(self) -> None:
        _require_docker()
        with exclusive(paths.states() / f".{self.name}.lock", f"another command on cluster {self.name}"):
            self.build()
            if self.name in self._names() and not self._node_runs():
                # A create that was interrupted leaves a cluster that kind calls existing and that never serves.
                self._cluster().delete()
            config = self.state / "kind.yaml"
            config.write_text(CONFIG)
            with step(f"Starting kind cluster {self.name}"):
                self._cluster().create(config)
            if not self.kubeconfig.stat().st_size:
                run(export_command(self._kind, self.name, self.kubeconfig))
            run(self.kubectl(["wait", "--for=condition=Ready", "nodes", "--all", "--timeout=180s"]))

    def load_image(self, *references: str) -> None:
        for reference in references:
            name, image_id = images.built(reference)
            if self._has(name, image_id):
                continue
            with step(f"Loading {name} into kind cluster {self.name}"):
                self._cluster().load_docker_image(name)
                digest = run(digest_command(self.name, name)).strip()
                # kind names the digest after itself; a revision is pinned to the image's own name@digest.
                run(tag_command(self.name, name, digest))

    def serve_metrics(self) -> None:
        asked = subprocess.run(self.kubectl(["get", "--raw", METRICS]), check=False, capture_output=True)
        if asked.returncode != 0:
            raise ClusterError(
                what=f"kind cluster {self.name} has no metrics-server",
                rule="autoscalers of CPU and memory ask it",
                remedy=f"kubectl apply -f {METRICS_SERVER}, with --kubelet-insecure-tls among its arguments",
            )

    def kubectl(self, arguments: Sequence[str]) -> list[str]:
        return [str(self._cluster().kubectl_path), f"--kubeconfig={self.kubeconfig}", *arguments]

    def status(self) -> dict[str, str]:
        if not docker.answers() or not self._kind.exists() or self.name not in self._names():
            return {}
        return {"cluster": "up" if self._node_runs() else "stopped; `up` starts it anew"}

    def down(self) -> None:
        _require_docker()
        if self._kind.exists() and self.name in self._names():
            with step(f"Taking kind cluster {self.name} down"):
                self._cluster().delete()
        shutil.rmtree(self.state, ignore_errors=True)

    @property
    def _kind(self) -> Path:
        return paths.cache() / f"kind-{KIND}"

    def _cluster(self) -> KindCluster:
        self.state.mkdir(parents=True, exist_ok=True)
        paths.cache().mkdir(parents=True, exist_ok=True)
        return KindCluster(
            self.name,
            kubeconfig=self.kubeconfig,
            image=NODE_IMAGE,
            kind_path=self._kind,
            kubectl_path=paths.cache() / f"kubectl-{KUBERNETES}",
        )

    def _names(self) -> list[str]:
        return run([self._kind, "get", "clusters", "--quiet"]).split()

    def _node_runs(self) -> bool:
        inspect = ["docker", "inspect", "--format", "{{.State.Running}}", node(self.name)]
        return subprocess.run(inspect, check=False, capture_output=True, text=True).stdout.strip() == "true"

    def _has(self, name: str, image_id: str) -> bool:
        asked = subprocess.run(
            ["docker", "exec", node(self.name), "crictl", "inspecti", name],
            check=False,
            capture_output=True,
            text=True,
        )
        return asked.returncode == 0 and image_id in asked.stdout


def node(name: str) -> str:
    return f"{name}-control-plane"


def export_command(kind: Path, name: str, kubeconfig: Path) -> list[str]:
    return [str(kind), "export", "kubeconfig", f"--name={name}", f"--kubeconfig={kubeconfig}"]


def digest_command(name: str, reference: str) -> list[str]:
    script = f"ctr --namespace k8s.io images list name=={reference} | awk 'NR==2 {{print $3}}'"
    return ["docker", "exec", node(name), "sh", "-c", script]


def tag_command(name: str, reference: str, digest: str) -> list[str]:
    ctr = ["ctr", "--namespace", "k8s.io", "images", "tag", "--force"]
    return ["docker", "exec", node(name), *ctr, reference, f"{repository(reference)}@{digest}"]


def _require_docker() -> None:
    if not docker.answers():
        raise ClusterError(
            what="no Docker daemon answers",
            rule="kind runs its node as a container",
            remedy="start Docker, or use --backend embedded as root",
        )
