"""What there is, as clients ask for it: /api, /apis, the kinds of a group, /version."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tests.faults.apiserver.kinds import Json, Kind

# kopf waits until it has seen these three, though it is told to watch none of them.
_OTHERS = (
    Kind("", "v1", "Namespace", "namespaces"),
    Kind("", "v1", "Event", "events"),
    Kind("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions"),
)
_VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]


def discovered(path: str, kinds: Iterable[Kind]) -> Json | None:
    groups: defaultdict[tuple[str, str], list[Kind]] = defaultdict(list)
    for kind in (*kinds, *_OTHERS):
        groups[kind.group, kind.version].append(kind)
    if path == "/version":
        return {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(*g) for g in groups if g[0]]}
    for (group, version), members in groups.items():
        if path == (f"/apis/{group}/{version}" if group else f"/api/{version}"):
            resources = [entry for kind in members for entry in _resources(kind)]
            of = f"{group}/{version}" if group else version
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": of, "resources": resources}
    return None


def _group(group: str, version: str) -> Json:
    only = {"groupVersion": f"{group}/{version}", "version": version}
    return {"name": group, "versions": [only], "preferredVersion": only}


def _resources(kind: Kind) -> list[Json]:
    whole = {"name": kind.plural, "singularName": kind.kind.lower(), "namespaced": True, "kind": kind.kind}
    entries = [{**whole, "verbs": _VERBS}]
    if kind.status:
        entries.append({**whole, "name": f"{kind.plural}/status", "verbs": ["get", "patch", "update"]})
    return entries
