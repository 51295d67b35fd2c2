"""One process of Tandem, in a thread of this one: the real engine, kopf included, that can be killed at any moment.

A thread with an event loop of its own, because kopf, when it ends, cancels every task of its loop that is younger than
itself; and because a loop that is stopped is as dead as a process after SIGKILL: no ``finally`` runs.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

import kopf
from kubernetes.aio.client import ApiClient, Configuration

from tandem.api.facts import Query, Unavailable
from tandem.engine.controller import Controller
from tandem.engine.health import Health
from tandem.engine.process import Engine, Options
from tandem.http import Permission
from tests.faults.apiserver.server import StandIn
from tests.faults.mlflow import Tracking

T = TypeVar("T")

_SERVER: ContextVar[str] = ContextVar("_SERVER")


def login_with_kubeconfig(**_: object) -> kopf.ConnectionInfo:
    """Each process logs in to the stand-in of its own world; an environment variable is one for all of them."""
    return kopf.ConnectionInfo(server=_SERVER.get())


@dataclass(frozen=True)
class Mind:
    """What the process has in mind. ``idle``: nothing is to be done, and nothing comes by itself soon."""

    idle: bool
    known: dict[tuple[str, str], dict[str, str]]  # (group, plural) → uid → version
    answers: dict[Query[object], object]  # to what is polled, and to what found MLflow away
    leads: bool = False  # one that does not has nothing to do


_NOTHING = Mind(False, {}, {})


class OperatorProcess:
    def __init__(self, server: StandIn, source: Tracking, controllers: Sequence[Controller], options: Options) -> None:
        self.options = options
        self.source = source
        self._server = server
        self._controllers = list(controllers)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=self.agent, daemon=True)
        self.permission = Permission()  # of its writes outside the cluster
        self._engine: Engine | None = None
        self._health: Health | None = None
        self._main: Future[None] | None = None
        self._told: asyncio.Event | None = None

    @property
    def agent(self) -> str:
        """How the API server sees it."""
        return f"{self.options.name}/{self.options.instance}"

    @property
    def ended(self) -> BaseException | None:
        """What ended it by itself, if it did."""
        if self._main is None or not self._main.done() or self._main.cancelled():
            return None
        return self._main.exception() or RuntimeError("it ended, and said nothing")

    @property
    def ready(self) -> bool:
        return self._health is not None and self._health.ready

    @property
    def kinds(self) -> int:
        """How many of them it watches, each with a watch of its own."""
        return len(list(self._engine._store.watched())) if self._engine is not None else 0

    def start(self) -> None:
        # A task or a connection that is left behind by a kill has nothing to say.
        self._loop.set_exception_handler(lambda *_: None)
        self._thread.start()
        self._main = self._submit(self._operate())

    def cut_off(self) -> None:
        """From this moment on nothing that it does has an effect, and nothing that it asks is answered."""
        self._server.cut_off.add(self.agent)
        self.source.dead = True

    async def kill(self) -> None:
        """SIGKILL: no drain, no release of the lease, nothing said."""
        self.cut_off()
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        # Collected as garbage, what it was at would run its `finally` after all, at the latest when Python ends; and
        # kept in asyncio's own books, it would be gone through by everybody who asks for the tasks of another loop.
        for task in asyncio.all_tasks(self._loop):
            asyncio.tasks._unregister_task(task)
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(task))
        _close_sockets(self._loop)
        self._loop.close()
        # What is kept for good is not gone through again by each collection: that was half of all processor time.
        gc.freeze()

    async def terminate(self) -> None:
        """SIGTERM."""
        assert self._told is not None
        self._loop.call_soon_threadsafe(self._told.set)
        assert self._main is not None
        await asyncio.wrap_future(self._main)
        await self.kill()

    def pause(self, seconds: float) -> None:
        """SIGSTOP, and SIGCONT after a while: the event loop stands still."""
        stopped = threading.Event()
        self._loop.call_soon_threadsafe(stopped.wait, seconds)

    async def mind(self, rest: float = 5.0) -> Mind:
        """``rest``: what is due later than in so many seconds does not count."""
        if self._engine is None or self.ended is not None or self.source.dead:
            return _NOTHING
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self._submit(self._look(rest))), 5)
        except TimeoutError:
            return _NOTHING

    async def occupied(self) -> tuple[int, int]:
        """Tasks of its event loop, and keys in its queue. (Python goes through the tasks of all loops to tell.)"""
        return await asyncio.wrap_future(self._submit(self._count()))

    async def _count(self) -> tuple[int, int]:
        assert self._engine is not None
        return len(asyncio.all_tasks()), self._engine._queue.depth

    async def _operate(self) -> None:
        _SERVER.set(self._server.url)
        configuration = Configuration(host=self._server.url)
        configuration.client_session_kwargs = {"trust_env": False}  # as in the product: no threads at each request
        client = ApiClient(configuration)
        client.user_agent = self.agent
        self._told = asyncio.Event()
        async with Health(self.options.health_port, self.options.metrics_port) as self._health:
            engine = Engine(
                self._controllers, self.source, self.options, client, self._health, permission=self.permission
            )
            self._engine = engine
            try:
                await engine.run_until(self._told)
            finally:
                await engine.end()
                await client.close()  # type: ignore[no-untyped-call]

    async def _look(self, rest: float) -> Mind:
        assert self._engine is not None
        queue, board, store = self._engine._queue, self._engine._board, self._engine._store
        soon = self._loop.time() + rest
        first = queue._delayed.first()
        awaited = first is not None and first < soon
        unanswered = any(query not in board._answers for query in board._readers)
        leads = self._engine._leads
        busy = leads and (queue._added_at or queue._active or queue._again or awaited)
        asks = board._pending or board._pending.under_way or unanswered
        known = {
            (type_.group, type_.plural): {u: meta.resource_version for u, meta in store.known(type_.kind).items()}
            for type_ in store.watched()
        }
        asked_again = {
            query: answer
            for query, answer in board._answers.items()
            if self.source.poll_interval(query) is not None or isinstance(answer, Unavailable)
        }
        return Mind(self.ready and not busy and not asks, known, asked_again, leads)

    def _submit(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


def _close_sockets(loop: asyncio.AbstractEventLoop) -> None:
    """As the kernel does when a process is killed; a loop of asyncio leaves them open when it closes."""
    for transport in list(loop._transports.values()):  # type: ignore[attr-defined]
        if transport._sock is not None:
            transport._sock.close()
