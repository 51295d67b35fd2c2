"""The namespace in which the story plays, and how it is emptied so that the story can be told again from the start."""

from __future__ import annotations

from typing import Final

from demo.kubectl import Json, Kubectl
from demo.mlflow import Mlflow

NAMESPACE: Final = "demo"
MODEL: Final = "iris"
GONE_WITHIN: Final = 120.0


def namespace_object(name: str) -> Json:
    """Pods that could harm the node or its neighbours are refused: Tandem's must do with what remains."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def clear(kubectl: Kubectl, mlflow: Mlflow) -> None:
    """Ends an earlier story: its namespace goes, and no alias names a version any more.

    Versions, runs and metrics stay to be read, and the next version's number is one more: a number that was used
    again would inherit what the drift controller remembers of its namesake.
    """
    kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", "--wait=false")
    # Nobody asks any more: no pod has to finish its open requests first. A namespace that goes takes no new ones.
    kubectl.within(NAMESPACE).run("delete", "pods", "--all", "--grace-period=1", "--wait=false")
    kubectl.wait_for(f"namespace/{NAMESPACE}", "delete", GONE_WITHIN)
    for alias in mlflow.aliases(MODEL):
        mlflow.delete("registered-models/alias", {"name": MODEL, "alias": alias})
