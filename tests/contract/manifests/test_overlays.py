"""The overlays build, a real API server accepts every object, and what they start fits the command line."""

from __future__ import annotations

import json

import pytest
import typer.main

from cluster.errors import ClusterError
from tandem.cli import app
from tests.contract.api_server import ApiServer
from tests.contract.manifests.built import CONTROLLERS, OVERLAYS, Json, built, objects, only_container

COMMANDS = typer.main.get_group(app).commands


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_api_server_accepts_every_object(installed: ApiServer, overlay: str) -> None:
    """A server-side dry run goes through validation and admission as the real thing does."""
    plane = installed.plane

    applied = plane.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=built(plane, overlay))

    assert len(applied.splitlines()) == built(plane, overlay).count("\nkind: ")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_pod_is_admitted_where_restricted_is_enforced(installed: ApiServer, overlay: str) -> None:
    """The namespace enforces Pod Security `restricted`; the API server judges each pod template as a pod."""
    plane = installed.plane
    labels = objects(plane, overlay, "Namespace")["tandem-system"]["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

    for name, deployment in objects(plane, overlay, "Deployment").items():
        admitted = plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=_pod_of(name, deployment))
        assert f"pod/{name} created" in admitted


def test_a_pod_with_more_than_restricted_allows_is_refused(installed: ApiServer) -> None:
    """So that the test before proves something."""
    deployment = objects(installed.plane, "base", "Deployment")["tandem-operator"]
    only_container(deployment)["securityContext"]["capabilities"] = {"add": ["NET_ADMIN"]}

    with pytest.raises(ClusterError, match='violates PodSecurity "restricted'):
        installed.plane.kubectl("create", "--dry-run=server", "-f", "-", stdin=_pod_of("greedy", deployment))


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_controller_runs_with_a_read_only_root_and_bounded_memory(
    api_server: ApiServer, overlay: str, name: str
) -> None:
    container = only_container(objects(api_server.plane, overlay, "Deployment")[f"tandem-{name}"])

    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["resources"]["limits"]["memory"]
    assert container["resources"]["requests"].keys() == {"cpu", "memory"}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", CONTROLLERS)
def test_the_command_line_finds_all_it_needs_in_the_environment(api_server: ApiServer, overlay: str, name: str) -> None:
    container = only_container(objects(api_server.plane, overlay, "Deployment")[f"tandem-{name}"])
    configuration = _configuration(api_server, overlay, container)
    (command,) = (COMMANDS[argument] for argument in container["args"])

    needed = {str(option.envvar) for option in command.params if option.required}
    known = {str(option.envvar) for option in command.params if option.envvar} | {"TANDEM_RUNTIME_IMAGE"}

    assert needed <= configuration.keys() <= known
    assert {variable["name"] for variable in container["env"]} == {"POD_NAME", "POD_NAMESPACE"}


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("name", CONTROLLERS)
def test_probes_and_services_find_the_ports_on_which_it_listens(api_server: ApiServer, overlay: str, name: str) -> None:
    plane = api_server.plane
    container = only_container(objects(plane, overlay, "Deployment")[f"tandem-{name}"])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    defaults = {option.name: option.default for option in COMMANDS[name].params}

    assert ports == {"metrics": defaults["metrics_port"], "health": defaults["health_port"]}
    for probe in ("livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] == "health"
        assert container[probe]["httpGet"]["path"] in {"/healthz", "/readyz"}
    service = objects(plane, overlay, "Service")[f"tandem-{name}-metrics"]
    template = objects(plane, overlay, "Deployment")[f"tandem-{name}"]["spec"]["template"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    assert [port["targetPort"] for port in service["spec"]["ports"]] == ["metrics"]


@pytest.mark.parametrize("name", CONTROLLERS)
def test_a_rolling_update_waits_until_the_next_pod_has_listed_everything(api_server: ApiServer, name: str) -> None:
    """/readyz is green on a standby, too (tests/faults/test_cases_liveness.py), so it ends."""
    for overlay in OVERLAYS:
        spec = objects(api_server.plane, overlay, "Deployment")[f"tandem-{name}"]["spec"]
        path = spec["template"]["spec"]["containers"][0]["readinessProbe"]["httpGet"]["path"]
        expected = {("Recreate", 1, "/readyz"), ("RollingUpdate", 2, "/readyz")}
        assert (spec["strategy"]["type"], spec["replicas"], path) in expected


def test_the_demo_brings_an_mlflow_where_the_controllers_look_for_it(api_server: ApiServer) -> None:
    container = only_container(objects(api_server.plane, "overlays/demo", "Deployment")["tandem-operator"])
    configuration = _configuration(api_server, "overlays/demo", container)
    service = objects(api_server.plane, "overlays/demo", "Service")["mlflow"]

    port = service["spec"]["ports"][0]["port"]
    assert configuration["TANDEM_MLFLOW_URI"] == f"http://mlflow.tandem-system:{port}"
    server = only_container(objects(api_server.plane, "overlays/demo", "Deployment")["mlflow"])
    allowed = next(argument for argument in server["args"] if argument.startswith("--allowed-hosts="))
    assert f"mlflow.tandem-system:{port}" in allowed.removeprefix("--allowed-hosts=").split(",")


def test_the_demo_runs_on_images_that_are_built_here(api_server: ApiServer) -> None:
    deployments = objects(api_server.plane, "overlays/demo", "Deployment")

    images = {name: only_container(deployment)["image"] for name, deployment in deployments.items()}

    assert images == {
        "mlflow": "tandem/runtime:dev",
        "tandem-operator": "tandem/operator:dev",
        "tandem-drift": "tandem/operator:dev",
    }


def test_production_brings_no_mlflow_of_its_own(api_server: ApiServer) -> None:
    for kind in ("Deployment", "Service"):
        assert "mlflow" not in objects(api_server.plane, "overlays/production", kind)


def _pod_of(name: str, deployment: Json) -> str:
    template = deployment["spec"]["template"]
    metadata = {**template["metadata"], "name": name, "namespace": "tandem-system"}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})


def _configuration(api_server: ApiServer, overlay: str, container: Json) -> dict[str, str]:
    """The ConfigMap that the container reads as its environment."""
    (name,) = (source["configMapRef"]["name"] for source in container["envFrom"] if "configMapRef" in source)
    return dict(objects(api_server.plane, overlay, "ConfigMap")[name]["data"])
