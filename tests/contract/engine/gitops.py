"""Flux and Argo CD as far as an object on the API server feels them: the requests that each makes at every sync."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Protocol

from cluster.control_plane import ControlPlane
from cluster.errors import ClusterError
from tandem.api.meta import Json


class Tool(Protocol):
    def sync(self, manifest: Json) -> None: ...


class ArgoCd:
    """`kubectl apply` with its annotation; Argo CD links kubectl's own code."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def sync(self, manifest: Json) -> None:
        text = json.dumps(manifest)
        self._plane.kubectl("apply", "--field-manager=argocd-controller", "-f", "-", stdin=text)


class Flux:
    """Server-side apply by force; before it, what kubectl has written is taken for Flux's own, and so taken back.

    After fluxcd/pkg ``ssa/patch.go`` (PatchReplaceFieldsManagers) with the managers that kustomize-controller names.
    """

    _NAME = "kustomize-controller"
    _TAKEN_OVER = ("kubectl", "before-first-apply")  # by the beginning of the name

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane

    def sync(self, manifest: Json) -> None:
        self._take_over(manifest)
        apply = ("apply", "--server-side", "--force-conflicts", f"--field-manager={self._NAME}", "-f", "-")
        self._plane.kubectl(*apply, stdin=json.dumps(manifest))

    def _take_over(self, manifest: Json) -> None:
        meta = manifest["metadata"]
        what = (manifest["kind"].lower(), meta["name"], "-n", meta["namespace"])
        try:
            found = json.loads(self._plane.kubectl("get", *what, "-o", "json", "--show-managed-fields"))
        except ClusterError as error:
            if "not found" not in str(error):
                raise
            return
        entries: list[Json] = found["metadata"]["managedFields"]
        theirs = [e for e in entries if e["manager"].startswith(self._TAKEN_OVER) and not e.get("subresource")]
        if not theirs:
            return
        own = next((e for e in entries if (e["manager"], e["operation"]) == (self._NAME, "Apply")), None)
        taken = deepcopy(own or theirs[0]) | {"manager": self._NAME, "operation": "Apply"}
        for entry in theirs:
            taken["fieldsV1"] = _union(taken["fieldsV1"], entry["fieldsV1"])
        kept = [entry for entry in entries if entry not in theirs and entry != own]
        patch = {"metadata": {"managedFields": [*kept, taken], "resourceVersion": found["metadata"]["resourceVersion"]}}
        self._plane.kubectl("patch", *what, "--type=merge", f"--field-manager={self._NAME}", "-p", json.dumps(patch))


def _union(one: Json, other: Json) -> Json:
    return one | {name: _union(one.get(name, {}), value) for name, value in other.items()}
