"""The backend for machines with Docker, on the kind that pytest-kind fetches and drives."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest_kind.cluster as driver
from pytest_kind import KindCluster

from cluster import docker, images, kind_config, paths
from cluster.command import run
from cluster.embedded import metrics, parts
from cluster.embedded.archive import NOBODY, write_binary_image
from cluster.errors import ClusterError, not_running
from cluster.lock import exclusive
from cluster.progress import step
from cluster.references import repository
from cluster.versions import KIND, KUBERNETES, NODE_IMAGE

# Its own defaults are from 2022. Its environment variables would do, but it reads them when it is imported, and pytest
# imports it, as a plugin, long before this module.
driver.KIND_VERSION = KIND
driver.KUBECTL_VERSION = KUBERNETES

READY_WITHIN = 180.0
PATIENCE = f"--timeout={READY_WITHIN:.0f}s"
POLL = 0.5
CTR = ("ctr", "--namespace", "k8s.io", "images")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Kind:
    routes_pods = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = paths.state(name)
        self.kubeconfig = self.state / "kubeconfig"

    def build(self) -> None:
        _require_docker()
        with exclusive(paths.cache() / "kind.lock", "another fetch of kind"), _driven():
            self._cluster().ensure_kind()
            self._cluster().ensure_kubectl()

    def up(self) -> None:
        _require_docker()
        with self._lock():
            self.build()
            exists = self.name in self._names()
            if exists and (self._creating.exists() or not self._node_runs()):
                # kind calls it existing as soon as there is a container; what a create did not finish never serves.
                self._delete()
                exists = False
            if not exists:
                self._create()
            if not _has_content(self.kubeconfig):
                self.state.mkdir(parents=True, exist_ok=True)
                run(export_command(self._kind, self.name, self.kubeconfig))
            with step(f"Waiting for kind cluster {self.name}"):
                self._await_server()
                run(self.kubectl(["wait", "--for=condition=Ready", "nodes", "--all", PATIENCE]))
                run(self.kubectl(["--namespace=kube-system", "rollout", "status", "deployment/coredns", PATIENCE]))

    def load_image(self, *references: str) -> None:
        self._require_running()
        for reference in references:
            name, image_id = images.built(reference)
            with self._lock():
                if self._has(name, image_id):
                    continue
                with step(f"Loading {name} into kind cluster {self.name}"):
                    archive = self.state / "image.tar"
                    images.builder().export(name, archive)
                    run(import_command(self.name), stdin=archive)
                    archive.unlink()
                    # A revision is pinned to name@digest, and nothing could be pulled under that name.
                    run(tag_command(self.name, name, self._digest(name)))

    def serve_metrics(self) -> None:
        """One that somebody has installed stays as it is; kind itself brings none."""
        self._require_running()
        api_service = f"apiservice/{metrics.API_SERVICE}"
        asked = subprocess.run(self.kubectl(["get", api_service]), check=False, capture_output=True)
        if asked.returncode != 0:
            self._install_metrics_server()
        with step(f"Waiting for metrics of kind cluster {self.name}"):
            run(self.kubectl(["wait", "--for=condition=Available", api_service, PATIENCE]))

    def kubectl(self, arguments: Sequence[str]) -> list[str]:
        return [str(self._kubectl), f"--kubeconfig={self.kubeconfig}", *arguments]

    def status(self) -> dict[str, str]:
        if not docker.answers() or not self._kind.exists() or self.name not in self._names():
            return {}
        if self._creating.exists():
            return {"cluster": "half up; `up` starts it anew"}
        return {"cluster": "up" if self._node_runs() else "stopped; `up` starts it anew"}

    def down(self) -> None:
        _require_docker()
        with self._lock():
            if self._kind.exists() and self.name in self._names():
                with step(f"Taking kind cluster {self.name} down"):
                    self._delete()
            shutil.rmtree(self.state, ignore_errors=True)

    @property
    def _kind(self) -> Path:
        return paths.cache() / f"kind-{KIND}"

    @property
    def _kubectl(self) -> Path:
        return paths.cache() / f"kubectl-{KUBERNETES}"

    @property
    def _creating(self) -> Path:
        """There while a create is under way, and after one that was interrupted."""
        return self.state / "creating"

    def _lock(self) -> AbstractContextManager[None]:
        return exclusive(paths.states() / f".{self.name}.lock", f"another command on cluster {self.name}")

    def _create(self) -> None:
        self.state.mkdir(parents=True, exist_ok=True)
        self._creating.touch()
        config = kind_config.written(self.state)
        with step(f"Starting kind cluster {self.name}"), _driven():
            self._cluster().create(config)
        self._creating.unlink()

    def _install_metrics_server(self) -> None:
        part = parts.ensure(parts.metrics_server())
        with self._lock():
            archive, manifests = self.state / "image.tar", self.state / "metrics-server.json"
            write_binary_image(archive, part.image, part.binary(part.name), user=NOBODY)
            run(import_command(self.name), stdin=archive)
            archive.unlink()
            items = list(metrics.manifests(part.image, metrics.UNVERIFIED))
            manifests.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
            run(self.kubectl(["apply", "--server-side", "--force-conflicts", f"--filename={manifests}"]))

    def _await_server(self) -> None:
        """Docker starts the node again with the machine; until it has read who may do what, it refuses everybody."""
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                run(self.kubectl(["get", "--raw", "/readyz"]))
            except ClusterError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL)
            else:
                return

    def _delete(self) -> None:
        with _driven():
            self._cluster().delete()

    def _cluster(self) -> KindCluster:
        return _Driver(self.name, self.kubeconfig, kind_path=self._kind, kubectl_path=self._kubectl)

    def _names(self) -> list[str]:
        return run([self._kind, "get", "clusters", "--quiet"]).split()

    def _node_runs(self) -> bool:
        inspect = ["docker", "inspect", "--format", "{{.State.Running}}", node(self.name)]
        return subprocess.run(inspect, check=False, capture_output=True, text=True).stdout.strip() == "true"

    def _require_running(self) -> None:
        if not self._node_runs():
            raise not_running(self.name)

    def _has(self, name: str, image_id: str) -> bool:
        """Under both its names: a load may have ended in between."""
        asked = subprocess.run(inspect_command(self.name, name), check=False, capture_output=True, text=True)
        if asked.returncode != 0:
            return False
        status = json.loads(asked.stdout)["status"]
        digests = [digest for digest in status["repoDigests"] if digest.startswith(f"{repository(name)}@")]
        # Docker tells the id of the configuration, or, where it keeps its images in containerd, the digest itself.
        return bool(digests) and (status["id"] == image_id or f"{repository(name)}@{image_id}" in digests)

    def _digest(self, name: str) -> str:
        answer = run(digest_command(self.name, name)).strip()
        if not DIGEST.fullmatch(answer):
            raise ClusterError(
                what=f"the node knows no digest of {name}: '{answer}'",
                rule="a revision is pinned to name@digest",
                remedy=f"see `docker exec {node(self.name)} ctr --namespace k8s.io images list`",
            )
        return answer


class _Driver(KindCluster):  # type: ignore[misc]
    # Not the constructor of pytest-kind: that one leaves a folder .pytest-kind wherever it is called.
    def __init__(self, name: str, kubeconfig: Path, *, kind_path: Path, kubectl_path: Path) -> None:
        self.name = name
        self.image = NODE_IMAGE
        self.platform = sys.platform
        self.kubeconfig_path = kubeconfig
        self.kind_path = kind_path
        self.kubectl_path = kubectl_path


def node(name: str) -> str:
    return f"{name}-control-plane"


def export_command(kind: Path, name: str, kubeconfig: Path) -> list[str]:
    return [str(kind), "export", "kubeconfig", f"--name={name}", f"--kubeconfig={kubeconfig}"]


def import_command(name: str) -> list[str]:
    """Reads the archive from its standard input.

    `kind load` would have containerd name the image after the day as well, and a pod's status would show that name, to
    which nothing can be pinned. It is unpacked by the first pod: only the kubelet's side knows the node's snapshotter.
    """
    return ["docker", "exec", "--interactive", node(name), *CTR, "import", "--no-unpack", "-"]


def inspect_command(name: str, reference: str) -> list[str]:
    return ["docker", "exec", node(name), "crictl", "inspecti", "--output=json", reference]


def digest_command(name: str, reference: str) -> list[str]:
    # ctr warns of what its containerd finds deprecated, such as control groups of version 1, in every answer.
    script = f"{' '.join(CTR)} list name=={reference} 2>/dev/null | awk 'NR==2 {{print $3}}'"
    return ["docker", "exec", node(name), "sh", "-c", script]


def tag_command(name: str, reference: str, digest: str) -> list[str]:
    return ["docker", "exec", node(name), *CTR, "tag", "--force", reference, f"{repository(reference)}@{digest}"]


@contextmanager
def _driven() -> Iterator[None]:
    """What pytest-kind runs writes to this program's own output, and fails with Python's errors."""
    try:
        yield
    except subprocess.CalledProcessError as error:
        raise ClusterError(
            what=f"`{shlex.join(str(word) for word in error.cmd)}` ended with {error.returncode}",
            rule="every step of a cluster must succeed",
            remedy="read the lines above it and run the command by itself",
        ) from error
    except OSError as error:  # also those of requests
        raise ClusterError(
            what=f"kind could not be fetched or started: {error}",
            rule="kind and kubectl are fetched once",
            remedy=f"look at the network, or put them into {paths.cache()} yourself",
        ) from error


def _has_content(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


def _require_docker() -> None:
    if not docker.answers():
        raise ClusterError(
            what="no Docker daemon answers",
            rule="kind runs its node as a container",
            remedy="start Docker, or use --backend embedded as root",
        )
