"""Objects as the API server sends them, as small as the engine needs them, and a controller of its own for tests."""

from __future__ import annotations

from typing import Any

from tandem.api.children import Job, Pod
from tandem.api.meta import ObjectMeta, Wire
from tandem.engine.controller import JOBS, PODS, Child, Controller, Figure, Named, ResourceType

Json = dict[str, Any]

WIDGETS = ResourceType("tandem.dev", "v1alpha1", "Widget", "widgets")


class WidgetSpec(Wire, frozen=True):
    size: int = 0


class Widget(Wire, frozen=True):
    """A kind of the tests' own: the engine knows none of Tandem's."""

    metadata: ObjectMeta
    spec: WidgetSpec = WidgetSpec()
    status: dict[str, Any] = {}


def _disrupted(child: Named) -> Named | None:
    return child if isinstance(child, Pod) and child.disruption else None


def controller(plan: Any = None, phases: frozenset[str] = frozenset(), figures: tuple[Figure, ...] = ()) -> Controller:
    return Controller(
        resource=WIDGETS,
        view=Widget,
        children=(Child(JOBS, Job), Child(PODS, Pod, departed=_disrupted)),
        plan=plan,
        status_fields=frozenset({"observedGeneration", "conditions", "phase"}),
        field_manager="tandem",
        component="test",
        phases=phases,
        figures=figures,
    )


def resource(name: str = "w", uid: str = "uid-w", version: int = 1, **fields: Any) -> Json:
    return {
        "apiVersion": WIDGETS.api_version,
        "kind": WIDGETS.kind,
        "metadata": metadata(name, uid, version),
        "spec": {"size": 1},
        **fields,
    }


def child(kind: str, name: str, uid: str, version: int = 1, owner: str = "", namespace: str = "ns") -> Json:
    """``owner`` is the uid of its controller."""
    meta = metadata(name, uid, version, namespace)
    if owner:
        reference = {"apiVersion": "v1", "kind": "Any", "name": f"of-{owner}", "uid": owner, "controller": True}
        meta["ownerReferences"] = [reference]
    return {"kind": kind, "metadata": meta}


def metadata(name: str, uid: str, version: int, namespace: str = "ns") -> Json:
    return {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version), "generation": 1}
