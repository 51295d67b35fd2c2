"""What plans read of the objects that Tandem's resources own: Jobs, Pods, Deployments, Services and what guards them.

The store keeps these views, never whole objects: 10,000 Jobs as the API server sends them would not fit the budget.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from tandem.api.meta import ObjectMeta, Wire


class ChildCondition(Wire, frozen=True):
    """A condition of a built-in kind (no observedGeneration of its own)."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: datetime | None = None


class JobStatus(Wire, frozen=True):
    conditions: tuple[ChildCondition, ...] = ()
    start_time: datetime | None = None
    completion_time: datetime | None = None
    active: int = 0
    ready: int = 0
    succeeded: int = 0
    failed: int = 0


class JobSpec(Wire, frozen=True):
    suspend: bool = False


class Job(Wire, frozen=True):
    """``batch/v1`` Job."""

    metadata: ObjectMeta
    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()

    def condition(self, type_: str) -> ChildCondition | None:
        """The condition of this type, if it is True."""
        return next((c for c in self.status.conditions if c.type == type_ and c.status == "True"), None)

    @property
    def ended(self) -> bool:
        return bool(self.condition("Complete") or self.condition("Failed"))

    @property
    def released(self) -> datetime | None:
        """Since when its pods may be there: it was made, or resumed."""
        told = self.status.conditions
        resumed = [c.last_transition_time for c in told if (c.type, c.status) == ("Suspended", "False")]
        return max(filter(None, (self.metadata.creation_timestamp, *resumed)), default=None)


class Terminated(Wire, frozen=True):
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Waiting(Wire, frozen=True):
    reason: str = ""
    message: str = ""

    @property
    def pull_error(self) -> str:
        """What the pull of an image itself said, or ''; the same in the try that failed and in the back-off after it.

        The two take turns for ever: a message that followed them would be a write at each turn.
        """
        cause = self.message.rpartition("ErrImagePull: ")[2].strip()
        return "" if cause.startswith("Back-off") else cause


class Running(Wire, frozen=True):
    started_at: datetime | None = None


class ContainerState(Wire, frozen=True):
    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(Wire, frozen=True):
    name: str
    image: str = ""
    image_id: str = msgspec.field(name="imageID", default="")
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(Wire, frozen=True):
    phase: str = ""
    reason: str = ""
    message: str = ""
    start_time: datetime | None = None
    conditions: tuple[ChildCondition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Wire, frozen=True):
    """``v1`` Pod."""

    metadata: ObjectMeta
    status: PodStatus = PodStatus()
    departed: bool = False  # it is gone, and this is what was last seen of it

    @property
    def disruption(self) -> ChildCondition | None:
        """Why the cluster takes this pod away (drained, evicted, preempted, its node gone), if it does."""
        return next((c for c in self.status.conditions if (c.type, c.status) == ("DisruptionTarget", "True")), None)

    @property
    def taken_at(self) -> datetime | None:
        """Since when it is told to stop, by the cluster or by whoever deletes it; None: it is not, or nobody knows."""
        meta, disruption = self.metadata, self.disruption
        told = disruption.last_transition_time if disruption is not None else None
        if meta.deletion_timestamp is None:
            return told
        deleted = meta.deletion_timestamp - timedelta(seconds=meta.deletion_grace_period_seconds)
        return min(told, deleted) if told is not None else deleted

    @property
    def containers(self) -> tuple[ContainerStatus, ...]:
        """Init containers first: the order in which they run."""
        return self.status.init_container_statuses + self.status.container_statuses


class ReplicaSet(Wire, frozen=True):
    """``apps/v1`` ReplicaSet: the link by which a pod is known to belong to a Deployment."""

    metadata: ObjectMeta


class ContainerPort(Wire, frozen=True):
    container_port: int
    name: str = ""


class TemplateContainer(Wire, frozen=True):
    name: str
    image: str = ""
    ports: tuple[ContainerPort, ...] = ()


class TemplateSpec(Wire, frozen=True):
    containers: tuple[TemplateContainer, ...] = ()


class PodTemplate(Wire, frozen=True):
    spec: TemplateSpec = TemplateSpec()


class DeploymentSpec(Wire, frozen=True):
    replicas: int = 1
    template: PodTemplate = PodTemplate()


class DeploymentStatus(Wire, frozen=True):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    conditions: tuple[ChildCondition, ...] = ()


class Deployment(Wire, frozen=True):
    """``apps/v1`` Deployment."""

    metadata: ObjectMeta
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()

    def image_of(self, container: str) -> str:
        """The image that its pod template names; '' where there is no such container."""
        return next((one.image for one in self.spec.template.spec.containers if one.name == container), "")

    def port_of(self, container: str, name: str) -> int | None:
        """The port of this name that its pod template declares."""
        declared = (port for one in self.spec.template.spec.containers if one.name == container for port in one.ports)
        return next((port.container_port for port in declared if port.name == name), None)


class ServiceSpec(Wire, frozen=True):
    selector: dict[str, str] = {}


class Service(Wire, frozen=True):
    """``v1`` Service."""

    metadata: ObjectMeta
    spec: ServiceSpec = ServiceSpec()


class PodDisruptionBudget(Wire, frozen=True):
    """``policy/v1`` PodDisruptionBudget. What was applied to it is told by its annotation."""

    metadata: ObjectMeta


class HorizontalPodAutoscalerStatus(Wire, frozen=True):
    """What it measures is nobody's business here, and changes every 15 seconds."""

    conditions: tuple[ChildCondition, ...] = ()


class HorizontalPodAutoscaler(Wire, frozen=True):
    """``autoscaling/v2`` HorizontalPodAutoscaler. What was applied to it is told by its annotation."""

    metadata: ObjectMeta
    status: HorizontalPodAutoscalerStatus = HorizontalPodAutoscalerStatus()

    def condition(self, type_: str) -> ChildCondition | None:
        return next((c for c in self.status.conditions if c.type == type_), None)


class NetworkPolicy(Wire, frozen=True):
    """``networking.k8s.io/v1`` NetworkPolicy."""

    metadata: ObjectMeta


class ConfigMap(Wire, frozen=True):
    """``v1`` ConfigMap: the copy that a revision has of one. Its content is nobody's business."""

    metadata: ObjectMeta


class BackendRef(Wire, frozen=True):
    name: str
    weight: int = 1


class RouteRule(Wire, frozen=True):
    backend_refs: tuple[BackendRef, ...] = ()


class RouteParentRef(Wire, frozen=True):
    """A Gateway, as a route names it, or whoever speaks for it in the route's status."""

    group: str = "gateway.networking.k8s.io"
    kind: str = "Gateway"
    namespace: str = ""  # of the route
    name: str = ""
    section_name: str = ""
    port: int = 0


class RouteSpec(Wire, frozen=True):
    parent_refs: tuple[RouteParentRef, ...] = ()
    rules: tuple[RouteRule, ...] = ()


class ParentCondition(ChildCondition, frozen=True):
    observed_generation: int = 0


class RouteParent(Wire, frozen=True):
    """What one controller says of a route for one Gateway. It stays there when neither is any more."""

    parent_ref: RouteParentRef = RouteParentRef()
    conditions: tuple[ParentCondition, ...] = ()

    @property
    def seen(self) -> int:
        """The latest generation that it speaks of; 0: it never says of which."""
        return max((one.observed_generation for one in self.conditions), default=0)


class RouteStatus(Wire, frozen=True):
    parents: tuple[RouteParent, ...] = ()


class HTTPRoute(Wire, frozen=True):
    """``gateway.networking.k8s.io/v1`` HTTPRoute: how a Gateway divides the traffic between Services."""

    metadata: ObjectMeta
    spec: RouteSpec = RouteSpec()
    status: RouteStatus = RouteStatus()


class Ingress(Wire, frozen=True):
    """``networking.k8s.io/v1`` Ingress. What was applied to it is told by its annotation."""

    metadata: ObjectMeta
