"""What a watch tells goes to the store, and its key to the queue: with session.py all that knows kopf.

kopf keeps the watches: credentials, connections, their end and their new beginning. No ``on.create`` / ``on.update``:
those write two more patches per resource and lose a status for ever when one of them fails.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Final

import kopf

from tandem.api import names
from tandem.api.meta import Json, Key
from tandem.engine.controller import ResourceType
from tandem.engine.session import WatchFrom, listening
from tandem.engine.store import Store
from tandem.engine.stream import Listener, Version
from tandem.engine.tasks import MustEnd
from tandem.engine.watches import Watches, selector_of

logger = logging.getLogger(__name__)

_UNWINDING: Final = 2.0  # seconds that kopf may take to end its watches


class WatchLost(MustEnd):
    """A watch cannot go on: its kind is gone, or the right to it."""


class Backoff:
    """Delays that never end: kopf's own list sums to 54 s, after which it gives up for ever."""

    def __iter__(self) -> Iterator[float]:
        delay = 0.1
        while True:
            yield delay
            delay = min(delay * 2, 30.0)


def settings_for(watched: list[ResourceType]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # no watch of CRDs and namespaces, no right to it
    settings.peering.standalone = True  # leadership is a Lease; peering was measured to pause both replicas
    settings.posting.enabled = False  # Events are the plan's, one per transition
    settings.process.ultimate_exiting_timeout = None  # no SIGKILL from a thread of its own
    settings.watching.chunk_size = 1  # what it lists nobody reads (session.py)
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = Backoff()
    for type_ in watched:
        selector = selector_of(type_)
        if selector:
            settings.watching.label_selectors[type_.group, type_.version, type_.plural] = selector
    return settings


class Observer:
    """Hands what a watch tells to the store, and every key that this is news for to the queue."""

    def __init__(self, store: Store, enqueue: Callable[[Key], None], watches: Watches) -> None:
        self._store = store
        self._enqueue = enqueue
        self._watches = watches

    def is_echo(self, kind: str, version: Version) -> bool:
        known = self._store.knows(kind, version)
        if known:
            self._watches.delivered(kind, version.namespace, version.resource_version)
        return known

    def hear(self, type_: str, kind: str, body: Json) -> None:
        """A watch that ended for an object that cannot be read would be deaf for all others: a comparison heals it."""
        meta = body["metadata"]
        self._watches.delivered(kind, meta.get("namespace", ""), meta["resourceVersion"])
        try:
            keys = self._store.forget(kind, body) if type_ == "DELETED" else self._store.observe(kind, body)
        except Exception:
            logger.exception("an event (%s) of kind %s is left out", type_, kind)
            return
        for key in keys:
            self._enqueue(key)


def registry_for(
    listener: Listener, watched: Iterable[ResourceType], watches: Watches, watch_from: WatchFrom
) -> kopf.OperatorRegistry:
    """kopf watches what has a handler."""
    registry = kopf.OperatorRegistry()

    def session(credentials: kopf.ConnectionInfo) -> kopf.AiohttpSession:
        return listening(credentials, watches, watch_from, listener)

    _log_in(registry, kopf.login_with_service_account, session)
    _log_in(registry, kopf.login_with_kubeconfig, session)
    for type_ in watched:
        kopf.on.event(type_.group, type_.version, type_.plural, registry=registry, id=f"watch-{type_.plural}")(_watched)
    return registry


def _log_in(
    registry: kopf.OperatorRegistry,
    login: Callable[..., kopf.ConnectionInfo | None],
    session: Callable[[kopf.ConnectionInfo], kopf.AiohttpSession],
) -> None:
    async def logged_in(**arguments: Any) -> kopf.AiohttpSession | None:
        credentials = login(**arguments)
        return session(credentials) if credentials is not None else None

    kopf.on.login(registry=registry, id=login.__name__)(logged_in)


async def _watched(**_: object) -> None:
    """Never called: events are heard before they reach kopf (stream.py)."""


async def watch(
    store: Store,
    enqueue: Callable[[Key], None],
    namespaces: tuple[str, ...],
    watches: Watches,
    watch_from: WatchFrom,
    stop: asyncio.Event,
    started: Callable[[], None],
) -> None:
    """Watch until ``stop``, and tell ``watches`` of every sign of life.

    ``started`` is called when kopf has installed its own handlers of SIGTERM and SIGINT, and may replace them: kopf
    would stop watching first and then cancel every task in the process that is younger than itself, writes included.

    Raises:
        WatchLost: one of the watches cannot go on.
    """
    watches.begin()
    watched = list(store.watched())
    not_kopfs = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry_for(Observer(store, enqueue, watches), watched, watches, watch_from),
        settings=settings_for(watched),
        clusterwide=not namespaces,
        namespaces=namespaces,
        # Else kopf asks the system for the user's name, and a pod's user id has none (KeyError from getpass).
        identity=names.MANAGED_BY,  # type: ignore[arg-type]  # a NewType of str that kopf does not export
        stop_flag=stop,
    )
    started()
    running = asyncio.create_task(kopf.run_tasks(tasks, ignored=not_kopfs))
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        # Then kopf cancels every watch once and waits until it ends: for ever, if one of them was just connecting and
        # let the cancellation pass (seen 1 time in 20 on a busy machine, tests/faults case 15).
        await asyncio.wait([running], timeout=_UNWINDING)
        _raise_what_ended(tasks)
    finally:
        running.cancel()
        await asyncio.wait([running], timeout=_UNWINDING)


def _raise_what_ended(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        error = task.exception() if task.done() and not task.cancelled() else None
        if error is not None:
            raise WatchLost(f"watching ended: {error}") from error
