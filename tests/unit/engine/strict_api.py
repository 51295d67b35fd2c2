"""A small, strict API server on a real socket, for the faults that a real one cannot be made to show.

It keeps to the rules that the engine's writes depend on: names are unique, uids and versions are checked, only /status
writes a status, an apply of somebody else's uid is a conflict. Whatever else there is to know about an API server is
tested against a real one (tests/contract/engine).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, TypeAlias

from aiohttp import web
from aiohttp.test_utils import BaseTestServer
from kubernetes.aio.client import ApiClient, Configuration

Json = dict[str, Any]
Serve: TypeAlias = Callable[[], Awaitable[web.Response]]
# What happens to one request: it may be served (or not), and be answered by something else (or never).
Fault: TypeAlias = Callable[[Serve], Awaitable[web.StreamResponse]]

_PATH = re.compile(
    r"/(?:api|apis/[^/]+)/[^/]+/namespaces/(?P<ns>[^/]+)/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?P<sub>/status)?"
)


class StrictApi:
    """``requests`` are those that arrived, as ``POST jobs``; ``faults`` is asked once for each."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], Json] = {}  # (namespace, plural, name)
        self.requests: list[str] = []
        self.bodies: list[Json] = []
        self.faults: dict[str, list[Fault]] = {}  # request → the faults of the next ones like it
        self._versions = count(100)
        self.app = web.Application()
        self.app.router.add_route("*", "/{tail:.*}", self._handle)

    def fail(self, request: str, *faults: Fault) -> None:
        self.faults.setdefault(request, []).extend(faults)

    def put(self, plural: str, body: Json) -> Json:
        """An object as somebody else has made it."""
        meta = body["metadata"]
        kept = {**body, "metadata": {"uid": f"uid-{meta['name']}", "generation": 1, **meta}}
        kept["metadata"]["resourceVersion"] = str(next(self._versions))
        self.objects[meta["namespace"], plural, meta["name"]] = kept
        return kept

    def named(self, plural: str, name: str) -> Json | None:
        return self.objects.get(("ns", plural, name))

    def writes(self) -> list[str]:
        return [request for request in self.requests if not request.startswith("GET")]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        match = _PATH.fullmatch(request.path)
        assert match is not None, request.path
        kind = f"{request.method} {match['plural']}{match['sub'] or ''}"
        self.requests.append(kind)
        text = await request.text()
        body = json.loads(text) if text else {}
        self.bodies.append(body)

        async def serve() -> web.Response:
            if request.method == "GET" and match["name"] is None:
                return self._list(match["ns"], match["plural"])
            return self._serve(request.method, match, body)

        waiting = self.faults.get(kind)
        return await (waiting.pop(0)(serve) if waiting else serve())

    def _list(self, namespace: str, plural: str) -> web.Response:
        there = [body for (ns, of, _), body in self.objects.items() if (ns, of) == (namespace, plural)]
        return web.json_response({"items": there, "metadata": {}})

    def _serve(self, method: str, match: re.Match[str], body: Json) -> web.Response:
        place = (match["ns"], match["plural"], match["name"] or body["metadata"]["name"])
        known = self.objects.get(place)
        if method == "POST":
            return _status(409, "AlreadyExists") if known else web.json_response(self._keep(place, {}, body))
        if known is None and not (method == "PATCH" and not match["sub"]):
            return _status(404, "NotFound")
        wanted = body.get("preconditions" if method == "DELETE" else "metadata", {})
        wanted_uid, wanted_version = wanted.get("uid"), wanted.get("resourceVersion")
        if wanted_version and known is not None and wanted_version != known["metadata"]["resourceVersion"]:
            return _status(409, "Conflict")
        # A uid is ignored in a patch of a subresource: as the real one does.
        if not match["sub"] and wanted_uid and (known is None or known["metadata"]["uid"] != wanted_uid):
            return _status(409, "Conflict")
        if method == "GET":
            return web.json_response(known)
        if method == "DELETE":
            del self.objects[place]
            return web.json_response({"kind": "Status", "status": "Success"})
        if match["sub"] and known is not None:
            known = {**known, "status": {**known.get("status", {}), **body["status"]}}
            return web.json_response(self._keep(place, known, {}))
        return web.json_response(self._keep(place, known or {}, body))

    def _keep(self, place: tuple[str, str, str], known: Json, body: Json) -> Json:
        uid = known.get("metadata", {}).get("uid") or f"uid-{next(self._versions)}"
        meta = {**known.get("metadata", {}), **body.get("metadata", {}), "uid": uid}
        kept = {**known, **body, "metadata": {**meta, "resourceVersion": str(next(self._versions))}}
        self.objects[place] = kept
        return kept


def client_of(server: BaseTestServer) -> ApiClient:
    return ApiClient(Configuration(host=str(server.make_url("")).rstrip("/")))


def _status(code: int, reason: str, message: str = "") -> web.Response:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message or reason}
    return web.json_response(body, status=code)


def refuse(code: int, reason: str = "", message: str = "", **headers: str) -> Fault:
    """Not served, and told so."""

    async def fault(_: Serve) -> web.Response:
        response = _status(code, reason, message)
        response.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
        return response

    return fault


async def lose_answer(serve: Serve) -> web.StreamResponse:
    """Served, but the connection breaks before the answer is through."""
    await serve()
    raise ConnectionResetError


async def hang(_: Serve) -> web.StreamResponse:
    await asyncio.sleep(60)
    raise AssertionError("nobody waits for so long")


async def hang_up(_: Serve) -> web.StreamResponse:
    raise ConnectionResetError


async def garble(serve: Serve) -> web.Response:
    """Served, and answered with something that is no JSON (a proxy's page)."""
    await serve()
    return web.Response(text="<html>")
