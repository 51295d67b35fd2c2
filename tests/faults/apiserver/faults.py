"""What may go wrong with one request: it is served or not, and answered by something else, late, or never.

A fault is asked for by predicate and used up: ``faults.on(verb="create", resource="jobs").lose_answer()``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from aiohttp import web

from tests.faults.apiserver.answers import Refusal, answer


@dataclass
class Request:
    """One request, as the record keeps it; ``code`` is 0 while it is not answered.

    ``continues``: for a further page of a list.
    """

    verb: str  # get, list, watch, create, update, patch, apply, delete
    resource: str  # jobs, trainingjobs/status
    namespace: str
    name: str
    agent: str
    continues: bool = False
    code: int = 0
    took_effect: bool = False

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.namespace}/{self.name} → {self.code}"


Serve: TypeAlias = Callable[[], Awaitable[web.StreamResponse]]
Fault: TypeAlias = Callable[[Serve], Awaitable[web.StreamResponse]]
Predicate: TypeAlias = Callable[[Request], bool]


class Dropped(Exception):
    """The connection is closed without an answer."""


@dataclass
class Rule:
    """Which requests, what happens to them, and how many of them it happens to (None: all, until :meth:`lift`)."""

    concerns: Predicate
    fault: Fault
    left: int | None
    seen: int = 0

    def lift(self) -> None:
        self.left = 0


@dataclass
class Faults:
    rules: list[Rule] = field(default_factory=list)

    def when(self, concerns: Predicate, fault: Fault, times: int | None = 1) -> Rule:
        rule = Rule(concerns, fault, times)
        self.rules.append(rule)
        return rule

    def on(self, verb: str = "", resource: str = "", *, fault: Fault, times: int | None = 1, agent: str = "") -> Rule:
        """The next requests that fit; what is left empty fits always."""

        def concerns(request: Request) -> bool:
            fits = verb in {"", request.verb} and resource in {"", request.resource}
            return fits and request.agent.startswith(agent)

        return self.when(concerns, fault, times)

    def take(self, request: Request) -> Fault | None:
        for rule in self.rules:
            if rule.left != 0 and rule.concerns(request):
                rule.seen += 1
                if rule.left is not None:
                    rule.left -= 1
                return rule.fault
        return None


def refuse(code: int, reason: str = "", message: str = "", retry_after: int | None = None) -> Fault:
    """Not served, and told so."""

    async def fault(_: Serve) -> web.StreamResponse:
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        status = Refusal(code, reason or "InternalError", message or f"the test says {code}").status()
        return answer(status, status=code, headers=headers)

    return fault


async def lose_answer(serve: Serve) -> web.StreamResponse:
    """Served; the connection breaks before the answer is through."""
    await serve()
    raise Dropped


async def hang_up(_: Serve) -> web.StreamResponse:
    raise Dropped


async def hang(_: Serve) -> web.StreamResponse:
    """Not served, and never answered: whoever asked has to give up."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


def slow(seconds: float) -> Fault:
    async def fault(serve: Serve) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await serve()

    return fault


async def garble(serve: Serve) -> web.StreamResponse:
    """Served, and answered with what is no JSON (a proxy's page)."""
    await serve()
    return web.Response(text="<html>")
