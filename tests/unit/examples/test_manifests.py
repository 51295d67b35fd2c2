"""What users copy has to be right: the examples say what the kinds understand, and their pods are restricted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from sklearn import datasets

from tandem.api.appdeployment import AppDeploymentSpec
from tandem.api.trainingjob import TrainingJobSpec
from tandem.runtime.quality.checks import Checks
from tandem.runtime.quality.inspection import inspect
from tests.crds import Schema, schema

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "examples"
KINDS = {"TrainingJob": TrainingJobSpec, "AppDeployment": AppDeploymentSpec}


def manifest(path: str) -> dict[str, Any]:
    return yaml.safe_load((ROOT / path).read_text())  # type: ignore[no-any-return]


def unknown(value: Any, schema: Schema, path: str = "spec") -> Iterator[str]:
    """Paths in ``value`` that the schema has no place for."""
    if isinstance(value, list):
        for one in value:
            yield from unknown(one, schema["items"], f"{path}[]")
    elif isinstance(value, dict) and "properties" in schema:
        for name, one in value.items():
            if name in schema["properties"]:
                yield from unknown(one, schema["properties"][name], f"{path}.{name}")
            else:
                yield f"{path}.{name}"


@pytest.mark.parametrize(
    "path",
    [
        "iris/trainingjob.yaml",
        "iris-gate/trainingjob.yaml",
        "iris-nightly/trainingjob.yaml",
        "iris-s3/trainingjob.yaml",
        "iris/appdeployment.yaml",
        "web/appdeployment.yaml",
    ],
)
def test_every_field_of_an_example_is_understood(path: str) -> None:
    resource = manifest(f"examples/{path}")
    assert list(unknown(resource["spec"], schema(resource["kind"])["properties"]["spec"])) == []
    msgspec.convert(resource["spec"], KINDS[resource["kind"]])


def test_the_training_and_the_serving_of_iris_meet_in_the_registry() -> None:
    training, serving = manifest("examples/iris/trainingjob.yaml"), manifest("examples/iris/appdeployment.yaml")
    assert training["spec"]["model"] == {key: serving["spec"]["model"][key] for key in ("name", "alias")}
    watched = msgspec.convert(training["spec"], TrainingJobSpec).retrain.drift
    assert watched is not None
    assert watched.alias == serving["spec"]["model"]["promoteTo"]


@pytest.mark.parametrize("name", ["iris", "iris-gate", "iris-s3", "web"])
def test_a_kustomization_names_files_that_are_there(name: str) -> None:
    kustomization = manifest(f"examples/{name}/kustomization.yaml")
    files = [file for one in kustomization.get("configMapGenerator", ()) for file in one["files"]]
    assert [file for file in [*kustomization["resources"], *files] if not (EXAMPLES / name / file).is_file()] == []


def pods() -> list[Any]:
    monitor = manifest("examples/iris/monitor.yaml")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    server = manifest("manifests/components/mlflow/deployment.yaml")["spec"]["template"]["spec"]
    garden = manifest("examples/iris/garden.yaml")["spec"]
    git_server = next(yaml.safe_load_all((EXAMPLES / "iris/git-server.yaml").read_text()))["spec"]
    found = {"garden": garden, "git-server": git_server, "monitor": monitor, "mlflow": server}
    return [pytest.param(pod, id=name) for name, pod in found.items()]


@pytest.mark.parametrize("pod", pods())
def test_pods_satisfy_pod_security_restricted(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {mount["mountPath"] for mount in container["volumeMounts"]} >= {"/tmp"}
        assert set(container["resources"]) == {"requests", "limits"}


def test_mlflow_accepts_every_name_of_its_service() -> None:
    """A name that is missing is answered 403 while the probes go on passing."""
    [container] = manifest("manifests/components/mlflow/deployment.yaml")["spec"]["template"]["spec"]["containers"]
    [hosts] = [arg.removeprefix("--allowed-hosts=") for arg in container["args"] if arg.startswith("--allowed-hosts=")]
    names = ["mlflow", "mlflow.tandem-system", "mlflow.tandem-system.svc", "mlflow.tandem-system.svc.cluster.local"]
    assert {f"{name}:5000" for name in names} <= set(hosts.split(","))


def test_good_data_pass_the_checks_of_the_s3_example(tmp_path: Path) -> None:
    """The checks of the manifest, on flowers as they are: what users copy has to let good data through."""
    flowers = datasets.load_iris(as_frame=True)
    columns = [name.removesuffix(" (cm)").replace(" ", "_") for name in flowers.feature_names]
    frame = flowers.data.set_axis(columns, axis=1).assign(species=flowers.target_names[flowers.target])
    frame[:75].to_csv(tmp_path / "a.csv", index=False)
    frame[75:].to_csv(tmp_path / "b.csv", index=False)
    [data] = manifest("examples/iris-s3/trainingjob.yaml")["spec"]["data"]

    found = inspect(tmp_path, msgspec.convert(data["checks"], Checks), "", None)

    assert found.findings == ()
    assert found.statistics is not None
    assert found.statistics.rows == 150
