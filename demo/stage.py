"""The namespace in which the story plays, and how it is emptied so that the story can be told again from the start."""

from __future__ import annotations

from typing import Final

from demo.kubectl import Json, Kubectl
from demo.mlflow import Mlflow
from tandem.api import names

NAMESPACE: Final = "demo"
MODEL: Final = "iris"
ARTIFACTS: Final = "/api/2.0/mlflow-artifacts/artifacts"
WINDOWS: Final = "datasets/iris/windows"
# Namespaces go in the time that their pods take to finish open requests.
GONE_WITHIN: Final = 120.0


def namespace_object(name: str) -> Json:
    """Pods that could harm the node or its neighbours are refused: Tandem's must do with what remains."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def clear(kubectl: Kubectl, mlflow: Mlflow) -> None:
    """Forgets an earlier story: the namespace, the registered model, what its monitoring saw. Runs stay to be read."""
    kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", f"--timeout={GONE_WITHIN:.0f}s")
    forget(mlflow)


def forget(mlflow: Mlflow) -> None:
    """Numbers begin at 1 again, and nothing that an old version was seen doing is held against the new version 1."""
    for run in _monitoring_runs(mlflow):
        mlflow.post("runs/delete", {"run_id": run})
    for file in _windows(mlflow):
        mlflow.delete(f"{ARTIFACTS}/{WINDOWS}/{file}")
    if mlflow("registered-models/search", filter=f"name = '{MODEL}'").get("registered_models"):
        mlflow.delete("registered-models/delete", {"name": MODEL})


def _monitoring_runs(mlflow: Mlflow) -> list[str]:
    experiments = mlflow("experiments/search", filter=f"name = '{names.MONITORING_EXPERIMENT}'", max_results="10")
    ids = [experiment["experiment_id"] for experiment in experiments.get("experiments", ())]
    if not ids:
        return []
    where = f"tags.`{names.TAG_MODEL}` = '{MODEL}'"
    found = mlflow.post("runs/search", {"experiment_ids": ids, "filter": where, "max_results": 1000})
    return [run["info"]["run_id"] for run in found.get("runs", ())]


def _windows(mlflow: Mlflow) -> list[str]:
    return [file["path"] for file in mlflow.ask("GET", f"{ARTIFACTS}?path={WINDOWS}").get("files", ())]
