"""One process of Tandem: everything of the engine put together, from the first list to the last write.

A process that waits for its turn to lead lists and watches already (and is ready, so that a rolling update goes on);
only who leads plans and writes.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec
from aiolimiter import AsyncLimiter
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from tandem.api.meta import Json, Key, ObjectMeta
from tandem.engine import discovery
from tandem.engine.api import ApiServer
from tandem.engine.cluster import Cluster
from tandem.engine.configuration import POLL_EVERY, ConfigMaps
from tandem.engine.controller import Controller, ResourceType
from tandem.engine.facts import FactBoard, Source
from tandem.engine.handlers import watch
from tandem.engine.health import Health
from tandem.engine.lease import Lease, LeaseTimes
from tandem.engine.liveness import Liveness
from tandem.engine.metrics import Metrics
from tandem.engine.queue import KeyedQueue
from tandem.engine.reconcile import SHORTEST_REQUEUE, Reconciler
from tandem.engine.resync import PERIOD, Resync
from tandem.engine.store import Store
from tandem.engine.tasks import Endless, MustEnd
from tandem.engine.watches import PATIENCE, Watches
from tandem.http import Permission

logger = logging.getLogger(__name__)

WORKERS: Final = 32
_DRAIN: Final = 3.0  # seconds that writes under way may still take after the process was told to end
_UNWATCH: Final = 1.0


@dataclass(frozen=True)
class Options:
    """How this process runs; nothing of it depends on a kind."""

    name: str  # tandem-operator, tandem-drift: user agent, lease, Events
    instance: str  # the pod's name: no other live process may have it
    namespaces: tuple[str, ...] = ()  # none: the whole cluster
    lease_namespace: str | None = None  # None: no leadership, a single process on a desk
    lease_times: LeaseTimes = field(default_factory=LeaseTimes)
    resync_period: float = PERIOD  # seconds
    watch_patience: float = PATIENCE  # seconds
    configuration_poll: timedelta = POLL_EVERY
    requests_per_second: int = 200
    health_port: int | None = None
    metrics_port: int | None = None


def utc_now() -> datetime:
    return datetime.now(UTC)


# Told which of the optional kinds the cluster has.
Controllers: TypeAlias = Callable[[frozenset[ResourceType]], Iterable[Controller]]


async def run(
    controllers: Controllers,
    source: Source,
    options: Options,
    metrics: Metrics | None = None,
    permission: Permission | None = None,
    optional: tuple[ResourceType, ...] = (),
) -> None:
    """Run until told to end (SIGTERM, SIGINT). ``metrics``: those that the source counts in, too.

    ``permission``: that of the source's writes; from now on this process's Lease decides. ``optional``: kinds that a
    cluster may not have; only those that it has may be watched.

    Raises:
        MustEnd: the lease is gone, or a watch; the caller must exit, and is started anew.
    """
    told = asyncio.Event()
    _listen(told)
    async with AsyncExitStack() as stack:
        health = await stack.enter_async_context(Health(options.health_port, options.metrics_port, metrics))
        client = await stack.enter_async_context(await _connect(options))
        api = ApiServer(client, AsyncLimiter(10, time_period=1), count=health.metrics.requested)
        there = await discovery.served(api, optional)
        missing = frozenset(optional) - there
        engine = Engine(list(controllers(there)), source, options, client, health, missing, permission)
        try:
            await engine.run_until(told)
        finally:
            await engine.end()


def _listen(told: asyncio.Event) -> None:
    """SIGTERM and SIGINT set the event, instead of whatever they did before."""
    loop = asyncio.get_running_loop()
    with suppress(ValueError, RuntimeError):  # not the main thread: whoever runs it there cancels it
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)


class Engine:
    """The parts of one process, and the order in which they start and end."""

    def __init__(
        self,
        controllers: list[Controller],
        source: Source,
        options: Options,
        client: ApiClient,
        health: Health,
        missing: frozenset[ResourceType] = frozenset(),
        permission: Permission | None = None,
    ) -> None:
        if permission is not None:
            permission.decides = self._may_write
        self._missing = missing
        metrics = self._metrics = health.metrics
        limiter = AsyncLimiter(2 * options.requests_per_second, time_period=2)
        self._lease = _lease(client, options, metrics)
        api = self._api = ApiServer(client, limiter, count=metrics.requested, may_write=self._may_write)
        self._options = options
        self._health = health
        self._kinds = {controller.resource.kind for controller in controllers}
        self._store = Store(controllers)
        self._queue: KeyedQueue[Key] = KeyedQueue()
        facts = ConfigMaps(api, source, utc_now, options.configuration_poll)
        self._board = FactBoard(facts, self._queue.add, utc_now)
        cluster = Cluster(api, self._observe, options.instance, self._forget)
        self._reconciler = Reconciler(
            self._store, self._queue, self._board, source, cluster, utc_now, metrics.reconciled, self._may_write
        )
        clock = asyncio.get_running_loop().time
        self._watches = Watches(self._store.watched(), options.namespaces, clock, options.watch_patience)
        self._resync = Resync(
            api, self._store, self._queue.add, options.namespaces, options.resync_period, self._watches.expect
        )
        self._liveness = Liveness(self._watches, api)
        health.problems = self._liveness.problems
        metrics.follow(queue=self._queue, store=self._store, watches=self._watches)
        self._leads = False
        self._standing, self._leading = Endless(), Endless()
        self._stop_watching = asyncio.Event()

    async def run_until(self, told: asyncio.Event) -> None:
        """Until told to end, or until a part ends that must not: then its exception is raised."""
        self._standing.start("told to end", _wait(told))
        self._standing.start("life", self._live(told))
        await self._standing.first_end()

    async def _live(self, told: asyncio.Event) -> None:
        self._standing.start("lag", self._metrics.measure_lag())
        await self._resync.fill()
        _spare_the_collector()
        watching = watch(
            self._store,
            self._queue.add,
            self._options.namespaces,
            self._watches,
            self._resync.version_to_watch_from,
            self._stop_watching,
            lambda: _listen(told),
        )
        self._standing.start("watch", watching)
        self._standing.start("liveness", self._liveness.run())
        self._standing.start("resync", self._resync.run())
        if self._missing:
            self._standing.start("discovery", discovery.await_others(self._api, self._missing))
        self._health.ready = True
        if self._lease is not None:
            await self._lease.acquire()
            self._leading.start("lease", self._lease.keep())
        self._leads = True
        self._metrics.leads(True)
        logger.info("everything is listed; reconciling %d resources", len(self._store.all_keys()))
        self._liveness.follow(self._queue)
        self._leading.start("facts", self._board.run())
        for number in range(WORKERS):
            self._leading.start(f"worker {number}", self._reconciler.work())
        await self._leading.first_end()

    async def end(self) -> None:
        """Writes under way may end; the lease goes to the next; only then the watches."""
        self._health.ready = False
        self._metrics.leads(False)
        try:
            if self._leads:
                await self._drain()
        finally:
            await self._leading.cancel()
            if self._lease is not None and self._leads:
                await self._lease.release()
            # kopf complains of whatever it finds while it ends.
            logging.getLogger("kopf").setLevel(logging.CRITICAL)
            self._stop_watching.set()
            await self._standing.let_end("watch", _UNWATCH)
            await self._standing.cancel()

    async def _drain(self) -> None:
        """Wait for writes under way, unless the lease is lost: who does not lead writes nothing more."""
        if self._leading.has_ended("lease"):
            return
        try:
            async with asyncio.timeout(_DRAIN):
                await self._queue.close()
        except TimeoutError:
            logger.warning("some writes were still under way after %.0f s", _DRAIN)

    def _may_write(self) -> bool:
        return self._lease is None or self._lease.holds

    def _observe(self, kind: str, body: Json) -> None:
        """The answer to a write of ours is news, once: the event that tells the same is none any more.

        Our own status as well: a plan may go on from it (a run is stopped only when it is written down that it is),
        and the answer may show another's change that came just before. A moment later, though: a plan that never
        agrees with itself must not take a whole core. And not once more than a child's news does already.
        """
        self._watches.expect(kind, msgspec.convert(body["metadata"], ObjectMeta))
        for key in self._store.observe(kind, body):
            if kind not in self._kinds:
                self._queue.add(key)
            elif key not in self._queue:
                self._queue.add_after(key, SHORTEST_REQUEUE)

    def _forget(self, kind: str, meta: ObjectMeta) -> None:
        """A resource that a write of ours did not find; the event that tells so may be late."""
        for key in self._store.gone(kind, meta):
            self._queue.add(key)


def _spare_the_collector() -> None:
    """What was listed stays: the garbage collector need not walk through all of it, again and again.

    Measured: with the usual thresholds it takes 5 to 9 % of the CPU while resources are started.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


async def _wait(told: asyncio.Event) -> None:
    await told.wait()
    logger.info("told to end")


async def _connect(options: Options) -> ApiClient:
    configuration = Configuration()
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except config.ConfigException:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    # Else the session looks for ~/.netrc and for a proxy at every single request, in two threads. A proxy is looked
    # for once; credentials for the API server come from nowhere but its own configuration.
    configuration.proxy = configuration.proxy or _proxy_for(configuration.host)
    configuration.client_session_kwargs = {"trust_env": False}
    client = ApiClient(configuration)
    client.user_agent = f"{options.name}/{options.instance}"
    return client


def _proxy_for(address: str) -> str | None:
    """HTTPS_PROXY and NO_PROXY, as other clients read them."""
    url = urlsplit(address)
    return None if proxy_bypass(url.hostname or "") else getproxies().get(url.scheme)


def _lease(client: ApiClient, options: Options, metrics: Metrics) -> Lease | None:
    if options.lease_namespace is None:
        return None
    # A renewal never queues behind other requests, nor waits out a pause that costs the lease: a server that is busy
    # for all others has room for leases (its `leader-election` priority level).
    pause = options.lease_times.retry_period / 2
    unhurried = ApiServer(client, AsyncLimiter(10, time_period=1), count=metrics.requested, longest_pause=pause)
    return Lease(unhurried, options.lease_namespace, options.name, options.instance, utc_now, options.lease_times)


__all__ = ["LeaseTimes", "MustEnd", "Options", "run"]
