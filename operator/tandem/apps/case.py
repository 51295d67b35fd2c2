"""What every step of the plan may look at: the observed world, the settings, the hour, and the draft it adds to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from msgspec import structs

from tandem.api.appdeployment import AppDeployment, AppDeploymentSpec
from tandem.api.appdeployment_status import AppDeploymentStatus
from tandem.api.autoscaling import Autoscaling
from tandem.api.children import (
    ConfigMap,
    Deployment,
    HorizontalPodAutoscaler,
    HTTPRoute,
    Ingress,
    Job,
    NetworkPolicy,
    Pod,
    PodDisruptionBudget,
    ReplicaSet,
    Service,
)
from tandem.api.conditions import READY, Failed, Outcome, Retrying
from tandem.api.meta import Condition, condition_of
from tandem.api.plan import PREDECESSOR_REMAINS, Draft, Observed, Refusal
from tandem.apps.revision import Fleet, fleet_of

# Refusals that pass by themselves; any other one needs a person, and says so as a failure (it is retried all the same).
TRANSIENT = frozenset({"TrackingUnavailable", "ServerTimeout", "TooManyRequests", "Conflict", PREDECESSOR_REMAINS})


@dataclass(frozen=True)
class AppSettings:
    """What the operator was started with; nothing of it can be set by a resource."""

    runtime_image: str
    mlflow_uri: str
    domain: str = "cluster.local"
    gateway_api: bool = False  # whether the cluster has it


@dataclass(frozen=True)
class AppChildren:
    """What this resource controls: ReplicaSets and pods by a Deployment's uid, everything else by its own."""

    deployments: tuple[Deployment, ...] = ()
    replica_sets: tuple[ReplicaSet, ...] = ()
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()
    config_maps: tuple[ConfigMap, ...] = ()  # copies, by their metadata alone
    jobs: tuple[Job, ...] = ()  # judgements
    budgets: tuple[PodDisruptionBudget, ...] = ()
    network_policies: tuple[NetworkPolicy, ...] = ()
    routes: tuple[HTTPRoute, ...] = ()
    ingresses: tuple[Ingress, ...] = ()
    autoscalers: tuple[HorizontalPodAutoscaler, ...] = ()


@dataclass(frozen=True)
class Bounds:
    """The autoscaling in force, the note of a rollback about it, and why it is not the spec's, if it is not."""

    autoscaling: Autoscaling | None = None
    note: str = ""
    because: str = ""


@dataclass(frozen=True)
class Case:
    """One resource at one moment."""

    settings: AppSettings
    observed: Observed[AppDeployment, AppChildren]
    now: datetime
    draft: Draft
    bounds: Bounds = Bounds()
    wanted: int | None = None  # the revision that the spec asks for, where that is known

    @property
    def app(self) -> AppDeployment:
        return self.observed.resource

    @cached_property
    def spec(self) -> AppDeploymentSpec:
        """As it is carried out: an autoscaler has the last word on ``replicas``, also where a manifest says another."""
        spec, autoscaling = self.app.spec, self.bounds.autoscaling
        return spec if autoscaling is None else structs.replace(spec, replicas=autoscaling.within(spec.replicas))

    @property
    def stored(self) -> AppDeploymentStatus:
        """The status as it was last written; a memory that may be gone, never the truth about what serves."""
        return self.app.status

    @cached_property
    def fleet(self) -> Fleet:
        children = self.observed.children
        return fleet_of(self.app, children.deployments, children.services)

    @property
    def second(self) -> datetime:
        """Now, as Kubernetes writes times."""
        return self.now.replace(microsecond=0)

    @property
    def meanwhile(self) -> str:
        """What a message about something that does not go on ends with."""
        stable = self.fleet.stable
        return f"; revision {stable.number} keeps serving" if stable else ""

    def waits_since(self, reason: str) -> datetime | None:
        """Since when Ready says this reason, as the status remembers it; a lost status only delays."""
        ready = self.told(READY)
        return self.stored.waiting_since if ready is not None and ready.reason == reason else None

    def told(self, type_: str) -> Condition | None:
        return condition_of(self.stored.conditions, type_)


def refused(refusal: Refusal, what_for: str) -> Outcome:
    message = f"{what_for}: {refusal.message}"
    if refusal.reason in TRANSIENT:
        return Retrying(refusal.reason, message)
    return Failed(refusal.reason, message, final=False)


def stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%SZ")
