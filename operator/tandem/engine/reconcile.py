"""Observe → plan → carry out, for one key at a time.

Whatever goes wrong belongs to that key alone: an action that was refused is remembered and told by the next plan; an
API server that does not answer means another try; a resource that cannot be read, or a plan that breaks on it, shows
its own error and leaves the other 9,999 alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from tandem.api.conditions import Failed, Passed, summarise
from tandem.api.facts import Query, Told
from tandem.api.meta import Condition, Key, ObjectMeta, to_json
from tandem.api.plan import (
    PREDECESSOR_REMAINS,
    Action,
    Apply,
    CopyConfigMap,
    Create,
    Delete,
    Emit,
    MoveAlias,
    Outside,
    Plan,
    Refusal,
    Refused,
    TagRun,
    TagVersion,
)
from tandem.engine.api import ApiError, ApiUnavailable
from tandem.engine.cluster import Cluster, PredecessorRemains, StaleView
from tandem.engine.controller import Controller, Named, status_difference
from tandem.engine.facts import FactBoard, Source
from tandem.engine.logs import about
from tandem.engine.queue import KeyedQueue
from tandem.engine.store import Entry, Store

logger = logging.getLogger(__name__)

# How long a refused action rests: a quota or a right may be given back at any time, nobody is served by a hot loop.
FIRST_REST: Final = timedelta(seconds=1)
LAST_REST: Final = timedelta(minutes=5)
_REST_OF_ONE_THAT_PASSES: Final = timedelta(seconds=15)  # a garbage collector needs a second; or it is being restarted
_POISON_RETRY: Final = 300.0
# All keys fail together when the API server is away, and all must come back soon after it does.
_LONGEST_OUTAGE_RETRY: Final = 20.0
SHORTEST_REQUEUE: Final = 0.1  # a plan that always asks to be called at once would take a whole core


# What takes something back that was there before. An operator with an older view (stopped in the middle of a plan, or
# no leader any more) must not: the resource is read again first, and a child is changed in the version that the plan
# saw, or not at all. Creations are safe by their names and keys, but for names that count on from what was seen, or
# that somebody may have taken away.
FENCED: Final = (Apply, Delete, MoveAlias, TagRun, TagVersion)


@dataclass
class _Refusals:
    """What was refused to one resource, for as long as it is the same resource and wants the same."""

    uid: str
    generation: int
    of: dict[str, Refusal] = field(default_factory=dict)


@dataclass(frozen=True)
class _Seen:
    """What a plan was made from. What the store knows by the time of an action may be newer than the action."""

    resource: ObjectMeta
    children: tuple[Named, ...]

    def named(self, action: Apply) -> ObjectMeta | None:
        """The child that this apply is for, if there was one of that kind and name."""
        return self.child(action.manifest["kind"], action.manifest["metadata"]["name"])

    def child(self, kind: str, name: str) -> ObjectMeta | None:
        found = (c.metadata for c in self.children if (type(c).__name__, c.metadata.name) == (kind, name))
        return next(found, None)

    def of_uid(self, uid: str) -> ObjectMeta | None:
        return next((child.metadata for child in self.children if child.metadata.uid == uid), None)


class Reconciler:
    def __init__(
        self,
        store: Store,
        queue: KeyedQueue[Key],
        board: FactBoard,
        source: Source,
        cluster: Cluster,
        clock: Callable[[], datetime],
        measured: Callable[[str, str, float], None] = lambda *_: None,
        may_write: Callable[[], bool] = lambda: True,
    ) -> None:
        """``measured`` is told of each look at a resource: its kind, how it went, seconds.

        ``may_write`` is asked before each write outside; inside the cluster the API server's client does that.
        """
        self._may_write = may_write
        self._measured = measured
        self._store = store
        self._queue = queue
        self._board = board
        self._source = source
        self._cluster = cluster
        self._clock = clock
        self._refusals: dict[Key, _Refusals] = {}

    async def work(self) -> None:
        """One worker: take a key, reconcile it, for ever."""
        while True:
            key = await self._queue.get()
            clock = asyncio.get_running_loop().time
            began = clock()
            try:
                with about(key):
                    outcome = await self._reconcile_safely(key)
                self._measured(key.kind, outcome, clock() - began)
            finally:
                self._queue.done(key)

    async def _reconcile_safely(self, key: Key) -> str:
        """How it went, in one word of few."""
        try:
            done = await self.reconcile(key)
        except StaleView as error:
            self._queue.retry(key)
            logger.debug("planned again: %s", error)
            return "stale"
        except ApiUnavailable as error:
            delay = self._queue.retry(key, _LONGEST_OUTAGE_RETRY)
            logger.warning("the API server did not answer, again in %.3g s: %s", delay, error)
            return "unavailable"
        except ApiError as error:
            delay = self._queue.retry(key)
            logger.error("the status was refused, again in %.3g s: %s", delay, error)
            return "status_refused"
        except msgspec.ValidationError as error:
            self._queue.add_after(key, _POISON_RETRY)
            logger.error("the resource cannot be read: %s", error)
            return "unreadable"
        except Exception:
            self._queue.add_after(key, _POISON_RETRY)
            logger.exception("reconciling failed")
            return "failed"
        self._queue.forget(key)
        return "done" if done else "refused"

    async def reconcile(self, key: Key) -> bool:
        """Bring one resource nearer to what its spec says; False when something was refused on the way."""
        entry = self._store.get(key)
        if entry is None or entry.metadata.deletion_timestamp is not None:
            self._board.subscribe(key, ())
            self._refusals.pop(key, None)
            return True
        controller = self._store.controller(key.kind)
        refusals = self._refusals_of(key, entry)
        children = self._store.children_of(entry.metadata.uid)
        try:
            plan = self._plan(controller, entry, children, refusals.of)
        except Exception as error:
            await self._tell_poison(controller, entry, error)
            raise
        self._board.subscribe(key, plan.reads)
        _forget_unwanted(refusals.of, plan, self._clock())
        seen = _Seen(entry.metadata, tuple(children))
        for job in plan.without:
            await self._cluster.confirm_gone(job, entry.metadata)
        if not await self._carry_out(key, controller, seen, plan, refusals.of):
            self._queue.add(key)  # the next plan tells the refusal
            return False
        await self._tell(controller, entry, plan)
        if plan.requeue_after is not None:
            self._queue.add_after(key, max(plan.requeue_after.total_seconds(), SHORTEST_REQUEUE))
        return True

    def _refusals_of(self, key: Key, entry: Entry) -> _Refusals:
        """Another spec, or another resource of the same name, is not refused yet."""
        meta = entry.metadata
        known = self._refusals.get(key)
        if known is None or (known.uid, known.generation) != (meta.uid, meta.generation):
            known = self._refusals[key] = _Refusals(meta.uid, meta.generation)
        return known

    def _plan(
        self, controller: Controller, entry: Entry, children: Sequence[Named], refusals: Mapping[str, Refusal]
    ) -> Plan:
        return controller.plan(
            entry.read(controller.view),
            children,
            self._board.facts,
            refusals,
            self._clock(),
        )

    async def _carry_out(
        self, key: Key, controller: Controller, seen: _Seen, plan: Plan, refusals: dict[str, Refusal]
    ) -> bool:
        """All actions in order; False at the first that is refused."""
        written_outside = confirmed = False
        told: dict[Query[object], object] = {}
        try:
            for action in plan.actions:
                if _is_fenced(action) and not confirmed:
                    await self._cluster.confirm(controller, seen.resource)
                    confirmed = True
                # A copy may find that its source has changed: then that is asked for again, too.
                written_outside |= isinstance(action, CopyConfigMap)
                try:
                    told |= await self._act(action, controller, seen)
                    written_outside |= isinstance(action, Outside)
                except (Refused, ApiError) as error:
                    refusals[action.id] = self._refusal(error, refusals.get(action.id))
                    logger.warning("refused: %s: %s", action.id, error)
                    if isinstance(error, PredecessorRemains) and error.left is not None:
                        await self._collect(controller, seen.resource, error.left)
                    return False
                if refusals.pop(action.id, None) is not None:
                    self._queue.add(key)  # this plan's status still tells the refusal
        finally:
            if written_outside:
                self._board.ask_again(key, told)
        return True

    async def _collect(self, controller: Controller, resource: ObjectMeta, left: Delete) -> None:
        """Who may not, waits for the garbage collector."""
        try:
            await self._cluster.collect(controller, resource, left)
        except ApiError as error:
            logger.warning("refused: %s: %s", left.id, error)

    async def _act(self, action: Action, controller: Controller, seen: _Seen) -> Told:
        """Carry out one action; the answers that are known by that, of what is outside the cluster."""
        match action:
            case Create():
                await self._cluster.create(action)
            case CopyConfigMap():
                await self._cluster.copy(action)
            case Apply():
                namespace = action.manifest["metadata"]["namespace"]
                if action.rests_on:
                    service = seen.child("Service", action.rests_on)
                    await self._cluster.confirm_service(seen.resource, action.rests_on, service)
                if action.without:
                    deployment = seen.child("Deployment", action.without)
                    await self._cluster.confirm_deployment(namespace, action.without, deployment)
                await self._cluster.apply(action, controller.field_manager, seen.named(action))
            case Delete():
                if action.rests_on:
                    await self._cluster.confirm_deployment(
                        action.namespace, action.rests_on, seen.child("Deployment", action.rests_on)
                    )
                await self._cluster.delete(action, seen.of_uid(action.uid))
            case Emit():
                await self._cluster.emit(controller, seen.resource, action, self._clock())
            case _:
                return await self._write_outside(action)
        return {}

    async def _write_outside(self, action: Outside) -> Told:
        if not self._may_write():
            raise ApiUnavailable(f"{action.id}: not done, this process does not lead any more")
        try:
            return await self._source.carry_out(action)
        except Refused:
            raise
        except Exception as error:  # a source's own fault is told like any other refusal
            logger.exception("a source failed to carry out: %s", action.id)
            raise Refused("SourceFailed", f"{action.id} failed: {error!r}") from error

    async def _tell(self, controller: Controller, entry: Entry, plan: Plan) -> None:
        """Write the difference between the stored status and the planned one, then the Events; nothing if none."""
        if plan.status is None:
            return
        difference = status_difference(entry.status(), plan.status, controller.status_fields)
        if not difference:
            return
        if not await self._cluster.write_status(controller, entry.metadata, difference):
            return  # the next plan, of what is there now, tells it
        for event in plan.events:
            await self._cluster.emit(controller, entry.metadata, event, self._clock())

    def _refusal(self, error: Refused | ApiError, before: Refusal | None) -> Refusal:
        now = self._clock()
        attempts = before.attempts + 1 if before else 1
        longest = _REST_OF_ONE_THAT_PASSES if error.reason == PREDECESSOR_REMAINS else LAST_REST
        rest = min(FIRST_REST * 2 ** min(attempts - 1, 20), longest)
        return Refusal(error.reason, error.message, before.since if before else now, now + rest, attempts)

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


def _is_fenced(action: Action) -> bool:
    return isinstance(action, FENCED) or (isinstance(action, Create) and action.fenced)


def _forget_unwanted(refusals: dict[str, Refusal], plan: Plan, now: datetime) -> None:
    """An action whose time has come and that the plan does not contain is not wanted any more."""
    wanted = {action.id for action in plan.actions}
    for action in [id_ for id_, refusal in refusals.items() if refusal.retry_at <= now and id_ not in wanted]:
        del refusals[action]
