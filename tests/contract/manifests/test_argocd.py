"""Argo CD's ConfigMap with our scripts, and what its buttons write, on a real API server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from checks.argocd import KINDS, SCRIPTS, target
from cluster.control_plane import ControlPlane
from tandem.api import names
from tandem.api.meta import Json
from tests.argocd import act, merge_patch, offered
from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.crds import ROOT

COMPONENT = ROOT / "manifests/components/argocd"
CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, labels: {app.kubernetes.io/part-of: argocd}}
data: {admin.enabled: "true"}
"""
HEALTH, ACTIONS = "resource.customizations.health.tandem.dev_", "resource.customizations.actions.tandem.dev_"
EXPECTED = {f"{HEALTH}{kind}": (SCRIPTS / kind / "health.lua").read_text() for kind in KINDS}
EXPECTED |= {f"{ACTIONS}{kind}": target(kind).read_text() for kind in KINDS}

WAITS: dict[str, Json] = {
    "AppDeployment": {
        "candidate": {"revision": 5, "digest": "d"},
        "approval": {"revision": 5, "step": "promotion", "state": "Awaiting"},
    },
    "TrainingJob": {"approval": {"state": "Awaiting", "mlflowRunId": "abc", "model": "iris", "alias": "champion"}},
}


def test_the_component_adds_the_scripts_to_argocds_own_config_map(api_server: ApiServer, tmp_path: Path) -> None:
    (tmp_path / "argocd-cm.yaml").write_text(CONFIG_MAP)
    component = os.path.relpath(COMPONENT, tmp_path.resolve())
    kustomization = {"namespace": "default", "resources": ["argocd-cm.yaml"], "components": [component]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))

    built = api_server.plane.kubectl("kustomize", str(tmp_path))

    assert yaml.safe_load(built)["metadata"]["name"] == "argocd-cm"
    assert yaml.safe_load(built)["data"] == {"admin.enabled": "true", **EXPECTED}
    api_server.plane.kubectl("apply", "--server-side", "--dry-run=server", "-f", "-", stdin=built)


def test_an_argo_cd_that_runs_is_told_by_a_merge_patch(api_server: ApiServer, namespace: str) -> None:
    """The command of docs/gitops.md. An apply by kubectl's other way would take away what `kubectl apply` has given."""
    kubectl = api_server.plane.kubectl
    kubectl("apply", "-n", namespace, "-f", "-", stdin=CONFIG_MAP)

    files = [f"--from-file={key}={_file(key)}" for key in EXPECTED]
    made = kubectl("create", "configmap", "argocd-cm", *files, "-n", namespace, "--dry-run=client", "-o", "yaml")
    patch = ("patch", "configmap", "argocd-cm", "-n", namespace, "--type=merge", "--patch-file=/dev/stdin")
    kubectl(*patch, stdin=made)

    assert _data(api_server.plane, namespace) == {"admin.enabled": "true", **EXPECTED}


@pytest.mark.parametrize(
    ("kind", "action"),
    [(kind, path.parent.name) for kind in KINDS for path in sorted((SCRIPTS / kind / "actions").glob("*/action.lua"))],
)
def test_what_a_button_writes_is_legal_and_changes_annotations_alone(
    api_server: ApiServer, namespace: str, kind: str, action: str
) -> None:
    """Argo CD sends the difference as a merge patch. What Git owns is the spec: that is as it was."""
    status = {"observedGeneration": 1, "conditions": [_stalled()] if action == "retry" else [], **WAITS[kind]}
    created = api_server.create(resource(kind, namespace))
    told = api_server.merge(created, {"status": status}, "/status")
    if action == "resume":
        told = api_server.merge(told, {"metadata": {"annotations": {names.PAUSE_ANNOTATION: "5"}}})
    assert offered(told)[action]

    patch = merge_patch(told, act(told, action))
    now = api_server.merge(told, patch)

    assert patch["metadata"]["annotations"].items() <= now["metadata"]["annotations"].items()
    assert all(name.startswith("tandem.dev/") for name in patch["metadata"]["annotations"])
    assert (now["spec"], now["status"]) == (told["spec"], told["status"])
    assert now["metadata"]["generation"] == told["metadata"]["generation"]


def _stalled() -> Json:
    said = {"type": "Stalled", "status": "True", "reason": "NotReady", "message": "revision 5 was not ready"}
    return {**said, "lastTransitionTime": "2026-03-01T12:00:00Z", "observedGeneration": 1}


def _file(key: str) -> Path:
    what, _, kind = key.rpartition(".tandem.dev_")
    return SCRIPTS / kind / "health.lua" if what.endswith("health") else target(kind)


def _data(plane: ControlPlane, namespace: str) -> Json:
    found: Json = yaml.safe_load(plane.kubectl("get", "configmap", "argocd-cm", "-n", namespace, "-o", "yaml"))["data"]
    return found
