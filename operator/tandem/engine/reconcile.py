"""Observe → plan → carry out, for one key at a time.

Whatever goes wrong belongs to that key alone: an action that was refused is remembered and told by the next plan; an
API server that does not answer means another try; a resource that cannot be read, or a plan that breaks on it, shows
its own error and leaves the other 9,999 alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from tandem.api.conditions import Failed, Passed, summarise
from tandem.api.meta import Condition, Key, to_json
from tandem.api.plan import Action, Apply, Create, Delete, Emit, Plan, Refusal, Refused
from tandem.engine.api import ApiError, ApiUnavailable
from tandem.engine.cluster import Cluster
from tandem.engine.controller import Controller, status_difference
from tandem.engine.facts import FactBoard, Source
from tandem.engine.queue import KeyedQueue
from tandem.engine.store import Entry, Store

logger = logging.getLogger(__name__)

# How long a refused action rests: a quota or a right may be given back at any time, nobody is served by a hot loop.
FIRST_REST: Final = timedelta(seconds=1)
LAST_REST: Final = timedelta(minutes=5)
_POISON_RETRY: Final = 300.0


class Reconciler:
    def __init__(
        self,
        store: Store,
        queue: KeyedQueue[Key],
        board: FactBoard,
        source: Source,
        cluster: Cluster,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._queue = queue
        self._board = board
        self._source = source
        self._cluster = cluster
        self._clock = clock
        self._refusals: dict[Key, dict[str, Refusal]] = {}

    async def work(self) -> None:
        """One worker: take a key, reconcile it, for ever."""
        while True:
            key = await self._queue.get()
            try:
                await self._reconcile_safely(key)
            finally:
                self._queue.done(key)

    async def _reconcile_safely(self, key: Key) -> None:
        try:
            await self.reconcile(key)
        except ApiUnavailable as error:
            delay = self._queue.retry(key)
            logger.warning("the API server did not answer; trying again", extra={"key": str(key), "delay": delay})
            logger.debug("%s", error)
        except ApiError as error:
            delay = self._queue.retry(key)
            logger.error("the status was refused: %s", error, extra={"key": str(key), "delay": delay})
        except Exception:
            self._queue.add_after(key, _POISON_RETRY)
            logger.exception("reconciling failed", extra={"key": str(key)})
        else:
            self._queue.forget(key)

    async def reconcile(self, key: Key) -> None:
        """Bring one resource nearer to what its spec says."""
        entry = self._store.get(key)
        if entry is None or entry.metadata.deletion_timestamp is not None:
            self._board.subscribe(key, ())
            self._refusals.pop(key, None)
            return
        controller = self._store.controller(key.kind)
        try:
            plan = self._plan(key, controller, entry)
        except Exception as error:
            await self._tell_poison(controller, entry, error)
            raise
        self._board.subscribe(key, plan.reads)
        if not await self._carry_out(key, controller, entry, plan):
            self._queue.add(key)  # the next plan tells the refusal
            return
        await self._tell(controller, entry, plan)
        if plan.requeue_after is not None:
            self._queue.add_after(key, plan.requeue_after.total_seconds())

    def _plan(self, key: Key, controller: Controller, entry: Entry) -> Plan:
        return controller.plan(
            entry.read(controller.view),
            self._store.children_of(entry.metadata.uid),
            self._board.facts,
            self._refusals.get(key, {}),
            self._clock(),
        )

    async def _carry_out(self, key: Key, controller: Controller, entry: Entry, plan: Plan) -> bool:
        """All actions in order; False at the first that is refused."""
        asked_outside = False
        try:
            for action in plan.actions:
                try:
                    asked_outside |= await self._act(action, controller, entry)
                except Refused as refused:
                    self._refuse(key, action.id, refused)
                    return False
                self._accept(key, action.id)
        finally:
            if asked_outside:
                self._board.ask_again(key)
        return True

    async def _act(self, action: Action, controller: Controller, entry: Entry) -> bool:
        """Carry out one action; True when it wrote outside the cluster."""
        match action:
            case Create():
                await self._cluster.create(action)
            case Apply():
                await self._cluster.apply(action, controller.field_manager, self._known_uid(action, entry))
            case Delete():
                await self._cluster.delete(action)
            case Emit():
                await self._cluster.emit(controller, entry.metadata, action, self._clock())
            case _:
                await self._source.carry_out(action)
                return True
        return False

    def _known_uid(self, action: Apply, entry: Entry) -> str:
        """The uid of the child that this apply is for, if one of that kind and name is ours."""
        names = (action.manifest["metadata"]["name"], action.manifest["kind"])
        uids = (
            child.metadata.uid
            for child in self._store.children_of(entry.metadata.uid)
            if (child.metadata.name, type(child).__name__) == names
        )
        return next(uids, "")

    async def _tell(self, controller: Controller, entry: Entry, plan: Plan) -> None:
        """Write the difference between the stored status and the planned one, then the Events; nothing if none."""
        if plan.status is None:
            return
        difference = status_difference(entry.status(), plan.status, controller.status_fields)
        if not difference:
            return
        await self._cluster.write_status(controller, entry.metadata, difference)
        for event in plan.events:
            await self._cluster.emit(controller, entry.metadata, event, self._clock())

    def _refuse(self, key: Key, action: str, refused: Refused) -> None:
        now = self._clock()
        before = self._refusals.setdefault(key, {}).get(action)
        attempts = before.attempts + 1 if before else 1
        rest = min(FIRST_REST * 2 ** min(attempts - 1, 20), LAST_REST)
        since = before.since if before else now
        self._refusals[key][action] = Refusal(refused.reason, refused.message, since, now + rest, attempts)
        logger.warning("refused: %s: %s", action, refused.message, extra={"key": str(key), "reason": refused.reason})

    def _accept(self, key: Key, action: str) -> None:
        refusals = self._refusals.get(key)
        if refusals is not None:
            refusals.pop(action, None)
            if not refusals:
                del self._refusals[key]

    async def _tell_poison(self, controller: Controller, entry: Entry, error: Exception) -> None:
        """A resource that no plan can be made for says so itself."""
        invalid = isinstance(error, msgspec.ValidationError)
        reason = "InvalidSpec" if invalid else "InternalError"
        message = f"the resource cannot be read: {error}" if invalid else f"the operator failed on it: {error!r}"
        stored = entry.status()
        previous = msgspec.convert(stored.get("conditions", []), tuple[Condition, ...])
        failed = {"Accepted": Failed(reason, message)}
        conditions = summarise(failed, previous, entry.metadata.generation, self._clock(), Passed("", ""))
        status = {
            "observedGeneration": entry.metadata.generation,
            "conditions": [to_json(condition) for condition in conditions],
        }
        difference = status_difference(stored, status, frozenset(status))
        if difference:
            await self._cluster.write_status(controller, entry.metadata, difference)
