"""What the containers before the user's own steps are told, and what is mounted into them: code, data, credentials.

A Secret is mounted into the container that fetches and into no other; the operator names it and never reads it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from tandem.api.meta import Json, to_json
from tandem.api.trainingjob import DataSet, GitSource, TrainingJobSpec

FETCH: Final = "fetch"
VALIDATE: Final = "validate"
REPRODUCTION: Final = "reproduction"
DIGEST: Final = "digest"
CONTAINERS: Final = frozenset({FETCH, VALIDATE, REPRODUCTION, DIGEST})  # of a run's pod, beside the user's own
POLL: Final = "poll"
WORKSPACE: Final = "/workspace"
_MOUNTED: Final = "/tandem"  # no storageUri can name a file below it
_SOURCE_SECRET: Final = f"{_MOUNTED}/source-secret"
_CLAIM: Final = "pvc://"

# The kubelet keeps 4096 bytes of a container's termination message, and 12 KiB for all containers of a pod.
_MESSAGE: Final = 4096
_MESSAGES: Final = 12288
# Linux takes 128 KiB for one variable of an environment (MAX_ARG_STRLEN).
CHECKS_LIMIT: Final = 120_000


@dataclass(frozen=True, slots=True)
class Mounted:
    """A volume of the pod, and where the container that fetches finds it. ``what``: as a person calls it."""

    what: str
    volume: Json
    path: str
    read_only: bool = True

    @property
    def mount(self) -> Json:
        mount: Json = {"name": self.volume["name"], "mountPath": self.path}
        return {**mount, "readOnly": True} if self.read_only else mount


def fetches(spec: TrainingJobSpec) -> bool:
    return spec.source is not None or bool(spec.data)


def mounted(spec: TrainingJobSpec) -> tuple[Mounted, ...]:
    """Everything that the container that fetches needs beside the workspace."""
    found = []
    if spec.source is not None and spec.source.config_map_ref is not None:
        name = spec.source.config_map_ref.name
        volume: Json = {"name": "source", "configMap": {"name": name}}
        found.append(Mounted(f"ConfigMap {name}", volume, f"{_MOUNTED}/source"))
    if spec.source is not None and spec.source.git is not None and spec.source.git.secret_ref is not None:
        found.append(_secret_of("source-secret", spec.source.git.secret_ref.name, _SOURCE_SECRET))
    for place, data in enumerate(spec.data):
        if data.secret_ref is not None:
            found.append(_secret_of(f"secret-{place}", data.secret_ref.name, _secret(data)))
        if data.storage_uri.startswith(_CLAIM):
            name = data.storage_uri.removeprefix(_CLAIM).partition("/")[0]
            found.append(_claim(f"claim-{place}", name, f"{_MOUNTED}/claims/{data.name}"))
        if data.cache is not None:
            name = data.cache.persistent_volume_claim.claim_name
            found.append(_claim(f"cache-{place}", name, f"{_MOUNTED}/caches/{data.name}", read_only=False))
    return tuple(found)


def fetch_instruction(spec: TrainingJobSpec, containers: int, source_digest: str = "") -> str:
    """TANDEM_FETCH of a pod that has so many containers: :mod:`tandem.runtime.instruction` reads it.

    ``source_digest``: that the files of a ConfigMap have to have.
    """
    git = spec.source.git if spec.source else None
    from_config_map = spec.source is not None and spec.source.config_map_ref is not None
    instruction: Json = {
        "git": _git(git) if git else None,
        "files": f"{_MOUNTED}/source" if from_config_map else None,
        "data": [_data(data) for data in spec.data],
        "workspace": WORKSPACE,
        "reportLimit": report_limit(containers),
        **({"filesDigest": source_digest} if from_config_map and source_digest else {}),
    }
    return json.dumps(instruction, sort_keys=True)


def polled(spec: TrainingJobSpec) -> tuple[DataSet, ...]:
    """The data sets that can change: those that no digest pins."""
    return tuple(data for data in spec.data if data.digest is None)


def poll_instruction(spec: TrainingJobSpec) -> str:
    """TANDEM_POLL of the pod that asks for versions, the only container of it."""
    instruction: Json = {"data": [_data(data) for data in polled(spec)], "reportLimit": report_limit(1)}
    return json.dumps(instruction, sort_keys=True)


def poll_mounts(spec: TrainingJobSpec) -> tuple[Mounted, ...]:
    """What the pod that asks for versions needs: credentials and claims, neither code nor caches."""
    return mounted(TrainingJobSpec(steps=spec.steps, data=polled(spec)))


def checked(spec: TrainingJobSpec) -> tuple[DataSet, ...]:
    """The data sets that have checks."""
    return tuple(data for data in spec.data if data.checks is not None)


def validate_instruction(spec: TrainingJobSpec, baseline: Json | None, containers: int) -> str:
    """TANDEM_VALIDATE of a pod: :mod:`tandem.runtime.validate` reads it. ``baseline``: what data are compared with."""
    instruction: Json = {
        "data": [{"name": data.name, "checks": to_json(data.checks)} for data in checked(spec)],
        "baseline": baseline,
        "workspace": WORKSPACE,
        "reportLimit": report_limit(containers),
    }
    return json.dumps(instruction, sort_keys=True)


def too_large(spec: TrainingJobSpec) -> int:
    """How many bytes the checks have, if they are more than a process can be told in one variable; else 0."""
    size = len(validate_instruction(spec, None, 1))
    return size if size > CHECKS_LIMIT else 0


def report_limit(containers: int) -> int:
    """How many bytes of a container's termination message arrive, in a pod that has so many containers."""
    return min(_MESSAGE, _MESSAGES // containers)


def _git(git: GitSource) -> Json:
    told: Json = {"url": git.url, "ref": git.ref, "path": git.path}
    return told if git.secret_ref is None else {**told, "secret": _SOURCE_SECRET}


def _data(data: DataSet) -> Json:
    told: Json = {"name": data.name, "storageUri": data.storage_uri, "digest": data.digest}
    if data.secret_ref is not None:
        told["secret"] = _secret(data)
    if data.storage_uri.startswith(_CLAIM):
        told["claim"] = f"{_MOUNTED}/claims/{data.name}"
    if data.cache is not None:
        told["cache"] = f"{_MOUNTED}/caches/{data.name}"
    return told


def _secret(data: DataSet) -> str:
    return f"{_MOUNTED}/secrets/{data.name}"


def _secret_of(volume: str, name: str, path: str) -> Mounted:
    # Group-readable: the pod's fsGroup is the group of its only user.
    source: Json = {"name": volume, "secret": {"secretName": name, "defaultMode": 0o440}}
    return Mounted(f"Secret {name}", source, path)


def _claim(volume: str, name: str, path: str, read_only: bool = True) -> Mounted:
    source: Json = {"name": volume, "persistentVolumeClaim": {"claimName": name}}
    return Mounted(f"PersistentVolumeClaim {name}", source, path, read_only)
