"""How an API server answers: in JSON, and when it refuses with ``metav1.Status``: its code, reason and message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from tests.faults.apiserver.kinds import Json, Kind


@dataclass(frozen=True)
class Cause:
    field: str
    reason: str
    message: str


class Refusal(Exception):
    def __init__(self, code: int, reason: str, message: str, causes: Sequence[Cause] = ()) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.causes = tuple(causes)

    def status(self) -> Json:
        details: Json = {}
        if self.causes:
            details["causes"] = [{"field": c.field, "reason": c.reason, "message": c.message} for c in self.causes]
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "details": details,
            "code": self.code,
        }


def answer(body: Json, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Not web.json_response: an eighth of the time of tests/faults went into the library's own json."""
    encoded = msgspec.json.encode(body)
    return web.Response(body=encoded, status=status, headers=headers, content_type="application/json")


def not_found(kind: Kind, name: str) -> Refusal:
    return Refusal(404, "NotFound", f'{kind.qualified} "{name}" not found')


def already_exists(kind: Kind, name: str) -> Refusal:
    return Refusal(409, "AlreadyExists", f'{kind.qualified} "{name}" already exists')


def conflict(kind: Kind, name: str, why: str) -> Refusal:
    return Refusal(409, "Conflict", f'Operation cannot be fulfilled on {kind.qualified} "{name}": {why}')


def invalid(kind: Kind, name: str, causes: Sequence[Cause]) -> Refusal:
    told = ", ".join(f"{cause.field}: {cause.message}" for cause in causes)
    of = f"{kind.kind}.{kind.group}" if kind.group else kind.kind
    return Refusal(422, "Invalid", f'{of} "{name}" is invalid: {told}', causes)


def expired(message: str) -> Refusal:
    return Refusal(410, "Expired", message)


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)
