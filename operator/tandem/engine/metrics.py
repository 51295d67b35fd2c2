"""What Prometheus is told: names and labels are part of what administrators rely on (docs/operations.md).

No label takes a value that a tenant can choose: kinds, verbs, resources and outcomes are ours, states are the phases
that the kinds name. The figures that a kind tells of each of its resources are the exception: they have its namespace
and name. What can be counted when it is asked for is counted then, and costs nothing in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from tandem.api.meta import Key
from tandem.engine.api import APPLY_PATCH
from tandem.engine.logs import lines_lost
from tandem.engine.queue import KeyedQueue
from tandem.engine.store import Store
from tandem.engine.watches import Watches

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_LAG_EVERY: Final = 1.0
_LAG_KEPT: Final = 60  # looks: a stall is seen by whoever scrapes once a minute
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Metrics:
    """All metrics of this process; it is made first and told of the parts as they are made."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._reconciles = Histogram(
            "tandem_reconcile_duration_seconds",
            "How long one look at a resource took, all its writes included",
            ("kind", "outcome"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._writes = Counter(
            "tandem_writes",
            "Writes to the API server; result is the class of the answer's code, or none",
            ("verb", "resource", "subresource", "result"),
            registry=self._registry,
        )
        self._external = Counter(
            "tandem_external_requests",
            "Requests to MLflow; result is the class of the answer's code, or none",
            ("endpoint", "result"),
            registry=self._registry,
        )
        self._leader = Gauge("tandem_leader", "Whether this process leads: plans and writes", registry=self._registry)
        self._now = _Now()
        self._registry.register(self._now)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """As Prometheus reads it; CONTENT_TYPE is its type."""
        return generate_latest(self._registry)

    def follow(self, *, queue: KeyedQueue[Key], store: Store, watches: Watches) -> None:
        """From now on, what these have in them is told."""
        self._now.queue, self._now.store, self._now.watches = queue, store, watches

    def leads(self, leads: bool) -> None:
        self._leader.set(leads)

    def reconciled(self, kind: str, outcome: str, seconds: float) -> None:
        self._reconciles.labels(kind, outcome).observe(seconds)

    def requested(self, method: str, path: str, content_type: str, status: int) -> None:
        """A request to the API server by the template of its path; ``status`` 0: no answer. Only writes are told."""
        if method == "GET":
            return
        parts = path.rpartition("/{namespace}/")[2].split("/")  # jobs, jobs/{name}, trainingjobs/{name}/status
        verb = "apply" if content_type == APPLY_PATCH else _VERBS[method]
        self._writes.labels(verb, parts[0], parts[2] if len(parts) > 2 else "", _class(status)).inc()

    def asked_outside(self, endpoint: str, status: int) -> None:
        """A request to MLflow; ``status`` 0: no answer."""
        self._external.labels(endpoint, _class(status)).inc()

    async def measure_lag(self) -> None:
        """Find out how late the event loop is, for ever."""
        clock = asyncio.get_running_loop().time
        while True:
            self._now.due = clock() + _LAG_EVERY
            await asyncio.sleep(_LAG_EVERY)
            self._now.lags.append(max(0.0, clock() - self._now.due))


class _Now(Collector):
    """What is counted when it is asked for, in the thread of the event loop."""

    def __init__(self) -> None:
        self.queue: KeyedQueue[Key] | None = None
        self.store: Store | None = None
        self.watches: Watches | None = None
        self.lags: deque[float] = deque(maxlen=_LAG_KEPT)
        self.due: float | None = None

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is asked in advance (the registry would call collect outside of an event loop)."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily | CounterMetricFamily]:
        queue = self.queue
        depth, oldest = (queue.depth, queue.oldest) if queue is not None else (0, 0.0)
        yield GaugeMetricFamily("tandem_queue_depth", "Resources that wait to be reconciled", value=depth)
        yield GaugeMetricFamily(
            "tandem_queue_oldest_seconds", "How long the longest-waiting resource has waited", value=oldest
        )
        yield GaugeMetricFamily(
            "tandem_event_loop_lag_seconds", "How late the event loop was at most in the last minute", value=self._lag()
        )
        yield CounterMetricFamily("tandem_log_lines_lost", "Log lines that nobody took", value=lines_lost())
        yield from self._resources()
        yield from self._figures()
        yield from self._watches()

    def _lag(self) -> float:
        """With what it is late by right now: whoever asks first after a stall is told of it."""
        late = asyncio.get_running_loop().time() - self.due if self.due is not None else 0.0
        return max(0.0, late, *self.lags)

    def _resources(self) -> Iterator[GaugeMetricFamily]:
        family = GaugeMetricFamily("tandem_resources", "Resources by their phase", labels=("kind", "state"))
        for (kind, state), number in sorted(self.store.states().items() if self.store is not None else ()):
            family.add_metric((kind, state), number)
        yield family

    def _figures(self) -> Iterator[GaugeMetricFamily]:
        families: dict[str, GaugeMetricFamily] = {}
        for figure, key, value in self.store.figures() if self.store is not None else ():
            if figure.metric not in families:
                families[figure.metric] = GaugeMetricFamily(figure.metric, figure.help, labels=("namespace", "name"))
            families[figure.metric].add_metric((key.namespace, key.name), value)
        yield from families.values()

    def _watches(self) -> Iterator[GaugeMetricFamily]:
        age = GaugeMetricFamily(
            "tandem_watch_age_seconds", "Since the watch was last heard: event, bookmark, list", labels=("resource",)
        )
        deaf = GaugeMetricFamily(
            "tandem_watch_deaf", "Whether the watch withholds what is known to be there", labels=("resource",)
        )
        for type_, seconds, is_deaf in self.watches.states() if self.watches is not None else ():
            age.add_metric((type_.plural,), seconds)
            deaf.add_metric((type_.plural,), is_deaf)
        yield age
        yield deaf


def _class(status: int) -> str:
    return f"{status // 100}xx" if status else "none"
