"""The kinds that the stand-in serves, and what each of them is strict about."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from tests import crds

Json: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True)
class Kind:
    """``generation``: it has one. ``status``: a subresource, apart from the rest. ``fixed``: may never change.

    ``counts_annotations``: they make a new generation, too. ``made_by_put``: a PUT of what is not there makes it.
    """

    group: str
    version: str
    kind: str
    plural: str
    generation: bool = True
    status: bool = True
    fixed: tuple[Path, ...] = ()
    schema: Json | None = None
    counts_annotations: bool = False
    made_by_put: bool = False

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        """As messages name it: jobs.batch, pods."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def __hash__(self) -> int:
        return hash((self.group, self.plural))


_SELECTOR: Final = (("spec", "selector"),)


def _ours(kind: str) -> Kind:
    definition = crds.definition(kind)["spec"]
    version = crds.version(kind)
    plural = definition["names"]["plural"]
    return Kind(definition["group"], version["name"], kind, plural, schema=crds.schema(kind))


TRAINING_JOBS: Final = _ours("TrainingJob")
APP_DEPLOYMENTS: Final = _ours("AppDeployment")
JOBS: Final = Kind("batch", "v1", "Job", "jobs", fixed=(("spec", "template"), ("spec", "selector")))
DEPLOYMENTS: Final = Kind(
    "apps", "v1", "Deployment", "deployments", fixed=(("spec", "selector"),), counts_annotations=True
)
REPLICA_SETS: Final = Kind("apps", "v1", "ReplicaSet", "replicasets", fixed=_SELECTOR)
PODS: Final = Kind("", "v1", "Pod", "pods", generation=False)
SERVICES: Final = Kind("", "v1", "Service", "services", generation=False)
CONFIG_MAPS: Final = Kind("", "v1", "ConfigMap", "configmaps", generation=False, status=False)
DISRUPTION_BUDGETS: Final = Kind("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
AUTOSCALERS: Final = Kind("autoscaling", "v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", generation=False)
NETWORK_POLICIES: Final = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", status=False)
INGRESSES: Final = Kind("networking.k8s.io", "v1", "Ingress", "ingresses")
EVENTS: Final = Kind("events.k8s.io", "v1", "Event", "events", generation=False, status=False, made_by_put=True)
LEASES: Final = Kind("coordination.k8s.io", "v1", "Lease", "leases", generation=False, status=False, made_by_put=True)

KINDS: Final = (
    TRAINING_JOBS,
    APP_DEPLOYMENTS,
    JOBS,
    DEPLOYMENTS,
    REPLICA_SETS,
    PODS,
    SERVICES,
    CONFIG_MAPS,
    DISRUPTION_BUDGETS,
    NETWORK_POLICIES,
    AUTOSCALERS,
    INGRESSES,
    EVENTS,
    LEASES,
)


def find(group: str, plural: str, kinds: Iterable[Kind] = KINDS) -> Kind | None:
    return next((kind for kind in kinds if (kind.group, kind.plural) == (group, plural)), None)
