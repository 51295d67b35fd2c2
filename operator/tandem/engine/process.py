"""One process of Tandem: everything of the engine put together, from the first list to the last write."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from aiolimiter import AsyncLimiter
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from tandem.api.meta import Key
from tandem.engine.api import ApiServer
from tandem.engine.cluster import Cluster
from tandem.engine.controller import Controller
from tandem.engine.facts import FactBoard, Source
from tandem.engine.handlers import watch
from tandem.engine.health import Health
from tandem.engine.lease import LeadershipLost, Lease
from tandem.engine.queue import KeyedQueue
from tandem.engine.reconcile import Reconciler
from tandem.engine.resync import Resync
from tandem.engine.store import Store

logger = logging.getLogger(__name__)

WORKERS: Final = 32
_DRAIN: Final = 5.0  # seconds that a write under way may still take after the process was told to end


@dataclass(frozen=True)
class Options:
    """How this process runs; nothing of it depends on a kind."""

    name: str  # tandem-operator, tandem-drift: user agent, lease, Events
    instance: str  # the pod's name
    namespaces: tuple[str, ...] = ()  # none: the whole cluster
    lease_namespace: str | None = None  # None: no leadership, a single process on a desk
    requests_per_second: int = 200
    health_port: int | None = None
    metrics_port: int | None = None


def utc_now() -> datetime:
    return datetime.now(UTC)


async def run(controllers: Iterable[Controller], source: Source, options: Options) -> None:
    """Run until told to end (SIGTERM, SIGINT).

    Raises:
        LeadershipLost: the lease is gone; the caller must exit.
    """
    async with AsyncExitStack() as stack:
        api = await _connect(options, stack)
        health = Health(options.health_port, options.metrics_port)
        await stack.enter_async_context(health)
        lease = _lease(api, options)
        if lease is not None:
            await lease.acquire()
            stack.push_async_callback(lease.release)
        await _lead(list(controllers), source, options, api, lease, health)


async def _lead(
    controllers: list[Controller],
    source: Source,
    options: Options,
    api: ApiServer,
    lease: Lease | None,
    health: Health,
) -> None:
    store = Store(controllers)
    queue: KeyedQueue[Key] = KeyedQueue()

    def observe(kind: str, body: dict[str, object]) -> None:
        key = store.observe(kind, body)
        if key is not None and kind not in {c.resource.kind for c in controllers}:
            queue.add(key)  # a child that was just made; our own status is no news to us

    cluster = Cluster(api, observe, options.instance)
    board = FactBoard(source, queue.add)
    reconciler = Reconciler(store, queue, board, source, cluster, utc_now)
    resync = Resync(api, store, queue.add, options.namespaces)
    health.follow(queue)

    await resync.fill()
    health.ready = True
    logger.info("everything is listed; reconciling %d resources", len(store.all_keys()))
    stop = asyncio.Event()
    workers = [asyncio.create_task(reconciler.work()) for _ in range(WORKERS)]
    others = [asyncio.create_task(board.run()), asyncio.create_task(resync.run())]
    watching = asyncio.create_task(watch(store, queue.add, options.namespaces, options.instance, stop))
    keeping = [asyncio.create_task(lease.keep())] if lease is not None else []
    try:
        done, _ = await asyncio.wait([watching, *others, *keeping, *workers], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        health.ready = False
        await _drain(queue, lost=any(task.done() for task in keeping))
        for task in [*workers, *others, *keeping, watching]:
            task.cancel()
        await asyncio.gather(*workers, *others, *keeping, watching, return_exceptions=True)
    for task in done:
        task.result()  # whatever ended the process is told: LeadershipLost, a watch that could not go on


async def _drain(queue: KeyedQueue[Key], *, lost: bool) -> None:
    """Let the writes under way end; who has lost the lease writes nothing more."""
    if lost:
        return
    try:
        async with asyncio.timeout(_DRAIN):
            await queue.close()
    except TimeoutError:
        logger.warning("some writes were still under way after %.0f s", _DRAIN)


async def _connect(options: Options, stack: AsyncExitStack) -> ApiServer:
    configuration = Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    client = await stack.enter_async_context(ApiClient(configuration))
    client.user_agent = f"{options.name}/{options.instance}"
    limiter = AsyncLimiter(2 * options.requests_per_second, time_period=2)
    return ApiServer(client, limiter)


def _lease(api: ApiServer, options: Options) -> Lease | None:
    if options.lease_namespace is None:
        return None
    return Lease(api, options.lease_namespace, options.name, options.instance, utc_now)


__all__ = ["LeadershipLost", "Options", "run", "utc_now"]
