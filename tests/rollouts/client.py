"""The client that never stops asking: 50 requests a second, each on a connection of its own, none tried twice."""

from __future__ import annotations

from typing import Final

from cluster.paths import REPOSITORY
from demo.kubectl import Kubectl
from demo.visitor import Visitor
from tests.rollouts.app import NAME

RATE: Final = 50
_PROGRAM: Final = REPOSITORY / "examples/iris/visitor.py"


def started(kubectl: Kubectl, app: str = NAME, rate: int = RATE) -> Visitor:
    """Returns when it has had its first answer. ``kubectl``: in the namespace where it is to live."""
    program = {"visitor.py": _PROGRAM.read_text()}
    meta = {"name": "iris-garden"}  # where the visitor's pod finds its program
    kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": program})
    visitor = Visitor(kubectl, app, f"http://{app}/", "GET", rate)
    visitor.start()
    return visitor
