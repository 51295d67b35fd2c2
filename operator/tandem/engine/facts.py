"""Facts from outside: who has asked what, which answers are known, and when to ask again.

A plan's reads are its subscription. A new question is asked at once; a polled one again every interval; one that found
the source down is asked again with a growing delay. Questions of one lot are asked in one go, others a few at a time,
so that slow answers to some never hold up the rest. When an answer changes, everybody who reads it is queued. A source
that fails, hangs or leaves a question out is one that is down: its readers are told, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final, Protocol

from tandem.api.facts import Facts, Told, Unavailable
from tandem.api.meta import Key
from tandem.api.plan import Outside
from tandem.engine.deadlines import Deadlines
from tandem.engine.pending import AnyQuery, Manner, Pending

logger = logging.getLogger(__name__)

_FIRST_RETRY: Final = 1.0
_LAST_RETRY: Final = 15.0
_AT_ONCE: Final = 4
_PATIENCE: Final = 60.0  # seconds for one batch; a source's own timeouts are shorter


class Source(Manner, Protocol):
    """Answers questions about the world outside the cluster, and carries out writes to it."""

    async def answer(self, queries: Collection[AnyQuery]) -> Mapping[AnyQuery, object]:
        """An answer to each, or :class:`Unavailable`; never raises for a server that is down."""

    async def carry_out(self, write: Outside) -> Told:
        """The answers that are known by having done it, where there are any.

        Raises :class:`tandem.api.plan.Refused` when it could not be done.
        """


class FactBoard:
    """Questions, their readers, and the answers."""

    def __init__(self, source: Source, enqueue: Callable[[Key], None], now: Callable[[], datetime]) -> None:
        self._source = source
        self._enqueue = enqueue
        self._now = now
        self._answers: dict[AnyQuery, object] = {}
        self._readers: defaultdict[AnyQuery, set[Key]] = defaultdict(set)
        self._reads: dict[Key, frozenset[AnyQuery]] = {}
        self._pending = Pending(source)
        self._retries: dict[AnyQuery, int] = {}
        self._fresh_until: dict[AnyQuery, float] = {}  # of what is polled
        self._due: Deadlines[AnyQuery] = Deadlines()
        self._wake = asyncio.Event()

    @property
    def facts(self) -> Facts:
        return Facts(self._answers)

    def subscribe(self, key: Key, reads: Collection[AnyQuery]) -> None:
        """From now on this key reads exactly these; what nobody reads any more is forgotten."""
        now, before = frozenset(reads), self._reads.get(key, frozenset())
        for query in before - now:
            self._readers[query].discard(key)
            if not self._readers[query]:
                self._drop(query)
        for query in now - before:
            self._readers[query].add(key)
            if query not in self._answers:
                self._ask(query)
        if now:
            self._reads[key] = now
        else:
            self._reads.pop(key, None)

    def ask_again(self, key: Key, told: Told = MappingProxyType({})) -> None:
        """After a write of this key's: everything it reads may be different now, but for what it was told by that.

        What was known of it is known no more. A plan that went by it would write the same again, and with that make the
        answer that is under way one of before the write: with a slow source, for ever (found by the soak: 25 of 1,000).
        """
        for query in self._reads.get(key, ()):
            self._answers.pop(query, None)
            self._fresh_until.pop(query, None)
            if query in told and query not in self._pending.under_way and query not in self._pending:
                self._take(query, told[query], asyncio.get_running_loop().time())
            else:
                self._ask(query)
        if not self._reads.get(key):
            self._enqueue(key)

    async def run(self) -> None:
        """Ask, for ever; at most a few batches are under way at a time."""
        limit = asyncio.Semaphore(_AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            while True:
                batch = await self._next_batch()
                await limit.acquire()
                task = tasks.create_task(self._answer(batch))
                task.add_done_callback(lambda _: limit.release())

    def _ask(self, query: AnyQuery) -> None:
        self._due.discard(query)
        self._pending.add(query)
        self._wake.set()

    def _drop(self, query: AnyQuery) -> None:
        del self._readers[query]
        self._due.discard(query)
        self._pending.discard(query)
        for known in (self._answers, self._retries, self._fresh_until):
            known.pop(query, None)

    async def _next_batch(self) -> list[AnyQuery]:
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            for query in self._due.take(now):
                self._ask(query)
            batch = self._pending.take()
            if batch:
                return batch
            self._wake.clear()
            try:
                async with asyncio.timeout_at(self._due.first()):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _answer(self, batch: list[AnyQuery]) -> None:
        answers: Mapping[AnyQuery, object] = {}
        problem = "the source left the question out"
        try:
            async with asyncio.timeout(_PATIENCE):
                answers = await self._source.answer(batch)
        except Exception as error:
            logger.exception("a source failed to answer %d questions", len(batch))
            problem = f"the source failed: {error!r}"
        finally:
            self._pending.answered(batch)
        now = asyncio.get_running_loop().time()
        for query in batch:
            # Asked again meanwhile (after a write): this answer may be older than the write, the next one is not.
            if query in self._readers and query not in self._pending:
                self._take(query, answers[query] if query in answers else self._failure(query, problem), now)
        self._wake.set()

    def _failure(self, query: AnyQuery, problem: str) -> Unavailable:
        before = self._answers.get(query)
        since = before.since if isinstance(before, Unavailable) else self._now()
        return Unavailable(since, "SourceFailed", problem)

    def _take(self, query: AnyQuery, answer: object, now: float) -> None:
        if isinstance(answer, Unavailable):
            retries = self._retries.get(query, 0)
            self._retries[query] = retries + 1
            # Bounded before the power: after 1,024 failures (four hours) a float is too small for it.
            self._due.put(query, now + min(_FIRST_RETRY * 2.0 ** min(retries, 10), _LAST_RETRY))
            # What is known is hardly older than any poll finds it: one that fails is no outage yet. Told at once, each
            # hiccup of a server would change the statuses of thousands, and change them back.
            if now < self._fresh_until.get(query, 0.0):
                return
        else:
            self._retries.pop(query, None)
            interval = self._source.poll_interval(query)
            if interval is not None:
                # On common ticks, so that all questions of one interval are due together.
                seconds = interval.total_seconds()
                self._due.put(query, (now // seconds + 1) * seconds)
                self._fresh_until[query] = now + 2 * seconds
        news = query not in self._answers or self._answers[query] != answer
        self._answers[query] = answer
        if news:
            for key in self._readers[query]:
                self._enqueue(key)
