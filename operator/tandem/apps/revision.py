"""What makes a revision, how it is recognised and how it is numbered.

A revision is everything that decides what a pod does: image, commit, model version, command, arguments, environment,
what the ConfigMaps hold that it refers to, the names of the Secrets, port, health path, resources. The number of pods
is not part of it. Each revision is one Deployment, which carries the digest; so the same content is the same revision,
also after S1 → S2 → S1, and also when the status is lost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from tandem.api import names
from tandem.api.appdeployment import AppDeployment, AppDeploymentSpec, ConfigFrom, EnvFrom
from tandem.api.appdeployment_status import AppDeploymentStatus, RevisionConfigMap, RevisionModel
from tandem.api.autoscaling import Autoscaling
from tandem.api.children import Deployment, Service
from tandem.api.containers import EnvVar, Resources
from tandem.api.meta import Json, Wire, to_json
from tandem.apps.note import (
    NOTE_ANNOTATION,
    NOTHING_SPENT,
    SPENT_ANNOTATION,
    TRAFFIC_ANNOTATION,
    Note,
    Spent,
    Traffic,
    read,
)

# Memory of a Deployment: what a lost status is derived from again.
APPLIED_ANNOTATION: Final = f"{names.GROUP}/applied"
CONTENT_ANNOTATION: Final = f"{names.GROUP}/revision-content"
STARTED_ANNOTATION: Final = f"{names.GROUP}/rollout-started-at"
VERDICT_ANNOTATION: Final = f"{names.GROUP}/failed"

# Of spec.safeDefaults, what a pod has: a change is another revision. The others are objects beside the revisions.
POD_DEFAULTS: Final = ("probes", "requests", "topology_spread", "graceful_termination")


class EnvSource(Wire, frozen=True):
    """Environment variables: of a ConfigMap, by the digest of what it holds, or of a Secret, by its name."""

    config_map: str = ""
    secret: str = ""
    prefix: str = ""


class FileSource(Wire, frozen=True):
    """Files, of the same two."""

    mount_path: str
    config_map: str = ""
    secret: str = ""


class Content(Wire, frozen=True):
    """What makes a revision. A field that is added later needs an empty default, or every app rolls out again."""

    image: str
    port: int
    model: RevisionModel | None = None
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    health_path: str = ""
    resources: Resources = Resources()
    own_server: bool = False  # Tandem's own model server, not an image of the user's
    tracking_uri: str = ""  # part of it: another registry is judged like any other change, while the old one serves
    termination_grace_period_seconds: int = 30
    commit: str = ""
    env_from: tuple[EnvSource, ...] = ()
    config_from: tuple[FileSource, ...] = ()
    without: tuple[str, ...] = ()  # of spec.safeDefaults, those that a pod has and that are turned off

    def has(self, default: str) -> bool:
        return default not in self.without


def content_of(
    spec: AppDeploymentSpec,
    model: RevisionModel | None,
    runtime_image: str,
    tracking_uri: str,
    config_maps: Mapping[str, str],
) -> Content:
    """``config_maps``: of each that the spec refers to, the digest of what it holds."""
    return Content(
        image=spec.image or runtime_image,
        port=spec.port,
        model=model,
        command=spec.command,
        args=spec.args,
        env=spec.env,
        health_path=spec.health_path or "",
        resources=spec.resources,
        own_server=spec.image is None,
        tracking_uri=tracking_uri if model else "",
        termination_grace_period_seconds=spec.termination_grace_period_seconds,
        commit=spec.commit or "",
        env_from=tuple(
            EnvSource(config_map=_digest(one, config_maps), secret=_secret(one), prefix=one.prefix)
            for one in spec.env_from
        ),
        config_from=tuple(
            FileSource(mount_path=one.mount_path, config_map=_digest(one, config_maps), secret=_secret(one))
            for one in spec.config_from
        ),
        without=tuple(name for name in POD_DEFAULTS if not getattr(spec.safe_defaults, name)),
    )


def digest_of(content: Content) -> str:
    """16 hexadecimal digits. The model's run is left out: name and version decide it."""
    body = to_json(content)
    if content.model is not None:
        body["model"] = {"name": content.model.name, "version": content.model.version}
    return hashed(body)


def hashed(body: Json) -> str:
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


class Shown(Wire, frozen=True):
    """What the status tells of a revision."""

    image: str = ""
    model: RevisionModel | None = None
    commit: str = ""
    config_maps: tuple[RevisionConfigMap, ...] = ()
    secrets: tuple[str, ...] = ()
    autoscaling: Autoscaling | None = None  # what it served with last: not told, but restored by a rollback
    image_digest: str = ""  # what its pods ran, written down when they go

    def __str__(self) -> str:
        return f"model {self.model.name} version {self.model.version}" if self.model else f"image {self.image}"


def shown_of(app: str, number: int, spec: AppDeploymentSpec, content: Content, config_maps: Mapping[str, str]) -> Shown:
    sources: tuple[EnvFrom | ConfigFrom, ...] = (*spec.env_from, *spec.config_from)
    named = sorted({one.config_map_ref.name for one in sources if one.config_map_ref})
    return Shown(
        image=content.image,
        model=content.model,
        commit=content.commit,
        config_maps=tuple(
            RevisionConfigMap(name=name, copy=copy_name(app, number, config_maps[name])) for name in named
        ),
        secrets=tuple(sorted({one.secret_ref.name for one in sources if one.secret_ref})),
        autoscaling=spec.autoscaling,
    )


def copy_name(app: str, number: int, digest: str) -> str:
    """Of a revision's copy of whatever ConfigMap that has this content."""
    return f"{app}-{number}-{digest}"


def _digest(source: EnvFrom | ConfigFrom, config_maps: Mapping[str, str]) -> str:
    return config_maps[source.config_map_ref.name] if source.config_map_ref else ""


def _secret(source: EnvFrom | ConfigFrom) -> str:
    return source.secret_ref.name if source.secret_ref else ""


class Verdict(Wire, frozen=True):
    """Why a revision was set aside, and what would lift that: a new token, or more time than it was given."""

    reason: str
    message: str
    deadline: int
    requested_at: str = ""


@dataclass(frozen=True)
class Owned:
    """A revision that exists: its Deployment, and what that remembers."""

    number: int
    digest: str
    shown: Shown
    verdict: Verdict | None
    started_at: datetime | None
    applied: str
    deployment: Deployment
    legible: bool = True  # what it remembers of its content could be read
    note: Note | None = None  # of a candidate: where its rollout has got to
    spent: Spent = NOTHING_SPENT  # what was said of it in an attempt that is over

    @property
    def replicas(self) -> int:
        return self.deployment.spec.replicas

    @property
    def available(self) -> int:
        return self.deployment.status.available_replicas

    @property
    def current(self) -> bool:
        """Whether the Deployment's status speaks of its spec as it is now."""
        return self.deployment.status.observed_generation >= self.deployment.metadata.generation

    def ready(self, replicas: int) -> bool:
        """Whether as many pods as wanted are there, of this spec, and available."""
        there = min(self.deployment.status.updated_replicas, self.available)
        return self.current and self.replicas == replicas and there >= replicas


@dataclass(frozen=True)
class Fleet:
    """The revisions that exist, and the one that the Service sends the traffic to.

    ``shared``: the Service selects the pods of every revision, and ``serving`` is the one that is stable. ``missing``:
    the revision that it names is not there, as far as anybody sees, and ``serving`` is what the status remembers.
    """

    owned: Mapping[int, Owned]
    service: Service | None
    serving: int | None
    shared: bool = False
    traffic: Traffic | None = None
    missing: int | None = None

    @property
    def stable(self) -> Owned | None:
        return self.owned.get(self.serving) if self.serving is not None else None


@dataclass(frozen=True)
class Target:
    """The revision that the spec asks for, there already or not.

    ``content`` is None for one that is known by its Deployment alone, which then has to be there; ``held``: by
    spec.rollback.
    """

    number: int
    digest: str
    shown: Shown
    content: Content | None
    held: bool = False


def fleet_of(app: AppDeployment, deployments: Iterable[Deployment], services: Iterable[Service]) -> Fleet:
    """What serves is what the Service selects: the truth is the cluster's, and the status only its mirror."""
    owned = {o.number: o for o in map(_owned, deployments) if o is not None}
    service = next((s for s in services if s.metadata.name == app.metadata.name and _lives(s)), None)
    traffic = read(service.metadata.annotations, TRAFFIC_ANNOTATION, Traffic) if service else None
    selected = number_in(service.spec.selector) if service else None
    shared = service is not None and service.spec.selector == {names.APP_LABEL: app.metadata.name}
    if traffic is not None and not shared and traffic.stable != selected:
        traffic = None  # somebody changed the selector by hand, and it counts
    serving = traffic.stable if traffic is not None else selected
    remembered = app.status.stable.revision if app.status.stable else None
    missing: int | None = None
    if remembered in owned and serving not in owned and (serving is not None or service is None or shared):
        # Somebody deleted the Service, or its note, or made it select what is not there: the status knows better.
        missing, serving = serving, remembered
    return Fleet(owned=owned, service=service, serving=serving, shared=shared, traffic=traffic, missing=missing)


def number_of(digest: str, fleet: Fleet, stored: AppDeploymentStatus) -> int:
    """The number of the revision with this content: of the one that has it already, or the next."""
    same = [number for number, owned in fleet.owned.items() if owned.digest == digest]
    if same:
        return max(same)
    for known in (stored.stable, stored.candidate, *stored.revisions):
        # Its Deployment was deleted by hand, or is not seen yet (one kind may be seen later than another): it comes
        # back under its number, which the Service may still select, and where the verdict on it would be in the way.
        if known is not None and known.digest == digest and known.revision not in fleet.owned:
            return known.revision
    used = [*fleet.owned, *(record.revision for record in stored.revisions), fleet.serving or 0]
    return max(used) + 1


def _owned(deployment: Deployment) -> Owned | None:
    number = number_in(deployment.metadata.labels)
    if number is None or not _lives(deployment):
        return None
    notes = deployment.metadata.annotations
    shown = read(notes, CONTENT_ANNOTATION, Shown)
    return Owned(
        number=number,
        digest=notes.get(names.SPEC_DIGEST_ANNOTATION, ""),
        shown=shown or Shown(),
        legible=shown is not None,
        verdict=read(notes, VERDICT_ANNOTATION, Verdict),
        note=read(notes, NOTE_ANNOTATION, Note),
        spent=read(notes, SPENT_ANNOTATION, Spent) or NOTHING_SPENT,
        started_at=_moment(notes.get(STARTED_ANNOTATION)),
        applied=notes.get(APPLIED_ANNOTATION, ""),
        deployment=deployment,
    )


def _lives(thing: Deployment | Service) -> bool:
    return thing.metadata.deletion_timestamp is None


def number_in(labels: Mapping[str, str]) -> int | None:
    """The revision that an object belongs to, or that a selector selects."""
    text = labels.get(names.REVISION_LABEL)
    return int(text) if text and text.isascii() and text.isdigit() and int(text) > 0 else None


def _moment(text: str | None) -> datetime | None:
    try:
        moment = msgspec.convert(text, datetime) if text else None
    except msgspec.ValidationError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
