"""The stand-in: an API server in this process, on a real socket, with everything that a test wants to see and break.

Strict where the engine's correctness depends on it: versions, uids, preconditions, the status subresource, ownership
by server-side apply, the CRDs' schemas, expired versions. tests/faults/test_standin_is_true.py asks it and a real API
server the same questions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import msgspec
from aiohttp import web

from tests.faults.apiserver import reads
from tests.faults.apiserver.answers import Refusal, answer, bad_request, not_found
from tests.faults.apiserver.database import Database
from tests.faults.apiserver.discovery import discovered
from tests.faults.apiserver.faults import Dropped, Faults, Request
from tests.faults.apiserver.garbage import Garbage
from tests.faults.apiserver.kinds import KINDS, Json, Kind, find
from tests.faults.apiserver.watching import Watch, Watches
from tests.faults.apiserver.writes import Target, Writes

_PATH: Final = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/(?P<version>[^/]+)(?:/namespaces/(?P<namespace>[^/]+))?"
    r"/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?P<status>/status)?"
)
_VERBS: Final = {"GET": "get", "POST": "create", "PUT": "update", "DELETE": "delete"}
_PATCHES: Final = {"application/merge-patch+json": "patch", "application/apply-patch+yaml": "apply"}
_BODY_LIMIT: Final = 3 * 1024 * 1024
WRITES: Final = frozenset({"create", "update", "delete", "patch", "apply"})


class StandIn:
    """``requests``: what arrived. ``cut_off``: agents that reach nothing any more. ``wrote`` is told of each write."""

    def __init__(self) -> None:
        self.database = Database()
        self.watches = Watches(self.database)
        self.garbage = Garbage(self.database)
        self.writes = Writes(self.database)
        self.faults = Faults()
        self.requests: list[Request] = []
        self.cut_off: set[str] = set()
        self.wrote: Callable[[Request], None] = lambda _: None
        self.kinds: list[Kind] = list(KINDS)
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> StandIn:
        app = web.Application(client_max_size=2 * _BODY_LIMIT)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    def look_back(self, revision: int | None, *kinds: Kind) -> None:
        """Lists and watches see no further than this version (an API server that lags); None: the present again.

        ``kinds``: those alone, as each of them has a cache of its own; none: all.
        """
        self.watches.view, self.watches.behind = revision, kinds
        self.watches.wake()

    def written(self, agent: str = "") -> list[Request]:
        """Writes that took effect, in order."""
        return [r for r in self.requests if r.verb in WRITES and r.took_effect and r.agent.startswith(agent)]

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        found = discovered(http.path, self.kinds)
        if found is not None:
            return answer(found)
        match = _PATH.fullmatch(http.path)
        kind = find(match["group"] or "", match["plural"], self.kinds) if match else None
        if match is None or kind is None or kind.version != match["version"]:
            unknown = Refusal(404, "NotFound", "the server could not find the requested resource")
            return answer(unknown.status(), status=404)
        request = _described(http, match)
        self.requests.append(request)
        try:
            return await self._answer(http, match, kind, request)
        except (Dropped, ConnectionError):
            if http.transport is not None:
                http.transport.abort()
            return web.Response()

    async def _answer(
        self, http: web.Request, match: re.Match[str], kind: Kind, request: Request
    ) -> web.StreamResponse:
        if request.agent in self.cut_off:
            raise Dropped

        async def serve() -> web.StreamResponse:
            return await self._serve(http, match, kind, request)

        fault = self.faults.take(request)
        response = await (fault(serve) if fault else serve())
        if request.agent in self.cut_off:
            raise Dropped
        request.code = response.status
        return response

    async def _serve(self, http: web.Request, match: re.Match[str], kind: Kind, request: Request) -> web.StreamResponse:
        namespace, name = match["namespace"], match["name"] or ""
        manager = http.query.get("fieldManager", "")
        if not manager and request.verb != "apply":  # an apply has to say who it is
            manager = request.agent.partition("/")[0]
        target = Target(kind, namespace or "", name, bool(match["status"]), manager)
        try:
            if request.verb == "watch":
                selects = reads.selected(kind, namespace, http.query.get("labelSelector", ""))
                since = http.query.get("resourceVersion", "")
                return await self.watches.serve(http, Watch(kind, request.agent, selects, int(since or 0)), since)
            if request.verb == "list":
                accept = http.headers.get("Accept", "")
                page = reads.listed(self.database, kind, namespace, http.query, accept, self.watches.horizon(kind))
                return answer(page)
            if request.verb == "get":
                body = self.database.get(target.place)
                if body is None:
                    raise not_found(kind, name)
                return answer(body)
            return self._write(http, request, target, await http.read())
        except Refusal as refusal:
            return answer(refusal.status(), status=refusal.code)

    def _write(self, http: web.Request, request: Request, target: Target, sent: bytes) -> web.Response:
        if len(sent) > _BODY_LIMIT:
            raise Refusal(413, "RequestEntityTooLarge", f"limit is {_BODY_LIMIT}")
        body, before = _decoded(sent), self.database.revision
        there = self.database.get(target.place) is not None
        match request.verb:
            case "create":
                made = self.writes.create(target, body)
                request.name = made["metadata"]["name"]
            case "update":
                made = self.writes.replace(target, body)
            case "patch":
                made = self.writes.merge(target, body)
            case "apply":
                made = self.writes.apply(target, body, force=http.query.get("force") == "true")
            case "delete":
                gone = self.writes.delete(target, body)
                details = {"name": target.name, "kind": target.kind.plural, "uid": gone["metadata"]["uid"]}
                made = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
            case verb:
                raise Refusal(405, "MethodNotAllowed", f"no such verb here: {verb}")
        if self.database.revision != before:
            request.took_effect = True
            self.wrote(request)
        return answer(made, status=200 if there or request.verb == "delete" else 201)


def _described(http: web.Request, match: re.Match[str]) -> Request:
    verb = _VERBS.get(http.method, "")
    if http.method == "PATCH":
        verb = _PATCHES.get(http.content_type, http.content_type)
    if verb == "get" and not match["name"]:
        verb = "watch" if http.query.get("watch") in {"true", "1"} else "list"
    agent = http.headers.get("User-Agent", "")
    resource = match["plural"] + (match["status"] or "")
    continues = "continue" in http.query
    return Request(verb, resource, match["namespace"] or "", match["name"] or "", agent, continues)


def _decoded(sent: bytes) -> Json:
    try:
        body = msgspec.json.decode(sent) if sent else {}
    except ValueError as error:
        raise bad_request(f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise bad_request("the body is no object")
    return body
