"""What the engine is told about a kind: which resource, which children, how to read them, and the plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tandem.api.facts import Facts
from tandem.api.meta import Condition, Json, ObjectMeta
from tandem.api.plan import Plan, Refusal


class Named(Protocol):
    """Anything with Kubernetes metadata."""

    @property
    def metadata(self) -> ObjectMeta: ...


class Status(Protocol):
    @property
    def conditions(self) -> tuple[Condition, ...]: ...


@dataclass(frozen=True)
class ResourceType:
    """A kind as the API server names it."""

    group: str
    version: str
    kind: str
    plural: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"


@dataclass(frozen=True)
class Child:
    """A kind whose objects belong to ours, directly or through another child (Pod → Job → TrainingJob)."""

    resource: ResourceType
    view: type[Named]  # the part of it that plans read
    # What is still told of one that is gone, if anything: it may come and go while a plan is made, or an API is slow.
    departed: Callable[[Named], Named | None] = lambda _: None


@dataclass(frozen=True)
class Figure:
    """A number of each resource's status that Prometheus is told: where it is there."""

    metric: str
    help: str
    path: tuple[str, ...]  # into the status; a number, or text that is one

    def of(self, status: Json) -> float | None:
        found: object = status
        for name in self.path:
            found = found.get(name) if isinstance(found, dict) else None
        try:
            return float(found) if isinstance(found, (int, float, str)) else None
        except ValueError:
            return None


Planner = Callable[[Named, Sequence[Named], Facts, Mapping[str, Refusal], datetime], Plan]


@dataclass(frozen=True)
class Controller:
    """One kind, its children, its plan, and the top-level status fields that it alone writes."""

    resource: ResourceType
    view: type[Named]
    children: tuple[Child, ...]
    plan: Planner
    status_fields: frozenset[str]
    field_manager: str
    component: str  # what Events name as their reporter
    phases: frozenset[str] = frozenset()  # what status.phase may say; all that metrics tell apart
    figures: tuple[Figure, ...] = ()


def object_path(type_: ResourceType) -> str:
    """The path of one object, with places for its namespace and name (escaped where they are filled in)."""
    return f"{type_.root}/namespaces/{{namespace}}/{type_.plural}/{{name}}"


def list_path(type_: ResourceType, namespace: str | None) -> str:
    """The path of all objects of a kind, in one namespace or in all."""
    return f"{type_.root}/namespaces/{namespace}/{type_.plural}" if namespace else f"{type_.root}/{type_.plural}"


def collection_path(type_: ResourceType) -> str:
    """The same of one namespace, with a place for its name (escaped where it is filled in)."""
    return list_path(type_, "{namespace}")


JOBS = ResourceType("batch", "v1", "Job", "jobs")
PODS = ResourceType("", "v1", "Pod", "pods")
DEPLOYMENTS = ResourceType("apps", "v1", "Deployment", "deployments")
REPLICA_SETS = ResourceType("apps", "v1", "ReplicaSet", "replicasets")
SERVICES = ResourceType("", "v1", "Service", "services")
CONFIG_MAPS = ResourceType("", "v1", "ConfigMap", "configmaps")
DISRUPTION_BUDGETS = ResourceType("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
AUTOSCALERS = ResourceType("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers")
NETWORK_POLICIES = ResourceType("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
INGRESSES = ResourceType("networking.k8s.io", "v1", "Ingress", "ingresses")
HTTP_ROUTES = ResourceType("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes")  # where Gateway API is
EVENTS = ResourceType("events.k8s.io", "v1", "Event", "events")

WRITABLE = {
    type_.kind: type_
    for type_ in (
        *(JOBS, DEPLOYMENTS, SERVICES, CONFIG_MAPS, DISRUPTION_BUDGETS, NETWORK_POLICIES, AUTOSCALERS),
        *(INGRESSES, HTTP_ROUTES),
    )
}


def status_difference(stored: Json, wanted: Json, owned: frozenset[str]) -> Json:
    """The merge patch (RFC 7396) that makes the owned top-level fields of ``stored`` equal to ``wanted``.

    Lists are replaced whole, as a merge patch does; a field that is not wanted any more becomes null.
    """
    patch: Json = {}
    for name in sorted(owned):
        if name not in wanted:
            if name in stored:
                patch[name] = None
        elif stored.get(name) != wanted[name]:
            patch[name] = _difference(stored.get(name), wanted[name])
    return patch


def _difference(before: object, after: object) -> object:
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    gone: Json = {name: None for name in before if name not in after}
    return gone | {
        name: _difference(before.get(name), value) for name, value in after.items() if before.get(name) != value
    }
