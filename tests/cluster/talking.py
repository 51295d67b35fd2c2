"""kubectl, for tests: its answer, or a failed assertion with what it said."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from cluster.embedded.backend import EmbeddedCluster

Kubectl = Callable[..., str]


def kubectl_of(cluster: EmbeddedCluster) -> Kubectl:
    def kubectl(*words: str, stdin: str | None = None) -> str:
        done = subprocess.run(cluster.kubectl(words), check=False, input=stdin, capture_output=True, text=True)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    return kubectl
