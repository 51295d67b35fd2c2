"""A named control plane without nodes that outlives the command which started it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from cluster import paths
from cluster.control_plane import ControlPlane
from cluster.daemons import read_status
from cluster.embedded import parts
from cluster.embedded.processes import Process, process
from cluster.errors import ClusterError
from cluster.lock import exclusive
from cluster.progress import step

MARK = "control-plane.json"


class LoneControlPlane:
    routes_pods = False  # it has none

    def __init__(self, name: str, controllers: bool = False) -> None:
        self.name = name
        self.state = paths.state(name)
        self.kubeconfig = self.state / "pki" / "admin.kubeconfig"
        self._controllers = controllers

    def exists(self) -> bool:
        return (self.state / MARK).exists()

    def build(self) -> None:
        parts.ensure(parts.kubernetes())

    def up(self) -> None:
        with exclusive(paths.states() / f".{self.name}.lock", f"another command on cluster {self.name}"):
            if self.state.exists() and not self.exists():
                raise ClusterError(
                    what=f"there is a whole cluster named {self.name} already",
                    rule="a name is given to one cluster",
                    remedy="choose another --name, or take it down first",
                )
            if self._runs() and read_status(self.state).ready:
                return
            self._clear()
            self.build()
            self.state.mkdir(parents=True, mode=0o700)
            with step(f"Starting control plane {self.name}"):
                plane = ControlPlane(controllers=self._controllers, state=self.state)
                plane.start(tied=False, started=self._note)

    def load_image(self, *references: str) -> None:
        raise ClusterError(
            what=f"{self.name} is a control plane without nodes",
            rule="images are loaded onto nodes",
            remedy="start a whole cluster: python -m cluster up",
        )

    def serve_metrics(self) -> None:
        raise ClusterError(
            what=f"{self.name} is a control plane without nodes",
            rule="metrics are those of pods",
            remedy="start a whole cluster: python -m cluster up",
        )

    def kubectl(self, arguments: Sequence[str]) -> list[str]:
        return [str(parts.kubernetes().binary("kubectl")), f"--kubeconfig={self.kubeconfig}", *arguments]

    def status(self) -> dict[str, str]:
        if not self.exists():
            return {}
        if not self._runs():
            return {"control plane": "dead; `up` starts an empty one, `down` clears its remains"}
        known = read_status(self.state).daemons
        return {name: f"{'ready' if now.ready else 'starting'}, process {now.pid}" for name, now in known.items()}

    def down(self) -> None:
        with exclusive(paths.states() / f".{self.name}.lock", f"another command on cluster {self.name}"):
            self._clear()

    def _note(self, pid: int) -> None:
        # Before it is ready, so that an interrupted start is found and ended, not forgotten.
        begun = process(pid)
        (self.state / MARK).write_text(json.dumps({"pid": begun.pid, "started": begun.started}))

    def _process(self) -> Process | None:
        mark: Path = self.state / MARK
        return Process(**json.loads(mark.read_text())) if mark.exists() else None

    def _runs(self) -> bool:
        found = self._process()
        return found is not None and found.alive

    def _clear(self) -> None:
        found = self._process()
        if found:
            found.kill()
        shutil.rmtree(self.state, ignore_errors=True)
