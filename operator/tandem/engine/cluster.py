"""Carrying out what a plan wants inside the cluster: the only place that writes to the API server.

Nothing here decides anything. Each write is idempotent; what the API server refuses (403, 422 …) is raised as its
:class:`ApiError`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from tandem.api.meta import Json, ObjectMeta
from tandem.api.plan import PREDECESSOR_REMAINS, Apply, CopyConfigMap, Create, Delete, Emit, Refused
from tandem.engine.api import APPLY_PATCH, MERGE_PATCH, ApiError, ApiServer, ApiUnavailable
from tandem.engine.configuration import content_digest
from tandem.engine.controller import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    SERVICES,
    WRITABLE,
    Controller,
    ResourceType,
    collection_path,
    object_path,
)

logger = logging.getLogger(__name__)

_NOTE_LIMIT: Final = 1024  # bytes: events.k8s.io/v1 refuses a longer note
_NAME_LIMIT: Final = 236  # a name has at most 253 characters; 17 are the digest


class StaleView(Exception):
    """The plan was made from a version that is not the present one; that is read by now, and is to be planned for."""


class PredecessorRemains(Refused):
    """What a deleted resource of the same name has left has the name that is wanted; ``left`` would delete it.

    ``left`` is nothing where the object has other owners as well: then the garbage collector would keep it, too.
    """

    def __init__(self, message: str, left: Delete | None) -> None:
        super().__init__(PREDECESSOR_REMAINS, message)
        self.left = left


class Cluster:
    """Writes, with the answers observed at once (``observe``) so that the next plan sees them.

    ``gone`` is told of a resource that is found not to be there any more.

    Raises of every method: ApiError, ApiUnavailable; of those that are fenced by a version: StaleView.
    """

    def __init__(
        self,
        api: ApiServer,
        observe: Callable[[str, Json], object],
        instance: str,
        gone: Callable[[str, ObjectMeta], object] = lambda *_: None,
    ) -> None:
        self._api = api
        self._observe = observe
        self._instance = instance
        self._gone = gone

    async def create(self, action: Create) -> None:
        """POST. There already, under the same controller: done. Under another: refused, never adopted."""
        manifest = action.manifest
        type_, names = WRITABLE[manifest["kind"]], _names(manifest)
        try:
            made = await self._api.request(
                "POST", collection_path(type_), {"namespace": names["namespace"]}, body=manifest
            )
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            existing = await self._existing(type_, names, manifest)
            if existing is None:
                raise ApiUnavailable(f"{type_.kind} {names['name']} was there, and is not any more") from error
            made = existing
        self._observe(type_.kind, made)

    async def copy(self, action: CopyConfigMap) -> None:
        """Read the source and POST the copy. What is there already under our controller has this content: its name
        is made of the digest, and it is immutable.

        Raises:
            StaleView: the source is gone, or has another content than the plan was made from.
        """
        names = {"namespace": action.manifest["metadata"]["namespace"], "name": action.source}
        try:
            source = await self._api.request("GET", object_path(CONFIG_MAPS), names)
        except ApiError as error:
            if error.code != 404:
                raise
            raise StaleView(f"ConfigMap {action.source} is gone") from error
        if content_digest(source) != action.digest:
            raise StaleView(f"ConfigMap {action.source} has changed")
        content = {part: source[part] for part in ("data", "binaryData") if source.get(part)}
        await self.create(Create({**action.manifest, **content}))

    async def apply(self, action: Apply, field_manager: str, known: ObjectMeta | None) -> None:
        """Server-side apply, forced: these fields are ours (KEP-555, "controllers should always force").

        ``known`` is the child as the plan saw it, and only that version is applied to: an operator with an older view
        would take back what was written since. Without one the name is looked up first, so that an apply never takes
        over an object that somebody else has under that name.
        """
        manifest = action.manifest
        type_, names = WRITABLE[manifest["kind"]], _names(manifest)
        if known is None:
            existing = await self._existing(type_, names, manifest)
            if existing is not None:
                self._observe(type_.kind, existing)
                raise StaleView(f"{type_.kind} {names['name']} was not seen before")
        else:
            version = {"uid": known.uid, "resourceVersion": known.resource_version}
            manifest = {**manifest, "metadata": {**manifest["metadata"], **version}}
        query = {"fieldManager": field_manager, "force": "true"}
        try:
            made = await self._api.request(
                "PATCH", object_path(type_), names, query, manifest, content_type=APPLY_PATCH
            )
        except ApiError as error:
            if error.code != 409:
                raise
            await self._read_again(type_, names)
            raise StaleView(f"{type_.kind} {names['name']} has changed") from error
        self._observe(type_.kind, made)

    async def confirm(self, controller: Controller, meta: ObjectMeta) -> None:
        """The plan was made from the present version: asked before a write that nothing else fences.

        Raises:
            StaleView: it was not.
        """
        if await self._present_version(controller.resource, meta) != meta.resource_version:
            raise StaleView(f"{controller.resource.kind} {meta.name} has changed")

    async def confirm_deployment(self, namespace: str, name: str, known: ObjectMeta | None) -> None:
        """The plan saw the Deployment that there is, or rightly saw none. (Its pod template is its own for ever.)

        Raises:
            StaleView: it did not.
        """
        present = await self._read_again(DEPLOYMENTS, {"namespace": namespace, "name": name})
        if (present["metadata"]["uid"] if present else "") != (known.uid if known else ""):
            raise StaleView(f"Deployment {name} was not seen as it is")

    async def confirm_service(self, resource: ObjectMeta, name: str, known: ObjectMeta | None) -> None:
        """The plan saw the resource's Service as it is, or rightly saw none: who has the traffic.

        Raises:
            StaleView: it did not.
        """
        present = await self._read_again(SERVICES, {"namespace": resource.namespace, "name": name})
        version = present["metadata"]["resourceVersion"] if present and _is_of(present, resource) else ""
        if version != (known.resource_version if known else ""):
            raise StaleView(f"Service {name} was not seen as it is")

    async def confirm_gone(self, job: str, resource: ObjectMeta) -> None:
        """The resource has no Job of this name; one that is another's does not count.

        Raises:
            StaleView: it has.
        """
        present = await self._read_again(JOBS, {"namespace": resource.namespace, "name": job})
        if present and _is_of(present, resource):
            raise StaleView(f"Job {job} was not seen")

    async def delete(self, action: Delete, known: ObjectMeta | None = None) -> None:
        """Delete exactly this object (by uid), its children after it; gone already is as good.

        ``known`` is the object as the plan saw it: whatever has become of it since is planned for first. (What an
        older view takes for left over may serve again.)
        """
        type_ = WRITABLE[action.kind]
        preconditions = {"uid": action.uid}
        if known is not None:
            preconditions["resourceVersion"] = known.resource_version
        options: Json = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": preconditions,
        }
        names = {"namespace": action.namespace, "name": action.name}
        try:
            await self._api.request("DELETE", object_path(type_), names, body=options)
        except ApiError as error:
            if error.code not in {404, 409}:
                raise
            if error.code == 409 and await self._is_there(type_, names, action.uid):
                raise StaleView(f"{action.kind} {action.name} has changed") from error

    async def collect(self, controller: Controller, resource: ObjectMeta, left: Delete) -> None:
        """Delete what a deleted resource of the same name has left, as the garbage collector would.

        It may never do so: where its watch is away while a resource is deleted and made anew, it takes the two for one
        until kube-controller-manager is restarted (found by the soak). Ours must be the one that is there: by an older
        view the object is the present one's.
        """
        if await self._present_version(controller.resource, resource):
            await self.delete(left)

    async def write_status(self, controller: Controller, meta: ObjectMeta, patch: Json) -> bool:
        """One merge patch of /status of the version that the plan was made from; False if that is not the present one.

        Then the present one is read, and planned for. (A uid would not do: of a patch of /status the API server
        ignores it, and writes into a resource of the same name that was made anew. Measured on 1.37.)
        """
        body = {"metadata": {"resourceVersion": meta.resource_version}, "status": patch}
        names = {"namespace": meta.namespace, "name": meta.name}
        try:
            made = await self._api.request(
                "PATCH",
                object_path(controller.resource) + "/status",
                names,
                {"fieldManager": controller.field_manager},
                body,
                content_type=MERGE_PATCH,
            )
        except ApiError as error:
            if error.code not in {404, 409}:
                raise
            await self._present_version(controller.resource, meta)
            return False
        self._observe(controller.resource.kind, made)
        return True

    async def emit(self, controller: Controller, meta: ObjectMeta, event: Emit, now: datetime) -> None:
        """One Event per transition: its name is made from what it says, so saying it again changes nothing.

        An Event that cannot be written is no reason to do anything else differently: the status says the same.
        """
        said = f"{meta.uid}/{meta.generation}/{event.reason}/{event.message}"
        body: Json = {
            "apiVersion": EVENTS.api_version,
            "kind": "Event",
            "metadata": {
                "name": f"{meta.name[:_NAME_LIMIT]}.{hashlib.sha256(said.encode()).hexdigest()[:16]}",
                "namespace": meta.namespace,
            },
            "eventTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "type": event.type,
            "reason": event.reason,
            "note": event.message.encode()[:_NOTE_LIMIT].decode(errors="ignore"),
            "action": event.reason,
            "reportingController": f"tandem.dev/{controller.component}",
            "reportingInstance": self._instance,
            "regarding": {
                "apiVersion": controller.resource.api_version,
                "kind": controller.resource.kind,
                "namespace": meta.namespace,
                "name": meta.name,
                "uid": meta.uid,
            },
        }
        try:
            await self._api.request("POST", collection_path(EVENTS), {"namespace": meta.namespace}, body=body)
        except (ApiError, ApiUnavailable) as error:
            if not isinstance(error, ApiError) or error.code not in {404, 409}:
                logger.warning("an Event was not written: %s", error)

    async def _read_again(self, type_: ResourceType, names: dict[str, str]) -> Json | None:
        try:
            present = await self._api.request("GET", object_path(type_), names)
        except ApiError as error:
            if error.code != 404:
                raise
            return None
        self._observe(type_.kind, present)
        return present

    async def _present_version(self, type_: ResourceType, meta: ObjectMeta) -> str:
        """That of this resource; '' of one that is gone, which is forgotten at once.

        By a view that lags its children would be made again, each time that the garbage collector has taken them.
        """
        present = await self._read_again(type_, {"namespace": meta.namespace, "name": meta.name})
        if present is None or present["metadata"]["uid"] != meta.uid:
            self._gone(type_.kind, meta)
            return ""
        version: str = present["metadata"]["resourceVersion"]
        return version

    async def _is_there(self, type_: ResourceType, names: dict[str, str], uid: str) -> bool:
        present = await self._read_again(type_, names)
        return present is not None and present["metadata"]["uid"] == uid

    async def _existing(self, type_: ResourceType, names: dict[str, str], manifest: Json) -> Json | None:
        """The object that has the name already, if there is one and it is ours by controller uid.

        Raises:
            Refused: it is somebody else's, or still that of the resource which had our name before.
        """
        try:
            existing = await self._api.request("GET", object_path(type_), names)
        except ApiError as error:
            if error.code != 404:
                raise
            return None
        ours, theirs = _controller(manifest), _controller(existing)
        if ours and theirs.get("uid") == ours["uid"]:
            return existing
        if ours and all(theirs.get(field) == ours[field] for field in ("apiVersion", "kind", "name")):
            whose = f"{type_.kind} {names['name']} belongs to the {ours['kind']} {ours['name']} that was deleted before"
            if len(existing["metadata"]["ownerReferences"]) > 1:
                raise PredecessorRemains(f"{whose}, and has other owners; it stays as long as they do", None)
            left = Delete(type_.api_version, type_.kind, **names, uid=existing["metadata"]["uid"])
            raise PredecessorRemains(f"{whose}; it is being deleted", left)
        raise Refused(
            "AlreadyExists",
            f"{type_.kind} {names['name']} is there already and belongs to somebody else; rename or delete it",
        )


def _names(manifest: Json) -> dict[str, str]:
    return {"namespace": manifest["metadata"]["namespace"], "name": manifest["metadata"]["name"]}


def _is_of(body: Json, resource: ObjectMeta) -> bool:
    return _controller(body).get("uid") == resource.uid


def _controller(body: Json) -> Json:
    """The reference to it; empty where there is none."""
    references = body["metadata"].get("ownerReferences") or ()
    return next((reference for reference in references if reference.get("controller")), {})
