"""AppDeployment: image or model version → revision → traffic. The contract is crds/appdeployments.yaml."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from tandem.api.containers import MAX_INT32, Argument, EnvVar, Image, LocalReference, Resources
from tandem.api.meta import Condition, ObjectMeta, Wire

ModelName = Annotated[str, msgspec.Meta(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]
Alias = Annotated[str, msgspec.Meta(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]

# --- spec ------------------------------------------------------------------------------------------------------------


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
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8080
    health_path: Annotated[str, msgspec.Meta(pattern=r"^/[!-~]*$", max_length=1024)] | None = None
    replicas: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 1
    resources: Resources = Resources()
    safe_defaults: SafeDefaults = SafeDefaults()
    termination_grace_period_seconds: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 30
    progress_deadline_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_INT32)] = 600
    scale_down_delay_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT32)] = 30
    revision_history_limit: Annotated[int, msgspec.Meta(ge=0, le=50)] = 10
    rollback: Rollback | None = None
    suspend: bool = False


# --- status ----------------------------------------------------------------------------------------------------------


class RevisionModel(Wire, frozen=True):
    name: str
    version: str
    run_id: str = ""


class RevisionConfigMap(Wire, frozen=True):
    """A ConfigMap that a revision was made from, and the immutable copy that it uses."""

    name: str
    copy: str

    @property
    def digest(self) -> str:
        """Of what it holds: the name of the copy ends with it."""
        return self.copy.rpartition("-")[2]


class RevisionStatus(Wire, frozen=True):
    """One revision: what serves, what is about to, or what did."""

    revision: int
    digest: str  # of everything that makes it: image, model version, command, env, port …
    image: str = ""
    image_digest: str = ""  # as the first ready pod's imageID tells it
    model: RevisionModel | None = None
    commit: str = ""
    config_maps: tuple[RevisionConfigMap, ...] = ()
    secrets: tuple[str, ...] = ()


class RevisionRecord(Wire, frozen=True):
    revision: int
    digest: str = ""
    image: str = ""
    model: RevisionModel | None = None
    commit: str = ""
    config_maps: tuple[RevisionConfigMap, ...] = ()
    secrets: tuple[str, ...] = ()
    state: Literal["Stable", "Candidate", "Retired", "Failed"] = "Candidate"
    reason: str = ""
    retire_at: datetime | None = None  # the old revision serves open connections until then


# What status.phase may say.
PHASES: Final = frozenset({"Progressing", "Healthy", "Degraded", "Paused"})


class AppDeploymentStatus(Wire, frozen=True):
    observed_generation: int = -1
    phase: str = ""
    conditions: tuple[Condition, ...] = ()
    stable: RevisionStatus | None = None
    candidate: RevisionStatus | None = None
    revisions: tuple[RevisionRecord, ...] = ()
    url: str = ""
    replicas: int = 0  # of the stable revision: what /scale reports
    selector: str = ""


class AppDeployment(Wire, frozen=True):
    metadata: ObjectMeta
    spec: AppDeploymentSpec
    status: AppDeploymentStatus = AppDeploymentStatus()
