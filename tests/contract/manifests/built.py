"""The manifests as kustomize builds them."""

from __future__ import annotations

from copy import deepcopy
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
    """The built objects of one kind, by name; whoever asks may change them."""
    return {one["metadata"]["name"]: deepcopy(one) for one in _parsed(plane, folder) if one["kind"] == kind}


@cache
def _parsed(plane: ControlPlane, folder: str) -> list[Json]:
    """Once for all: the CRDs are large, and libyaml, though ten times as quick as Python, takes half a second."""
    return [one for one in yaml.load_all(built(plane, folder), Loader=yaml.CSafeLoader) if one]


def only_container(deployment: Json) -> Json:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)
