"""Who changes the number of pods, in the words of autoscaling/v2: what a HorizontalPodAutoscaler is made from."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from tandem.api.containers import MAX_INT32, ObjectName, Quantity
from tandem.api.meta import Wire

# As many as spec.replicas takes, which is where an autoscaler writes.
_Pods = Annotated[int, msgspec.Meta(ge=0, le=1000)]
_TargetType = Literal["Utilization", "AverageValue", "Value"]  # said by the field that is there; taken, as HPAs have it
LabelValue = Annotated[str, msgspec.Meta(max_length=253)]


class MetricSelector(Wire, frozen=True):
    match_labels: Annotated[dict[str, LabelValue], msgspec.Meta(max_length=16)] = {}


class MetricIdentifier(Wire, frozen=True):
    """A metric of the custom or the external metrics API (prometheus-adapter, KEDA, a cloud's own)."""

    # One part of a path, as Kubernetes asks for: no '/' and no '%'.
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=r"^[!-$&-.0-~]+$")]
    selector: MetricSelector | None = None


class ResourceTarget(Wire, frozen=True):
    """Exactly one: a percentage of what a pod requests, or an amount per pod."""

    type: _TargetType | None = None
    average_utilization: Annotated[int, msgspec.Meta(ge=1, le=MAX_INT32)] | None = None
    average_value: Quantity | None = None


class PodsTarget(Wire, frozen=True):
    average_value: Quantity
    type: _TargetType | None = None


class ValueTarget(Wire, frozen=True):
    """Exactly one: the value itself, or the value divided by the number of pods."""

    type: _TargetType | None = None
    value: Quantity | None = None
    average_value: Quantity | None = None


class ResourceMetric(Wire, frozen=True):
    """CPU or memory of the pods, from the resource metrics API (metrics-server)."""

    name: Literal["cpu", "memory"]
    target: ResourceTarget


class PodsMetric(Wire, frozen=True):
    """A metric that each pod has."""

    metric: MetricIdentifier
    target: PodsTarget


class DescribedObject(Wire, frozen=True):
    """An object of the same namespace."""

    api_version: Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=r"^[a-z0-9./-]+$")]
    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[A-Za-z][A-Za-z0-9]*$")]
    name: ObjectName


class ObjectMetric(Wire, frozen=True):
    """A metric of one object: requests to an Ingress, for example."""

    described_object: DescribedObject
    metric: MetricIdentifier
    target: ValueTarget


class ExternalMetric(Wire, frozen=True):
    """A metric of something outside: the length of a queue, for example."""

    metric: MetricIdentifier
    target: ValueTarget


class Metric(Wire, frozen=True):
    """``type`` and the block of that name, and no other."""

    type: Literal["Resource", "Pods", "Object", "External"]
    resource: ResourceMetric | None = None
    pods: PodsMetric | None = None
    object: ObjectMetric | None = None
    external: ExternalMetric | None = None


class ScalingPolicy(Wire, frozen=True):
    """So many pods, or percent of them, in a period at most."""

    type: Literal["Pods", "Percent"]
    value: Annotated[int, msgspec.Meta(ge=1, le=MAX_INT32)]
    period_seconds: Annotated[int, msgspec.Meta(ge=1, le=1800)]


class ScalingRules(Wire, frozen=True):
    stabilization_window_seconds: Annotated[int, msgspec.Meta(ge=0, le=3600)] | None = None
    select_policy: Literal["Max", "Min", "Disabled"] | None = None
    policies: Annotated[tuple[ScalingPolicy, ...], msgspec.Meta(max_length=8)] = ()


class Behavior(Wire, frozen=True):
    scale_up: ScalingRules | None = None
    scale_down: ScalingRules | None = None


class Autoscaling(Wire, frozen=True):
    """Without ``metrics`` Kubernetes keeps the pods at 80 % of the CPU that they request."""

    max_replicas: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    min_replicas: _Pods = 1
    metrics: Annotated[tuple[Metric, ...], msgspec.Meta(max_length=8)] = ()
    behavior: Behavior | None = None

    def within(self, replicas: int) -> int:
        """As many pods as that, within the bounds; zero stays zero: then nothing is meant to run."""
        return max(self.min_replicas, min(replicas, self.max_replicas)) if replicas else 0
