"""A prediction leads back to all that made it, by what MLflow knows alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from demo.facts import Prediction
from demo.kubectl import Kubectl
from demo.lineage import trace
from demo.mlflow import Mlflow
from demo.scene import Scene

COMMIT = "1f8ac10f23c5b5bc1167bda84b833e5c057a77d2"
PREDICTION = Prediction(
    ("setosa",), {"x-model-name": "iris", "x-model-version": "2", "x-model-run-id": "3b92", "server": "uvicorn"}
)
RUN = {
    "mlflow.runName": "iris-2",
    "mlflow.source.git.commit": COMMIT,
    "mlflow.source.git.repoURL": "git://git-server/iris.git",
    "tandem.dev/image": "tandem/runtime:dev",
    "tandem.dev/trigger": '{"type": "Drift", "message": "iris version 1 drifted"}',
}
VERSION = {
    "tandem.dev/resource": "demo/iris",
    "tandem.dev/data.iris": "sha256:77bb",
    "tandem.dev/image-digest": "sha256:2287",
    "tandem.dev/gate": "accuracy 0.98 ≥ 0.9",
}


@dataclass(frozen=True)
class Registry(Mlflow):
    """One version and its run."""

    kubectl: Kubectl = field(default_factory=lambda: Kubectl(()))
    run: Mapping[str, str] = field(default_factory=lambda: RUN)

    def version_tags(self, model: str, version: str) -> dict[str, str]:
        assert (model, version) == ("iris", "2")
        return dict(VERSION)

    def run_tags(self, run_id: str) -> dict[str, str]:
        assert run_id == "3b92"
        return dict(self.run)


def traced(run: Mapping[str, str] = RUN) -> dict[str, str]:
    scene = Scene(Kubectl(()), Registry(run=run))
    return {link.what: link.value for link in trace(scene, PREDICTION).links}


def test_every_link_names_the_next() -> None:
    assert traced() == {
        "prediction": "setosa (HTTP headers X-Model-Name: iris, X-Model-Version: 2, X-Model-Run-Id: 3b92)",
        "model version": "models:/iris/2",
        "MLflow run": "3b92 (iris-2 of demo/iris)",
        "why it ran": "Drift: iris version 1 drifted",
        "code": f"git://git-server/iris.git commit {COMMIT}",
        "data": "iris sha256:77bb",
        "image": "tandem/runtime:dev sha256:2287",
        "gate": "accuracy 0.98 ≥ 0.9",
    }


@pytest.mark.parametrize("tag", ["mlflow.source.git.commit", "mlflow.source.git.repoURL"])
def test_a_link_that_is_missing_is_said_to_be_unknown(tag: str) -> None:
    assert "unknown" in traced({name: value for name, value in RUN.items() if name != tag})["code"]
