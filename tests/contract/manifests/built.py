"""The manifests as kustomize builds them."""

from __future__ import annotations

from functools import cache
from typing import Any

import yaml

from cluster.control_plane import ControlPlane
from tests.crds import ROOT

Json = dict[str, Any]

OVERLAYS = ("overlays/demo", "overlays/production")
CONTROLLERS = ("operator", "drift")


@cache
def built(plane: ControlPlane, folder: str) -> str:
    """The YAML that ``kubectl apply -k`` would send."""
    return plane.kubectl("kustomize", str(ROOT / "manifests" / folder))


def objects(plane: ControlPlane, folder: str, kind: str) -> dict[str, Json]:
    """The built objects of one kind, by name. (The CRDs are large: libyaml reads them in a tenth of the time.)"""
    parsed = [one for one in yaml.load_all(built(plane, folder), Loader=yaml.CSafeLoader) if one]
    return {one["metadata"]["name"]: one for one in parsed if one["kind"] == kind}


def only_container(deployment: Json) -> Json:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)
