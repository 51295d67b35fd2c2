"""What a revision is configured with: the ConfigMaps that the spec refers to, as they are now, and copies of them.

A revision never uses a ConfigMap that somebody may change: it uses an immutable copy of its own. So a
change is a new revision, which is judged like any other while the old one keeps serving with the old configuration;
and an old revision comes back with the configuration that it had. Secrets are named and never read: a Secret under
another name is a new revision (docs/design/configuration.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from tandem.api import names
from tandem.api.appdeployment import AppDeploymentSpec, ConfigFrom, EnvFrom
from tandem.api.appdeployment_status import RevisionConfigMap
from tandem.api.conditions import Outcome, Passed, Retrying, Working
from tandem.api.facts import ConfigMapNamed, Unavailable
from tandem.api.plan import CopyConfigMap, Delete, Refusal
from tandem.apps.case import Case, stamp
from tandem.apps.manifest import metadata, name_of
from tandem.apps.revision import Target, number_in

CONFIGURATION_RESOLVED: Final = "ConfigurationResolved"
SOURCE_ANNOTATION: Final = f"{names.GROUP}/copy-of"


@dataclass(frozen=True)
class Configuration:
    """``outcome`` is None where the spec refers to no ConfigMap."""

    outcome: Outcome | None = None
    digests: Mapping[str, str] = field(default_factory=dict)  # name of a ConfigMap → digest of what it holds

    @property
    def complete(self) -> bool:
        return self.outcome is None or isinstance(self.outcome, Passed)


def configure(case: Case) -> Configuration | None:
    """None: the API server was asked for the first time and has not answered yet."""
    wanted = sorted(set(_config_maps(case.spec)))
    queries = {name: ConfigMapNamed(case.app.metadata.namespace, name) for name in wanted}
    digests: dict[str, str] = {}
    away: Outcome | None = None
    for name, query in queries.items():  # all of them, also when one cannot be had: they are asked for together
        content = case.draft.read(query)
        if isinstance(content, Unavailable):
            away = away or _unavailable(case, name, content)
        elif content is not None:
            digests[name] = content.digest
    if not all(case.observed.facts.answered(query) for query in queries.values()):
        return None
    if away is not None:
        return Configuration(away)
    missing = [name for name in wanted if name not in digests]
    if missing:
        return Configuration(_missing(case, missing))
    return Configuration(Passed("Resolved", f"ConfigMaps: {', '.join(wanted)}") if wanted else None, digests)


def copy(case: Case, target: Target) -> Refusal | None:
    """Every copy that the revision needs is there, or is made now; before its Deployment, so that pods find it."""
    for config_map in target.shown.config_maps:
        if target.content is None or config_map.copy in _copies(case):
            continue
        manifest = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(case, config_map.copy, target.number, {SOURCE_ANNOTATION: config_map.name}),
            "immutable": True,
        }
        refusal = case.draft.act(CopyConfigMap(manifest, config_map.name, config_map.digest))
        if refusal is not None:
            return refusal
    return None


def lost(case: Case, config_maps: tuple[RevisionConfigMap, ...]) -> list[str]:
    """Of these copies, those that somebody has deleted."""
    return [one.copy for one in config_maps if one.copy not in _copies(case)]


def prune(case: Case, target: Target | None) -> None:
    """Copies go when their revision is gone, and those of a start that came to nothing."""
    for meta in sorted((one.metadata for one in case.observed.children.config_maps), key=lambda meta: meta.name):
        number = number_in(meta.labels)
        if meta.deletion_timestamp is None and number is not None and not _needed(case, target, number, meta.name):
            # An older view may know nothing of the revision: what is deleted here would never come back.
            rests_on = name_of(case, number)
            case.draft.act(Delete("v1", "ConfigMap", meta.namespace, meta.name, meta.uid, rests_on=rests_on))


def _needed(case: Case, target: Target | None, number: int, name: str) -> bool:
    owned = case.fleet.owned.get(number)
    if owned is not None and not owned.legible:
        return True  # nobody knows what that one uses
    by = [target.shown] if target is not None and target.number == number else []
    by += [owned.shown] if owned is not None else []
    return any(config_map.copy == name for shown in by for config_map in shown.config_maps)


def _config_maps(spec: AppDeploymentSpec) -> Iterator[str]:
    sources: tuple[EnvFrom | ConfigFrom, ...] = (*spec.env_from, *spec.config_from)
    for source in sources:
        if source.config_map_ref is not None:
            yield source.config_map_ref.name


def _copies(case: Case) -> set[str]:
    there = (one.metadata for one in case.observed.children.config_maps)
    return {meta.name for meta in there if meta.deletion_timestamp is None}


def _missing(case: Case, missing: list[str]) -> Working:
    before = case.told(CONFIGURATION_RESOLVED)
    since = before.last_transition_time if before and before.status == "Unknown" else case.second
    which = ", ".join(repr(name) for name in missing)
    return Working(
        "ConfigMapNotFound",
        f"namespace {case.app.metadata.namespace!r} has no ConfigMap {which}; waiting for it since {stamp(since)}"
        f"{case.meanwhile}",
    )


def _unavailable(case: Case, name: str, fact: Unavailable) -> Retrying:
    said = f"ConfigMap {name!r} cannot be read since {stamp(fact.since)}: {fact.message}"
    return Retrying(fact.reason, f"{said}{case.meanwhile}")
