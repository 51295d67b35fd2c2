"""What the first pages of kopf's documentation lead to: ``on.create``, a synchronous client, ``patch.status``."""

from __future__ import annotations

import datetime
import os

import kopf
import kubernetes

from bench.workload import IMAGE

container = {"name": "train", "image": IMAGE, "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}}}


@kopf.on.startup()
def connect(**_: object) -> None:
    kubernetes.config.load_kube_config(os.environ["KUBECONFIG"])  # type: ignore[no-untyped-call]


@kopf.on.create("tandem.dev", "v1alpha1", "trainingjobs")  # type: ignore[arg-type]  # kopf passes more than is asked for
def create_job(name: str, namespace: str, spec: kopf.Spec, patch: kopf.Patch, **_: object) -> None:
    step = {**container, "command": spec["steps"][0]["command"]}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{name}-1"},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [step]}}},
    }
    kopf.adopt(job)
    kubernetes.client.BatchV1Api().create_namespaced_job(namespace, job)  # type: ignore[arg-type]
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    condition = {"type": "Trained", "status": "Unknown", "reason": "JobRunning", "message": f"Job {name}-1"}
    patch.status["phase"] = "Training"
    patch.status["conditions"] = [{**condition, "lastTransitionTime": now, "observedGeneration": 1}]


if __name__ == "__main__":
    kopf.run(clusterwide=True, standalone=True)
