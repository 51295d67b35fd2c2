"""The API server's audit log as a measuring instrument: who wrote what, how often."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WRITE_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})

# One line per finished request; a line is in the file before the client has its answer.
POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
"""


@dataclass(frozen=True)
class Request:
    verb: str
    resource: str  # with the subresource, as in jobs or trainingjobs/status
    namespace: str
    name: str
    user: str
    user_agent: str
    code: int
    uri: str

    @property
    def is_write(self) -> bool:
        return self.verb in WRITE_VERBS


@dataclass(frozen=True)
class AuditLog:
    """Requests since `start`, a byte offset: `mark()` gives a log that begins now."""

    path: Path
    start: int = 0

    def mark(self) -> AuditLog:
        return AuditLog(self.path, self.path.stat().st_size if self.path.exists() else 0)

    def requests(
        self,
        *,
        verb: str | None = None,
        resource: str | None = None,
        namespace: str | None = None,
        user: str | None = None,
        user_agent: str | None = None,
        writes: bool | None = None,
        succeeded: bool | None = None,
    ) -> Iterator[Request]:
        """Finished requests that match every given filter; `user_agent` matches by its beginning."""
        for request in self._finished():
            if (
                (verb is None or request.verb == verb)
                and (resource is None or request.resource == resource)
                and (namespace is None or request.namespace == namespace)
                and (user is None or request.user == user)
                and (user_agent is None or request.user_agent.startswith(user_agent))
                and (writes is None or request.is_write == writes)
                and (succeeded is None or (request.code < 400) == succeeded)
            ):
                yield request

    def count(
        self,
        *,
        verb: str | None = None,
        resource: str | None = None,
        namespace: str | None = None,
        user: str | None = None,
        user_agent: str | None = None,
        writes: bool | None = None,
        succeeded: bool | None = None,
    ) -> int:
        found = self.requests(
            verb=verb,
            resource=resource,
            namespace=namespace,
            user=user,
            user_agent=user_agent,
            writes=writes,
            succeeded=succeeded,
        )
        return sum(1 for _ in found)

    def writes(self, *, user: str | None = None, user_agent: str | None = None) -> Counter[tuple[str, str]]:
        """(verb, resource) → how often; what a failed assertion should print."""
        found = self.requests(user=user, user_agent=user_agent, writes=True)
        return Counter((request.verb, request.resource) for request in found)

    def _finished(self) -> Iterator[Request]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.start)
            for line in file:
                # A line that is being written right now belongs to a request nobody has the answer of yet.
                if line.endswith(b"\n"):
                    event = json.loads(line)
                    if event["stage"] in ("ResponseComplete", "Panic"):
                        yield _request(event)


def _request(event: dict[str, object]) -> Request:
    target = _mapping(event.get("objectRef"))
    subresource = target.get("subresource")
    resource = str(target.get("resource", ""))
    return Request(
        verb=str(event["verb"]),
        resource=f"{resource}/{subresource}" if subresource else resource,
        namespace=str(target.get("namespace", "")),
        name=str(target.get("name", "")),
        user=str(_mapping(event.get("user")).get("username", "")),
        user_agent=str(event.get("userAgent", "")),
        code=int(str(_mapping(event.get("responseStatus")).get("code", 0))),
        uri=str(event["requestURI"]),
    )


def _mapping(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}
