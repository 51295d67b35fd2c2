"""What two histories that should end alike have in common, and what must hold of every history."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any, Final

from tandem.api import names
from tests.faults.apiserver.database import Change
from tests.faults.apiserver.kinds import APP_DEPLOYMENTS, EVENTS, JOBS, LEASES, TRAINING_JOBS, Json
from tests.faults.world import World

_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_OF_THE_SERVER: Final = frozenset({"resourceVersion", "generation", "managedFields", "since", "observedGeneration"})
# How far a run had come when it was last asked for, if it ever was.
_IN_PASSING: Final = frozenset({"progress"})
# How long nothing served is told by whoever saw it: an older view shows pods that are not ready yet.
_RESTORED: Final = frozenset({"timeToRestoreP50Seconds", "degradedSince"})
# The mark is a hash over what was applied, the moment at which a rollout began among it.
_MARKS: Final = ("tandem.dev/applied", "tandem.dev/started-at")
# What a judgement's Job said is told by whoever saw it before it was collected; what came of it, by the revisions.
_TOLD_BY_JOBS: Final = frozenset({"analysis"})
_LEFT_OUT: Final = _OF_THE_SERVER | _IN_PASSING | _RESTORED | _TOLD_BY_JOBS


def picture(world: World) -> Json:
    """Everything there is, without versions and moments. (Events are kept apart: a crash may lose one, as it does in
    every controller that tells after it has written.)"""
    objects = _named(
        {
            f"{kind.kind}/{name}": _timeless(body)
            for (kind, _, name), body in world.server.database.all().items()
            if kind not in {EVENTS, LEASES}
        }
    )
    server = world.mlflow
    present = {body["metadata"]["uid"] for body in world.server.database.all().values()}
    runs = {
        # Nobody is left to end the run of a resource that is deleted; who had not heard of that yet may have done it.
        id_: [run.status if server.owners[id_] in present else "any", dict(run.metrics), _timeless(dict(run.tags))]
        for id_, run in server.runs.items()
    }
    versions = [[v.name, v.version, v.run_id, _timeless(dict(v.tags))] for v in server.versions]
    aliases = {f"{model}@{alias}": version for (model, alias), version in server.aliases.items()}
    return {**objects, "MLflow runs": runs, "MLflow versions": versions, "MLflow aliases": aliases}


def _named(objects: Json) -> Json:
    """A judgement's Job has a name that is made of a uid and a moment; here it is called what it is about."""
    text = json.dumps(objects)
    for name, body in objects.items():
        meta = body["metadata"]
        if name.startswith("Job/") and _is_judgement(body):
            about = f"{meta['labels'][names.REVISION_LABEL]}-{meta['annotations']['tandem.dev/analysis-moment']}"
            text = text.replace(meta["name"], f"analysis-{about}")
    found: Json = json.loads(text)
    return found


def _is_judgement(job: Json) -> bool:
    return "tandem.dev/analysis" in job["metadata"].get("labels", {})


def differences(one: Json, other: Json) -> str:
    """For a person: which parts differ, and how."""
    told = []
    for path, wanted, there in _leaves(one, other):
        told.append(f"{path}:\n  wanted: {json.dumps(wanted)}\n  is:     {json.dumps(there)}")
    return "\n".join(told)


def _leaves(one: Any, other: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            yield from _leaves(one.get(name), other.get(name), f"{path}.{name}" if path else name)
    elif one != other:
        yield path, one, other


def violations(world: World) -> list[str]:
    """Invariants of every history, whatever went wrong in it."""
    changes = world.server.database.changes
    broken = _made_again(changes)
    live: dict[str, set[str]] = {}
    for change in changes:
        if change.place[0] is JOBS:
            owner = _owner(change.object)
            ended = change.type == "DELETED" or bool(change.object.get("status", {}).get("conditions"))
            jobs = live.setdefault(owner, set())
            jobs.discard(change.place[2]) if ended else jobs.add(change.place[2])
            if len(jobs) > 1:
                broken.append(f"live Jobs of {owner} at the same time: {sorted(jobs)}")
    runs = Counter((world.mlflow.owners[run_id], run.number) for run_id, run in world.mlflow.runs.items())
    broken += [f"MLflow run {number} of {uid} was made {n} times" for (uid, number), n in runs.items() if n > 1]
    versions = Counter((version.name, version.run_id) for version in world.mlflow.versions)
    broken += [f"model {name} has {n} versions of {run}" for (name, run), n in versions.items() if n > 1]
    return broken + _statuses(world)


def _made_again(changes: list[Change]) -> list[str]:
    """Jobs that were made twice, or although a status told of them.

    Where a person has deleted the Job and wiped the status, nobody knows of it. One that is made for what is deleted
    already is collected at once, and does not count. A judgement that is gone may be made again.
    """
    gone, known, again = set[str](), defaultdict[str, set[str]](set), []
    for change in changes:
        body, uid = change.object, change.object["metadata"]["uid"]
        if change.type == "DELETED":
            gone.add(uid)
        elif change.place[0] is TRAINING_JOBS:
            run, before = _run_of(body), _run_of(change.before or {})
            if before and not run:  # no plan takes a run back
                known[uid].clear()
            known[uid].add(run.get("jobName", ""))
        elif change.place[0] is JOBS and change.type == "ADDED" and not _is_judgement(body):
            owner, name = _owner(body), change.place[2]
            if owner not in gone and name in known[owner]:
                again.append(f"Job {name} was made again")
            known[owner].add(name)
    return again


def _run_of(body: Json) -> Json:
    run: Json = body.get("status", {}).get("run", {})
    return run


def _owner(body: Json) -> str:
    owners = body["metadata"].get("ownerReferences") or [{"uid": ""}]
    return str(owners[0]["uid"])


def _statuses(world: World) -> list[str]:
    """kstatus: Ready always; Reconciling and Stalled never both."""
    broken = []
    for change in world.server.database.changes:
        if change.place[0] in {TRAINING_JOBS, APP_DEPLOYMENTS} and change.type != "DELETED":
            conditions = change.object.get("status", {}).get("conditions") or []
            true = {condition["type"] for condition in conditions if condition["status"] == "True"}
            if {"Reconciling", "Stalled"} <= true:
                broken.append(f"{change.place[2]} is reconciling and stalled at once")
            if conditions and "Ready" not in {condition["type"] for condition in conditions}:
                broken.append(f"{change.place[2]} does not say whether it is ready")
    return broken


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in _LEFT_OUT and not k.startswith(_MARKS)}
        return {key: _timeless(item) for key, item in kept.items()}
    if isinstance(value, list):
        return [_timeless(item) for item in value if not (isinstance(item, dict) and item.get("type") == "Restored")]
    return _MOMENT.sub("<moment>", value) if isinstance(value, str) else value
