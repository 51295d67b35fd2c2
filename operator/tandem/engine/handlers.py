"""It watches, and hands every event to the store and every key to the queue: with session.py all that knows kopf.

No ``on.create`` / ``on.update``: those write two more patches per resource and lose a status for ever when one of them
fails; an ``on.event`` handler that raises is never called again for that event, so nothing here can fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import kopf

from tandem.api import names
from tandem.api.meta import Json, Key
from tandem.engine.controller import ResourceType
from tandem.engine.session import WatchFrom, listening
from tandem.engine.store import Store
from tandem.engine.tasks import MustEnd
from tandem.engine.watches import Watches, selector_of

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


class _NothingToCompare(kopf.DiffBaseStorage):
    """kopf compares nothing for us.

    By default it copies every object of every event, deeply (a sixth of the operator's CPU time, measured), and parses
    an annotation that any tenant can write: one that is no JSON made it drop the events of that object.
    """

    def build(self, *, body: kopf.Body, extra_fields: object = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing: our handlers only watch."""


class _NoProgress(kopf.ProgressStorage):
    """Nor does it note anything on the objects."""

    def fetch(self, *, key: str, body: kopf.Body) -> None:
        return None

    def store(self, *, key: str, record: object, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing."""

    def purge(self, *, key: str, body: kopf.Body, patch: kopf.Patch) -> None:
        """Nothing."""

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        """Nothing."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def settings_for(watched: list[ResourceType]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # no watch of CRDs and namespaces, no right to it
    settings.peering.standalone = True  # leadership is a Lease; peering was measured to pause both replicas
    settings.posting.enabled = False  # Events are the plan's, one per transition
    settings.persistence.diffbase_storage = _NothingToCompare()
    settings.persistence.progress_storage = _NoProgress()
    settings.process.ultimate_exiting_timeout = None  # no SIGKILL from a thread of its own
    settings.watching.chunk_size = 1  # what it lists nobody reads (session.py)
    settings.queueing.worker_limit = 100
    settings.queueing.idle_timeout = 0.05  # an idle worker holds its slot for so long
    settings.networking.connect_timeout = 5
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = Backoff()
    for type_ in watched:
        selector = selector_of(type_)
        if selector:
            settings.watching.label_selectors[type_.group, type_.version, type_.plural] = selector
    return settings


def registry_for(
    store: Store, enqueue: Callable[[Key], None], watches: Watches, watch_from: WatchFrom
) -> kopf.OperatorRegistry:
    """One handler per watched kind."""
    registry = kopf.OperatorRegistry()

    def session(credentials: kopf.ConnectionInfo) -> kopf.AiohttpSession:
        return listening(credentials, watches, watch_from, store.knows)

    _log_in(registry, kopf.login_with_service_account, session)
    _log_in(registry, kopf.login_with_kubeconfig, session)
    for type_ in store.watched():
        _watch(registry, type_, store, enqueue, watches)
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


def _watch(
    registry: kopf.OperatorRegistry,
    type_: ResourceType,
    store: Store,
    enqueue: Callable[[Key], None],
    watches: Watches,
) -> None:
    async def seen(event: kopf.RawEvent, **_: object) -> None:
        body: Json = dict(event["object"])
        meta = body.get("metadata", {})
        watches.delivered(type_.kind, meta.get("namespace", ""), meta.get("resourceVersion", ""))
        gone = event["type"] == "DELETED"
        for key in store.forget(type_.kind, body) if gone else store.observe(type_.kind, body):
            enqueue(key)

    kopf.on.event(type_.group, type_.version, type_.plural, registry=registry, id=f"watch-{type_.plural}")(seen)


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
    not_kopfs = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry_for(store, enqueue, watches, watch_from),
        settings=settings_for(list(store.watched())),
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
