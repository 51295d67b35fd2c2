"""The embedded cluster as seen from the machine: up, load an image, down."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from cluster import images, paths
from cluster.daemons import log_of, read_status
from cluster.embedded import cgroups, debian, metrics, names, network, parts, record, volumes
from cluster.embedded.archive import NOBODY, write_binary_image
from cluster.embedded.node_daemons import STATE
from cluster.embedded.node_images import NodeImages
from cluster.embedded.parts import Part
from cluster.embedded.record import Record
from cluster.embedded.start import node_name, start
from cluster.errors import ClusterError, not_running
from cluster.lock import exclusive
from cluster.progress import Detail, step

READY_WITHIN = 300.0
PATIENCE = f"--timeout={READY_WITHIN:.0f}s"
POLL = 0.1


class EmbeddedCluster:
    routes_pods = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = paths.state(name)
        self.kubeconfig = self.state / "kubeconfig"
        self.audit_log = self.state / "audit.log"

    def build(self) -> None:
        debian.ensure(debian.NODE_TOOLS)
        for part in (parts.kubernetes(), parts.containerd(), parts.coredns(), parts.pause()):
            parts.ensure(part)

    def up(self) -> None:
        _require_root_on_linux()
        with self._lock():
            found = self._running()
            if found and self._complete.exists() and self._answers():
                self._free_volumes()
                return
            self.build()
            if found is None:
                self._clear()
                with step(f"Starting cluster {self.name}"):
                    found = start(self.name, self.state, parts.kubernetes(), parts.containerd(), parts.pause().image)
            else:
                network.plug_in(found.slot, found.inner.pid)
            with step(f"Waiting for cluster {self.name}") as detail:
                self._finish(found, detail)
            self._complete.touch()

    def load_image(self, *references: str) -> None:
        found = self._require_running()
        node = NodeImages(self.state, found, parts.containerd())
        for reference in references:
            name, image_id = images.built(reference)
            with self._lock():
                if node.has(name, image_id):
                    continue
                with step(f"Loading {name} into cluster {self.name}"):
                    archive = node.incoming / "image.tar"
                    images.builder().export(name, archive, node.content())
                    node.load(name, image_id, archive)
                    archive.unlink()

    def serve_metrics(self) -> None:
        found = self._require_running()
        part = parts.ensure(parts.metrics_server())
        reference = part.image
        with self._lock():
            self._load_binary(NodeImages(self.state, found, parts.containerd()), part)
            self._apply(list(metrics.manifests(reference)))
        with step(f"Waiting for metrics of cluster {self.name}"):
            self._run_kubectl(["wait", "--for=condition=Available", f"apiservice/{metrics.API_SERVICE}", PATIENCE])

    def kubectl(self, arguments: Sequence[str]) -> list[str]:
        return [str(parts.kubernetes().binary("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments]

    def status(self) -> dict[str, str]:
        if record.read(self.state) is None:
            return {}
        if self._running() is None:
            return {"cluster": "dead; `up` starts an empty one, `down` clears its remains"}
        known = read_status(self.state).daemons
        words = {
            name: f"{'ready' if now.ready else 'starting'}, process {now.pid}, started {now.starts}×"
            for name, now in known.items()
        }
        return {"cluster": "up" if self._complete.exists() else "half up; `up` goes on", **words}

    def down(self) -> None:
        _require_root_on_linux()
        with self._lock():
            if self.state.exists():
                with step(f"Taking cluster {self.name} down"):
                    self._clear()

    @property
    def _complete(self) -> Path:
        return self.state / "complete"

    def _lock(self) -> AbstractContextManager[None]:
        return exclusive(paths.states() / f".{self.name}.lock", f"another command on cluster {self.name}")

    def _running(self) -> Record | None:
        found = record.read(self.state)
        return found if found and found.alive and network.plugged_in(found.slot) else None

    def _require_running(self) -> Record:
        found = self._running()
        if found is None:
            raise not_running(self.name)
        return found

    def _clear(self) -> None:
        found = record.read(self.state)
        if found:
            found.outer.kill()
            found.inner.await_end(within=20)
            network.unplug(found.slot)
        cgroups.remove(self.name)
        shutil.rmtree(self.state, ignore_errors=True)

    def _finish(self, found: Record, detail: Detail) -> None:
        detail("containerd")
        self._await(found, lambda: "containerd" in self._ready())
        node = NodeImages(self.state, found, parts.containerd())
        for part in (parts.pause(), parts.coredns()):
            self._load_binary(node, part)
        detail("API server, controllers, kubelet")
        self._await(found, lambda: read_status(self.state).ready)
        self._apply([*names.manifests(found.slot, parts.coredns().image), *volumes.manifests(STATE / "volumes")])
        detail("node")
        node_path = f"node/{node_name(self.name)}"
        self._run_kubectl(["wait", "--for=create", node_path, PATIENCE])
        self._run_kubectl(["wait", "--for=condition=Ready", node_path, PATIENCE])
        detail("name service")
        self._run_kubectl(["--namespace=kube-system", "rollout", "status", "deployment/coredns", PATIENCE])

    def _load_binary(self, node: NodeImages, part: Part) -> None:
        reference = part.image
        if not node.has(reference, part.version):
            archive = node.incoming / f"{part.name}.tar"
            write_binary_image(archive, reference, part.binary(part.name), user=NOBODY)
            node.load(reference, part.version, archive)
            archive.unlink()

    def _ready(self) -> set[str]:
        return {name for name, now in read_status(self.state).daemons.items() if now.ready}

    def _await(self, found: Record, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_WITHIN
        while not condition():
            if read_status(self.state).failed or not found.alive or time.monotonic() > deadline:
                raise self._not_ready()
            time.sleep(POLL)

    def _not_ready(self) -> ClusterError:
        known = read_status(self.state)
        waiting = known.failed or next((name for name, now in known.daemons.items() if not now.ready), "node")
        log = log_of(self.state, waiting)
        last = "\n".join(log.read_text(errors="replace").splitlines()[-8:]) if log.exists() else ""
        return ClusterError(
            what=f"{waiting} did not become ready:\n{last}\n",
            rule=f"a cluster is up within {READY_WITHIN:.0f} s",
            remedy=f"read {log}, then run it again; `down` starts from nothing",
        )

    def _answers(self) -> bool:
        asked = subprocess.run(self.kubectl(["get", "--raw", "/readyz"]), check=False, capture_output=True)
        return asked.returncode == 0 and read_status(self.state).ready

    def _free_volumes(self) -> None:
        names_of_released = volumes.released(self._run_kubectl(["get", "persistentvolumes", "--output=json"]))
        if names_of_released:
            self._run_kubectl(["delete", "persistentvolumes", "--wait", *names_of_released])
            volumes.empty(self.state / "volumes", names_of_released)
            self._apply(list(volumes.manifests(STATE / "volumes")))

    def _apply(self, items: Sequence[object]) -> None:
        everything = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        self._run_kubectl(["apply", "--server-side", "--force-conflicts", "--filename=-"], stdin=everything)

    def _run_kubectl(self, arguments: Sequence[str], stdin: str | None = None) -> str:
        done = subprocess.run(self.kubectl(arguments), check=False, input=stdin, capture_output=True, text=True)
        if done.returncode != 0:
            raise ClusterError(
                what=f"`kubectl {' '.join(arguments)}`: {done.stderr.strip()}",
                rule="a cluster is up when its node is ready and names resolve",
                remedy=f"see {self.state / 'logs'}, then run it again; `down` starts from nothing",
            )
        return done.stdout


def _require_root_on_linux() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise ClusterError(
            what="this is not root on Linux, and no Docker daemon answers",
            rule="the embedded cluster needs namespaces and links of its own",
            remedy="run it as root, or start Docker for the kind backend; `--control-plane-only` needs neither",
        )
