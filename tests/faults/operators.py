"""One process of Tandem, in this one: the real engine, kopf included, that can be killed between any two writes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from kubernetes.aio.client import ApiClient, Configuration

from tandem.engine.controller import Controller
from tandem.engine.health import Health
from tandem.engine.process import Engine, Options
from tests.faults.apiserver.server import StandIn
from tests.faults.mlflow import Tracking


@dataclass
class OperatorProcess:
    """``agent``: how the API server sees it."""

    server: StandIn
    source: Tracking
    controllers: Sequence[Controller]
    options: Options
    engine: Engine = field(init=False)
    health: Health = field(init=False)
    client: ApiClient = field(init=False)
    _told: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    @property
    def agent(self) -> str:
        return f"{self.options.name}/{self.options.instance}"

    def start(self) -> None:
        self.client = ApiClient(Configuration(host=self.server.url))
        self.client.user_agent = self.agent
        self.health = Health(None, None)
        self.engine = Engine(list(self.controllers), self.source, self.options, self.client, self.health)
        self._task = asyncio.create_task(self.engine.run_until(self._told), name=self.agent)

    @property
    def ended(self) -> BaseException | None:
        """What ended it by itself, if it did."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        return self._task.exception() or RuntimeError("it ended, and said nothing")

    def cut_off(self) -> None:
        """From this moment on nothing that it does has an effect, and nothing that it asks is answered."""
        self.server.cut_off.add(self.agent)
        self.source.dead = True

    async def kill(self) -> None:
        """SIGKILL: no drain, no release of the lease, nothing said."""
        self.cut_off()
        assert self._task is not None
        self._task.cancel()
        self.engine._stop_watching.set()
        await self.engine._leading.cancel()
        await self.engine._standing.cancel()
        await asyncio.wait([self._task])
        await self.client.close()

    async def terminate(self) -> None:
        """SIGTERM."""
        self._told.set()
        assert self._task is not None
        with suppress(Exception):
            await self._task
        await self.engine.end()
        await self.client.close()

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing is worked on, nothing is asked, nothing comes by itself within a few seconds."""
        queue, board = self.engine._queue, self.engine._board
        soon = asyncio.get_running_loop().time() + 5
        awaited = any(due < soon for due in queue._due.values())
        return not (queue._added_at or queue._active or queue._again or awaited or board._pending or board._asking)

    @property
    def up_to_date(self) -> bool:
        """What it has in mind is what there is, in the cluster and in MLflow."""
        return self.health.ready and self._knows_the_cluster() and self._knows_mlflow()

    def _knows_the_cluster(self) -> bool:
        store = self.engine._store
        for type_ in store.watched():
            known = {uid: meta.resource_version for uid, meta in store.known(type_.kind).items()}
            if known != self._there(type_.group, type_.plural):
                return False
        return True

    def _there(self, group: str, plural: str) -> dict[str, str]:
        """uid → version of everything that it should have seen."""
        return {
            body["metadata"]["uid"]: body["metadata"]["resourceVersion"]
            for (kind, _, _), body in self.server.database.all().items()
            if (kind.group, kind.plural) == (group, plural)
            and (kind.schema is not None or _managed(body["metadata"].get("labels") or {}))
        }

    def _knows_mlflow(self) -> bool:
        board = self.engine._board
        polled = [query for query in board._readers if self.source.poll_interval(query) is not None]
        return all(query in board._answers for query in board._readers) and all(
            board._answers[query] == self.source.server.answer(query) for query in polled
        )


def _managed(labels: dict[str, str]) -> bool:
    return labels.get("app.kubernetes.io/managed-by") == "tandem"
