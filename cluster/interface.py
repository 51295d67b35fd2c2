"""What a cluster can be asked to do, whichever way it is made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol


class Cluster(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def kubeconfig(self) -> Path: ...

    @property
    def routes_pods(self) -> bool:
        """Whether this machine reaches the addresses of pods and Services."""

    def up(self) -> None:
        """Until pods run and names resolve; resumes a half-finished up, returns at once when all is well."""

    def build(self) -> None:
        """Only fetches and builds what `up` would need."""

    def load_image(self, *references: str) -> None:
        """Locally built images, by tag; those that the node has already are skipped."""

    def serve_metrics(self) -> None:
        """Until metrics.k8s.io tells the CPU and memory of pods, as autoscalers ask for; builds what it needs."""

    def kubectl(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs kubectl against this cluster."""

    def status(self) -> dict[str, str]:
        """Part → state in words; empty where there is no such cluster."""

    def down(self) -> None:
        """Nothing of it is left; no error where there was nothing."""
