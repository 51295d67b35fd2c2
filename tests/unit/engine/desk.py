"""The engine without a watch, before the strict API server: what tests put there they show to it by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias

import aiohttp
import pytest
from aiolimiter import AsyncLimiter
from kubernetes.aio.client import ApiClient

from tandem.api.facts import Facts, Query, Told
from tandem.api.meta import Key, ObjectMeta
from tandem.api.plan import Create, Draft, Emit, Outside, Plan, Refusal
from tandem.engine.api import ApiServer
from tandem.engine.cluster import Cluster
from tandem.engine.controller import Named
from tandem.engine.facts import FactBoard
from tandem.engine.queue import KeyedQueue
from tandem.engine.reconcile import SHORTEST_REQUEUE, Reconciler
from tandem.engine.store import Store
from tests.unit.engine.objects import Json, Widget, child, controller, resource
from tests.unit.engine.strict_api import StrictApi


@dataclass(frozen=True, slots=True)
class Weather(Query[object]):
    """A fact."""


def job(owner: Named, name: str = "") -> Json:
    body = child("Job", name or f"{owner.metadata.name}-1", "", owner=owner.metadata.uid)
    del body["metadata"]["uid"], body["metadata"]["resourceVersion"]
    return {"apiVersion": "batch/v1", **body}


def one_job(resource: Widget, children: Sequence[Named], draft: Draft) -> str:
    """The plan of most tests: there shall be a Job, and the phase says whether there is."""
    if children:
        return "Created"
    refusal = draft.act(Create(job(resource)))
    return refusal.reason if refusal else "Creating"


Rule: TypeAlias = Callable[[Widget, Sequence[Named], Draft], str]


@dataclass
class Desk:
    """An engine without a watch: what the tests put into the API server, they show to it by hand."""

    api: StrictApi
    client: ApiClient
    patience: float = 10.0  # seconds for one request
    rule: Rule = one_job
    events: tuple[Emit, ...] = ()
    carried_out: list[Outside] = field(default_factory=list)
    source_raises: Exception | None = None
    told: Told = field(default_factory=dict)  # by the source, of what it carried out
    plans: list[str] = field(default_factory=list)
    outcomes: list[tuple[str, str]] = field(default_factory=list)  # (kind, how it went) of each look at a resource
    stopped_at: datetime | None = None

    def __post_init__(self) -> None:
        self.store = Store([controller(self.plan)])
        self.queue: KeyedQueue[Key] = KeyedQueue()
        server = ApiServer(self.client, AsyncLimiter(1000, 1), aiohttp.ClientTimeout(total=self.patience))
        board = FactBoard(self, self.queue.add, self.now)
        cluster = Cluster(server, self.observed, "here", self.gone)
        self.reconciler = Reconciler(self.store, self.queue, board, self, cluster, self.now, self.measured)
        self.tasks = [asyncio.create_task(board.run())]
        self.tasks += [asyncio.create_task(self.reconciler.work()) for _ in range(4)]

    def now(self) -> datetime:
        return self.stopped_at or datetime.now(UTC)

    def stop_clock(self) -> None:
        """Refused actions rest until the test moves the clock."""
        self.stopped_at = datetime.now(UTC)

    def move_clock(self, by: timedelta) -> None:
        self.stopped_at = self.now() + by

    def plan(
        self,
        widget: Named,
        children: Sequence[Named],
        facts: Facts,
        refusals: Mapping[str, Refusal],
        now: datetime,
    ) -> Plan:
        assert isinstance(widget, Widget)
        self.plans.append(widget.metadata.name)
        draft = Draft(facts, refusals, now)
        draft.events += self.events
        phase = self.rule(widget, children, draft)
        return draft.finish({"observedGeneration": widget.metadata.generation, "phase": phase})

    def observed(self, kind: str, body: Json) -> None:
        """The answer to a write."""
        for key in self.store.observe(kind, body):
            self.queue.add_after(key, SHORTEST_REQUEUE if kind == "Widget" else 0)

    def gone(self, kind: str, meta: ObjectMeta) -> None:
        """What a write did not find."""
        for key in self.store.gone(kind, meta):
            self.queue.add(key)

    def show(self, kind: str, body: Json) -> None:
        """As a watch would."""
        for key in self.store.observe(kind, body):
            self.queue.add(key)

    def submit(self, name: str = "w", **fields: Any) -> Json:
        body = self.api.put("widgets", resource(name, f"uid-{name}", **fields))
        self.show("Widget", body)
        return body

    def edit(self, name: str = "w", **spec: Any) -> None:
        body = self.api.named("widgets", name)
        assert body is not None
        meta = {**body["metadata"], "generation": body["metadata"]["generation"] + 1}
        self.show("Widget", self.api.put("widgets", {**body, "metadata": meta, "spec": spec}))

    def phase(self, name: str = "w") -> str:
        body = self.api.named("widgets", name)
        return "gone" if body is None else str(body.get("status", {}).get("phase", ""))

    async def until(self, condition: Callable[[], bool], seconds: float = 30.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)

    async def until_rest(self) -> None:
        """Every resource that was looked at is told of what came of it, and looked at again for that."""
        await self.until(lambda: not (self.queue._added_at or self.queue._active or self.queue._again))

    async def until_phase(self, phase: str, name: str = "w") -> None:
        try:
            await self.until(lambda: self.phase(name) == phase)
        except TimeoutError:
            pytest.fail(f"{phase=} was expected, it is {self.phase(name)!r}; requests: {self.api.requests}")

    def measured(self, kind: str, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.outcomes.append((kind, outcome))

    # --- the source of facts ---

    async def answer(self, queries: Collection[Query[object]]) -> Mapping[Query[object], object]:
        return dict.fromkeys(queries, "sunny")

    def poll_interval(self, query: Query[object]) -> timedelta | None:
        return None

    def lot(self, query: Query[object]) -> str | None:
        return None

    async def carry_out(self, write: Outside) -> Told:
        self.carried_out.append(write)
        if self.source_raises is not None:
            raise self.source_raises
        return self.told
