"""AppDeployment: image or model version → revision → traffic. The contract is crds/appdeployments.yaml."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from tandem.api.analysis import Analysis
from tandem.api.appdeployment_status import AppDeploymentStatus
from tandem.api.autoscaling import Autoscaling
from tandem.api.containers import MAX_INT32, Argument, EnvVar, Image, LocalReference, Name, ObjectName, Resources
from tandem.api.meta import ObjectMeta, Wire

ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]
Alias = Annotated[str, msgspec.Meta(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class ServedModel(Wire, frozen=True):
    """A model of the registry: exactly one of ``alias`` (followed) and ``version`` (pinned).

    ``promoteTo`` is the alias that moves last, when the version takes the traffic, so that the registry always
    names what serves.
    """

    name: ModelName
    alias: Alias | None = None
    version: Annotated[str, msgspec.Meta(pattern=r"^[0-9]+$", max_length=16)] | None = None
    promote_to: Alias | None = None


class EnvFrom(Wire, frozen=True):
    """Every key of a ConfigMap or a Secret (exactly one) as an environment variable."""

    config_map_ref: LocalReference | None = None
    secret_ref: LocalReference | None = None
    prefix: Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$", max_length=64)] = ""


class ConfigFrom(Wire, frozen=True):
    """Every key of a ConfigMap or a Secret (exactly one) as a file in a folder."""

    mount_path: Annotated[str, msgspec.Meta(pattern=r"^(/[A-Za-z0-9_.-]+)+$", max_length=256)]
    config_map_ref: LocalReference | None = None
    secret_ref: LocalReference | None = None


class Rollback(Wire, frozen=True):
    to_revision: Annotated[int, msgspec.Meta(ge=1, le=MAX_INT32)]


class SafeDefaults(Wire, frozen=True):
    """What a production team would write by hand: all of it is there unless it is turned off.

    Pod Security ``restricted`` is not in the list: nothing turns it off.
    """

    probes: bool = True
    requests: bool = True
    topology_spread: bool = True
    graceful_termination: bool = True
    pod_disruption_budget: bool = True
    network_policy: bool = True


class Pause(Wire, frozen=True):
    """Without a duration: until a person approves."""

    duration_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_INT32)] | None = None


class RolloutStep(Wire, frozen=True):
    """So much of the traffic for the candidate, then a judgement, then (where asked for) a pause."""

    traffic_percent: Annotated[int, msgspec.Meta(ge=0, le=100)]
    pause: Pause | None = None


class HeaderMatch(Wire, frozen=True):
    """Requests with exactly this header go to the candidate, whatever the weight."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=256, pattern=r"^[!-~]+$")]


class FreezeWindow(Wire, frozen=True):
    """From each moment of a cron schedule on, for so long, nothing new takes traffic."""

    schedule: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9@*/, #?-]+$")]
    duration_seconds: Annotated[int, msgspec.Meta(ge=60, le=31 * 86400)]
    time_zone: Annotated[str, msgspec.Meta(max_length=64, pattern=r"^[A-Za-z0-9+_/-]*$")] = "Etc/UTC"
    reason: Annotated[str, msgspec.Meta(max_length=256)] = ""


class Rollout(Wire, frozen=True):
    """How a revision takes the traffic (docs/design/rollouts.md)."""

    strategy: Literal["BlueGreen", "Canary", "RollingUpdate"] = "BlueGreen"
    steps: Annotated[tuple[RolloutStep, ...], msgspec.Meta(max_length=20)] = ()
    approval: Literal["Automatic", "Required"] = "Automatic"
    analysis: Analysis = ()
    watch_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT32)] | None = None
    auto_rollback: bool = True
    test_header: HeaderMatch | None = None
    freeze: Annotated[tuple[FreezeWindow, ...], msgspec.Meta(max_length=16)] = ()


class ParentReference(Wire, frozen=True):
    """A Gateway. In another namespace it has to let routes of this one in (its listener's ``allowedRoutes``)."""

    name: ObjectName
    namespace: Name | None = None
    section_name: ObjectName | None = None


# A host name as Gateway API and Ingress take it, with one wildcard in front at most.
_HOST_PATTERN = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
Hostname = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=_HOST_PATTERN)]


class Gateway(Wire, frozen=True):
    """Gateway API: an HTTPRoute with weights."""

    parent_refs: Annotated[tuple[ParentReference, ...], msgspec.Meta(min_length=1, max_length=8)]
    hostnames: Annotated[tuple[Hostname, ...], msgspec.Meta(max_length=16)] = ()


class Ingress(Wire, frozen=True):
    """An Ingress in front of the Service."""

    host: Hostname | None = None
    ingress_class_name: ObjectName | None = None
    path: Annotated[str, msgspec.Meta(pattern=r"^/[!-~]*$", max_length=1024)] = "/"
    tls_secret_ref: LocalReference | None = None


class AppDeploymentSpec(Wire, frozen=True):
    """``image`` for an app, ``model`` for a model server, or both: a server of the user's own for that model."""

    image: Image | None = None
    model: ServedModel | None = None
    command: Annotated[tuple[Argument, ...], msgspec.Meta(max_length=64)] = ()
    args: Annotated[tuple[Argument, ...], msgspec.Meta(max_length=64)] = ()
    env: Annotated[tuple[EnvVar, ...], msgspec.Meta(max_length=64)] = ()
    env_from: Annotated[tuple[EnvFrom, ...], msgspec.Meta(max_length=16)] = ()
    config_from: Annotated[tuple[ConfigFrom, ...], msgspec.Meta(max_length=16)] = ()
    commit: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{7,64}$", max_length=64)] | None = None
    commit_time: datetime | None = None  # no part of the revision: only the lead time counts from it
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8080
    health_path: Annotated[str, msgspec.Meta(pattern=r"^/[!-~]*$", max_length=1024)] | None = None
    replicas: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 1
    autoscaling: Autoscaling | None = None
    resources: Resources = Resources()
    safe_defaults: SafeDefaults = SafeDefaults()
    termination_grace_period_seconds: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 30
    progress_deadline_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_INT32)] = 600
    scale_down_delay_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT32)] = 30
    revision_history_limit: Annotated[int, msgspec.Meta(ge=0, le=50)] = 10
    rollout: Rollout = Rollout()
    gateway: Gateway | None = None
    ingress: Ingress | None = None
    rollback: Rollback | None = None
    suspend: bool = False


class AppDeployment(Wire, frozen=True):
    metadata: ObjectMeta
    spec: AppDeploymentSpec
    status: AppDeploymentStatus = AppDeploymentStatus()
