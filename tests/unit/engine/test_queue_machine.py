"""Whatever is added, taken, given back and waited for, in any order: the queue agrees with a model of its contract."""

from __future__ import annotations

import asyncio

import looptime
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tandem.engine.queue import KeyedQueue
from tests.examples import examples

KEYS = st.sampled_from("abcd")
SECONDS = st.integers(min_value=1, max_value=20)


class QueueMachine(RuleBasedStateMachine):
    """The model: an ordered list of what waits, a set of what is worked on, and the next due time of each key."""

    @initialize()
    def begin(self) -> None:
        self.loop = looptime.new_event_loop()
        self.queue: KeyedQueue[str] = self.loop.run_until_complete(self._make())
        self.waiting: list[str] = []
        self.active: set[str] = set()
        self.again: set[str] = set()
        self.due: dict[str, float] = {}
        self.now = 0.0

    async def _make(self) -> KeyedQueue[str]:
        return KeyedQueue()

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.close()

    def model_add(self, key: str) -> None:
        if key in self.active:
            self.again.add(key)
        elif key not in self.waiting:
            self.waiting.append(key)

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.model_add(key)

    @rule(key=KEYS, seconds=SECONDS)
    def add_after(self, key: str, seconds: int) -> None:
        self.queue.add_after(key, seconds)
        self.due[key] = min(self.due.get(key, self.now + seconds), self.now + seconds)

    @rule(seconds=SECONDS)
    def wait(self, seconds: int) -> None:
        # Half a second beside the whole ones, at which keys are due: neither side decides who is first.
        self.loop.run_until_complete(asyncio.sleep(seconds - 0.5 if self.now == int(self.now) else seconds))
        self.now += seconds - 0.5 if self.now == int(self.now) else seconds
        for key, _ in sorted(((k, d) for k, d in self.due.items() if d <= self.now), key=lambda item: item[1]):
            del self.due[key]
            self.model_add(key)

    @precondition(lambda self: self.waiting)
    @rule()
    def take(self) -> None:
        key = self.loop.run_until_complete(self.queue.get())
        assert key in self.waiting
        assert key not in self.active, "never twice at the same time"
        self.waiting.remove(key)
        self.active.add(key)

    @precondition(lambda self: self.active)
    @rule(data=st.data())
    def give_back(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.active)))
        self.queue.done(key)
        self.active.discard(key)
        if key in self.again:
            self.again.discard(key)
            self.model_add(key)

    @invariant()
    def as_many_wait_as_in_the_model(self) -> None:
        assert self.queue.depth == len(self.waiting) if hasattr(self, "queue") else True


QueueMachine.TestCase.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
TestQueue = QueueMachine.TestCase
