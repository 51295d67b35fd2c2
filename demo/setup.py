"""From nothing to a cluster with Tandem on it. Each step finds what an earlier, perhaps interrupted, set-up left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cluster.choose import Backend, cluster
from cluster.interface import Cluster
from cluster.paths import REPOSITORY
from cluster.progress import step
from demo import images
from demo.kubectl import Kubectl
from demo.mlflow import Mlflow

SYSTEM: Final = "tandem-system"
MANIFESTS: Final = REPOSITORY / "manifests/overlays/demo"
# Which image each Deployment runs; a tag that was built anew does not restart a pod by itself.
RUNS: Final = {
    "tandem-operator": images.OPERATOR,
    "tandem-drift": images.OPERATOR,
    "mlflow": images.RUNTIME,
}
IMAGE_ID: Final = "tandem.dev/image-id"
# MLflow makes its tables at the first start, on a machine that is busy.
AVAILABLE_WITHIN: Final = 300.0


@dataclass(frozen=True)
class Site:
    """A cluster with Tandem and MLflow on it, ready."""

    cluster: Cluster
    kubectl: Kubectl

    @property
    def mlflow(self) -> Mlflow:
        return Mlflow(self.kubectl.within(SYSTEM))


def set_up(name: str = "tandem", backend: Backend = Backend.AUTO) -> Site:
    """Returns when everything is Available; a second one changes nothing and takes seconds."""
    target = cluster(name, backend)
    target.up()
    ids = images.provide(target, images.TANDEM)
    site = Site(target, Kubectl(tuple(target.kubectl([]))))
    with step("Installing Tandem and MLflow"):
        install(site.kubectl.within(SYSTEM), ids)
    images.provide(target, images.WEB)  # while they start
    with step("Waiting for Tandem and MLflow") as detail:
        for deployment in RUNS:
            detail(f"waiting for {deployment}")
            site.kubectl.within(SYSTEM).run(
                "rollout", "status", f"deployment/{deployment}", f"--timeout={AVAILABLE_WITHIN:.0f}s"
            )
    return site


def install(kubectl: Kubectl, ids: dict[str, str]) -> None:
    kubectl.run("apply", "--server-side", "--force-conflicts", f"--kustomize={MANIFESTS}")
    # Two waits: while a CRD has no conditions at all, waiting for one of them is an error (kubectl 1.34).
    for condition in ("jsonpath={.status.conditions[0].type}", "condition=Established"):
        kubectl.run("wait", f"--for={condition}", "crd", "--all", "--timeout=60s")
    for deployment, tag in RUNS.items():
        note = {"metadata": {"annotations": {IMAGE_ID: ids[tag]}}}
        kubectl.merge(f"deployment/{deployment}", {"spec": {"template": note}})
