"""Images on their way into a cluster's containerd."""

from __future__ import annotations

import json
from pathlib import Path

from cluster.command import run
from cluster.embedded import debian
from cluster.embedded.node_daemons import CACHE, CONTAINERD_SOCKET, STATE
from cluster.embedded.parts import Part
from cluster.embedded.record import Record
from cluster.references import repository


class NodeImages:
    def __init__(self, state: Path, record: Record, containerd: Part) -> None:
        self._state = state
        self._record = record
        self._ctr = CACHE / containerd.folder.name / "ctr"

    def has(self, reference: str, image_id: str) -> bool:
        return bool(image_id) and self._loaded().get(reference) == image_id

    def load(self, reference: str, image_id: str, archive: Path) -> None:
        """`archive` lies in `incoming`, the folder that both sides see."""
        self._run_ctr("images", "import", str(STATE / "incoming" / archive.name))
        digest = self._digest(reference)
        # A revision is pinned to name@digest, and nothing could be pulled under that name.
        self._run_ctr("images", "tag", "--force", reference, f"{repository(reference)}@{digest}")
        self._note(reference, image_id)

    def content(self) -> frozenset[str]:
        """The digests of what it has: layers, configurations, manifests."""
        return frozenset(self._run_ctr("content", "ls", "--quiet").split())

    @property
    def incoming(self) -> Path:
        folder = self._state / "incoming"
        folder.mkdir(exist_ok=True)
        return folder

    def _digest(self, reference: str) -> str:
        listed = self._run_ctr("images", "list", f"name=={reference}").splitlines()[1:]
        return next(line.split()[2] for line in listed if line.split()[0] == reference)

    def _run_ctr(self, *words: str) -> str:
        return run([*self._enter(), str(self._ctr), "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", *words])

    def _enter(self) -> list[str]:
        """A command prefix: what follows it runs inside the cluster's namespaces."""
        namespaces = ("--mount", "--net", "--pid", "--ipc", "--uts")
        return [debian.where("nsenter"), "--target", str(self._record.inner.pid), *namespaces, "--"]

    def _loaded(self) -> dict[str, str]:
        path = self._state / "loaded.json"
        return dict(json.loads(path.read_text())) if path.exists() else {}

    def _note(self, reference: str, image_id: str) -> None:
        (self._state / "loaded.json").write_text(json.dumps({**self._loaded(), reference: image_id}, indent=1))
