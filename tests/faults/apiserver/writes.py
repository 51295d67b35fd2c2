"""Create, update, patch, apply, delete: the rules that a write has to keep to, whoever it comes from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tests.faults.apiserver import ownership, shape
from tests.faults.apiserver.answers import Cause, Refusal, already_exists, bad_request, conflict, invalid, not_found
from tests.faults.apiserver.database import Database, Place
from tests.faults.apiserver.kinds import EVENTS, Json, Kind

_NAME: Final = re.compile(r"[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")
_NOTE_LIMIT: Final = 1024
_NOTHING: Final[Json] = {"metadata": {"managedFields": []}}
# What the API server alone writes into metadata.
_MODIFIED: Final = "the object has been modified; please apply your changes to the latest version and try again"
_SYSTEM: Final = ("uid", "creationTimestamp", "generation", "resourceVersion", "deletionTimestamp", "managedFields")


@dataclass(frozen=True)
class Target:
    """What one request is about."""

    kind: Kind
    namespace: str
    name: str = ""
    status: bool = False
    manager: str = "unknown"

    @property
    def place(self) -> Place:
        return self.kind, self.namespace, self.name


class Writes:
    """Each method returns the object as it is kept now. Raises :class:`Refusal`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.namespaces = {"default": "Active"}  # name → phase

    def create(self, target: Target, body: Json, managed: list[Json] | None = None) -> Json:
        """``managed``: who owns which field, if an apply has said so."""
        meta = body.get("metadata", {})
        name = meta.get("name", "")
        place = (target.kind, target.namespace, name)
        self._check_names(target, body)
        if self._database.get(place) is not None:
            raise already_exists(target.kind, name)
        self._check_namespace(target, name)
        fresh = {k: v for k, v in meta.items() if k not in _SYSTEM}
        fresh |= {"uid": self._database.new_uid(place), "creationTimestamp": now(), "namespace": target.namespace}
        if target.kind.generation:
            fresh["generation"] = 1
        made = {**body, "metadata": fresh}
        if target.kind.status:
            made.pop("status", None)
        made = self._checked(target.kind, made)
        if managed is None:
            made = ownership.updated(_NOTHING, made, target.kind.api_version, target.manager)
        else:
            made["metadata"]["managedFields"] = managed
        return self._database.put(place, made)

    def replace(self, target: Target, body: Json) -> Json:
        """PUT: the version in the body, if there is one, must be the present one."""
        self._check_names(target, body)
        if body["metadata"].get("name") != target.name:
            raise bad_request("the name of the object does not match the name on the URL")
        if target.kind.made_by_put and self._database.get(target.place) is None:
            return self.create(target, body)
        before, uid = self._present(target), body["metadata"].get("uid")
        if uid not in {None, "", before["metadata"]["uid"]}:
            there = before["metadata"]["uid"]
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {there}"
            raise conflict(target.kind, target.name, why)
        return self._changed(target, before, body)

    def merge(self, target: Target, patch: Json) -> Json:
        before = self._present(target)
        return self._changed(target, before, shape.merge(before, patch))

    def apply(self, target: Target, config: Json, *, force: bool) -> Json:
        uid, before = config.get("metadata", {}).get("uid", ""), self._database.get(target.place)
        if target.manager == "":
            raise invalid(
                target.kind, target.name, [Cause("fieldManager", "FieldValueRequired", "is required for apply patch")]
            )
        if config.get("metadata", {}).get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        if before is None:
            if uid:
                why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                raise conflict(target.kind, target.name, why)
            return self._applied_first(target, config)
        if config["metadata"].get("resourceVersion") not in {None, "", before["metadata"]["resourceVersion"]}:
            raise conflict(target.kind, target.name, _MODIFIED)
        preconditions = {"uid", "resourceVersion"}
        wanted = {**config, "metadata": {k: v for k, v in config["metadata"].items() if k not in preconditions}}
        after = ownership.applied(target.kind, before, wanted, target.manager, force=force)
        if uid:
            after = {**after, "metadata": {**after["metadata"], "uid": uid}}
        return self._changed(target, before, after, owned=True)

    def delete(self, target: Target, options: Json) -> Json:
        before = self._present(target)
        wanted = options.get("preconditions") or {}
        for field, name in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            there = before["metadata"][field]
            if wanted.get(field) not in {None, there}:
                why = f"Precondition failed: {name} in precondition: {wanted[field]}, {name} in object meta: {there}"
                raise conflict(target.kind, target.name, why)
        if before["metadata"].get("finalizers"):
            if "deletionTimestamp" in before["metadata"]:
                return before
            marked = {**before["metadata"], "deletionTimestamp": now()}
            return self._database.put(target.place, {**before, "metadata": marked})
        return self._database.remove(target.place)

    def _applied_first(self, target: Target, config: Json) -> Json:
        named = {**config, "metadata": {**config["metadata"], "name": target.name}}
        owned = ownership.applied(target.kind, _NOTHING, config, target.manager, force=True)
        return self.create(target, named, owned["metadata"]["managedFields"])

    def _changed(self, target: Target, before: Json, wanted: Json, *, owned: bool = False) -> Json:
        """``wanted`` as far as this path may change it; nothing happens when it changes nothing."""
        self._check_preconditions(target, before, wanted.get("metadata", {}))
        after = self._status_alone(before, wanted) if target.status else self._all_but_status(target, before, wanted)
        after = self._checked(target.kind, after, before)
        if _content(before) == _content(after) and (not owned or _fields(before) == _fields(after)):
            return before
        if target.kind.generation and _counted(target.kind, before) != _counted(target.kind, after):
            after["metadata"]["generation"] = before["metadata"]["generation"] + 1
        if not owned:
            part = "status" if target.status else ""
            after = ownership.updated(before, after, target.kind.api_version, target.manager, part)
        if after["metadata"].get("deletionTimestamp") and not after["metadata"].get("finalizers"):
            return self._database.remove(target.place)
        return self._database.put(target.place, after)

    def _all_but_status(self, target: Target, before: Json, wanted: Json) -> Json:
        kept = {k: before["metadata"][k] for k in _SYSTEM if k in before["metadata"]}
        meta = {k: v for k, v in wanted["metadata"].items() if k not in _SYSTEM} | kept
        if "managedFields" in wanted["metadata"]:
            meta["managedFields"] = wanted["metadata"]["managedFields"]
        after = {**wanted, "metadata": {**meta, "name": target.name, "namespace": target.namespace}}
        if target.kind.status:
            after.pop("status", None)
            if "status" in before:
                after["status"] = before["status"]
        return after

    def _status_alone(self, before: Json, wanted: Json) -> Json:
        after = {**before, "metadata": dict(before["metadata"])}
        after.pop("status", None)
        return {**after, "status": wanted["status"]} if "status" in wanted else after

    def _present(self, target: Target) -> Json:
        before = self._database.get(target.place)
        if before is None:
            raise not_found(target.kind, target.name)
        return before

    def _check_preconditions(self, target: Target, before: Json, meta: Json) -> None:
        known = before["metadata"]
        # Of a patch of /status everything but the status is thrown away, a uid as well: it is no precondition there.
        if meta.get("uid") not in {None, "", known["uid"]} and not target.status:
            told = f"Invalid value: {meta['uid']!r}: field is immutable"
            raise invalid(target.kind, target.name, [Cause("metadata.uid", "FieldValueInvalid", told)])
        if meta.get("resourceVersion") not in {None, "", known["resourceVersion"]}:
            raise conflict(target.kind, target.name, _MODIFIED)

    def _check_names(self, target: Target, body: Json) -> None:
        meta, name = body.get("metadata", {}), body.get("metadata", {}).get("name", "")
        if body.get("kind", target.kind.kind) != target.kind.kind:
            raise bad_request(f"the object provided is a {body['kind']}, not a {target.kind.kind}")
        if meta.get("namespace", target.namespace) != target.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        if not name:
            raise invalid(target.kind, "", [Cause("metadata.name", "FieldValueRequired", "name or generateName")])
        if len(name) > 253 or not _NAME.fullmatch(name):
            raise invalid(target.kind, name, [Cause("metadata.name", "FieldValueInvalid", f"Invalid value: {name!r}")])

    def _check_namespace(self, target: Target, name: str) -> None:
        phase = self.namespaces.get(target.namespace)
        if phase is None:
            raise Refusal(404, "NotFound", f'namespaces "{target.namespace}" not found')
        if phase == "Terminating":
            told = f"unable to create new content in namespace {target.namespace} because it is being terminated"
            cause = Cause("metadata.namespace", "NamespaceTerminating", told)
            raise Refusal(403, "Forbidden", f'{target.kind.qualified} "{name}" is forbidden: {told}', [cause])

    def _checked(self, kind: Kind, body: Json, before: Json | None = None) -> Json:
        kept = shape.complete(kind, body)
        # Nothing is left of the last note or label that is taken away, not an empty map either.
        emptied = {name for name in ("annotations", "labels") if kept["metadata"].get(name) == {}}
        kept["metadata"] = {name: value for name, value in kept["metadata"].items() if name not in emptied}
        causes: Iterable[Cause] = shape.complaints(kind, kept, before)
        if before is not None:
            causes = [*causes, *(_fixed(path) for path in kind.fixed if _at(before, path) != _at(kept, path))]
        if kind is EVENTS and len(body.get("note", "").encode()) > _NOTE_LIMIT:
            causes = [*causes, Cause("message", "FieldValueInvalid", "can have at most 1024 characters")]
        if causes:
            raise invalid(kind, body["metadata"]["name"], list(causes))
        return kept


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _fixed(path: tuple[str, ...]) -> Cause:
    return Cause(".".join(path), "FieldValueInvalid", "field is immutable")


def _at(body: Json, path: tuple[str, ...]) -> Any:
    value: Any = body
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _counted(kind: Kind, body: Json) -> Json:
    """What makes a new generation when it changes."""
    spec = {key: value for key, value in body.items() if key not in {"metadata", "status"}}
    notes = body["metadata"].get("annotations") or {} if kind.counts_annotations else {}
    return {**spec, "annotations": notes}


def _content(body: Json) -> Json:
    ignored = ("resourceVersion", "managedFields")
    return {**body, "metadata": {k: v for k, v in body["metadata"].items() if k not in ignored}}


def _fields(body: Json) -> list[Json]:
    managed: list[Json] = body["metadata"].get("managedFields", [])
    return [{key: value for key, value in entry.items() if key != "time"} for entry in managed]
