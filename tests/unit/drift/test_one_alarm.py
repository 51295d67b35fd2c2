"""One alarm is one run: under repeated plans, crashes, stale views, restarts of the controller, and any history.

The operator of this test does what the contract says and no more: it starts one run for a request it has not seen,
one run at a time, and may be slow, promote, reject or roll back.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tandem.api.facts import ModelNamed, MonitorOf
from tests.examples import examples
from tests.unit.drift.world import BAD, FIRST, GOOD, HOUR, NOW, World, down, hours

VALUES = st.sampled_from([BAD, BAD, BAD, GOOD, math.nan, math.inf])
COOLDOWN = timedelta(hours=3)


@settings(deadline=None)  # a loaded machine is not a failure
@given(st.lists(VALUES, max_size=12), st.lists(st.sampled_from(["carried out", "crashed", "stale"]), max_size=8))
def test_while_the_world_stands_still_one_alarm_has_one_id(values: list[float], looks: list[str]) -> None:
    # given any history of windows, when plan is called again and again: carried out, lost, or made from a stale view
    world = start = World().logging(*values)
    ids = set()
    for place, look in enumerate(looks):
        now = NOW + timedelta(seconds=place)
        made = (start if look == "stale" else world).plan(now)
        assert made.status is not None
        request = made.status["drift"].get("retrainRequest")
        ids |= {request["id"]} if request else set()
        if look != "crashed":
            world = replace(world, status=made.status)
    # then there is at most one request
    assert len(ids) <= 1


@settings(deadline=None)  # a loaded machine is not a failure
@given(st.lists(VALUES, max_size=10), st.integers(0, 3))
def test_two_replicas_that_saw_different_windows_ask_for_the_same_run(values: list[float], more: int) -> None:
    # given an alarm that one replica sees at once and another one, with a stale status, some breaches later
    early = World().logging(*values, GOOD, BAD, BAD, BAD)
    late = early.logging(*[BAD] * more)
    # then both ask for the same run
    assert _id(early.after()) == _id(late.after())


@settings(deadline=None)  # a loaded machine is not a failure
@given(st.lists(VALUES, min_size=1, max_size=14), st.data())
def test_windows_seen_one_by_one_or_all_at_once_end_in_the_same_state(values: list[float], data: st.DataObject) -> None:
    # a run in progress holds requests back: so the episodes in between leave no trace, and only the state is compared
    held = World().with_run(1, {"type": "Created"})
    whole = held.logging(*values).after()
    pieces, left = held, values
    while left:
        size = data.draw(st.integers(1, len(left)))
        pieces = pieces.logging(*left[:size]).after()
        left = left[size:]
    assert pieces.drift == whole.drift


@pytest.mark.parametrize("ended", [True, False])
def test_an_alarm_that_ends_in_drift_makes_the_same_request_in_any_portions(ended: bool) -> None:
    values = (GOOD, BAD, BAD, BAD, BAD) if ended else (GOOD, BAD, BAD, BAD)
    whole = World().logging(*values).after()
    pieces = World()
    for value in values:
        pieces = pieces.logging(value).after()
    assert _id(pieces) == _id(whole)


@dataclass
class Ledger:
    """What happened, as an onlooker sees it."""

    requests: dict[str, datetime] = field(default_factory=dict)
    cycles_ended: list[datetime] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)


class Life(RuleBasedStateMachine):
    """Drift controller, operator, registry and monitoring, in any order that hypothesis can think of."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.world = World(cooldown="3h")
        self.ledger = Ledger()
        self.step = FIRST
        self.events: list[str] = []

    # --- the controller ---

    def _look(self, view: World, carried_out: bool) -> None:
        made = view.plan(self.now)
        assert made.actions == (), "drift never acts"
        if made.status is None or not carried_out:
            return
        known = self.world.job.status.drift
        if known is not None and known.champion_version not in ("", made.status["drift"].get("championVersion", "")):
            self.ledger.cycles_ended.append(self.now)
        request = made.status["drift"].get("retrainRequest")
        if request is not None and request["id"] not in self.ledger.requests:
            self._check_a_new_request()
            self.ledger.requests[request["id"]] = self.now
        self.events += [event.reason for event in made.events]
        self.world = replace(self.world, status={**self.world.status, **made.status})

    def _check_a_new_request(self) -> None:
        run = self.world.job.status.run
        assert run is None or run.completion_time is not None, "a request while a run is in progress"
        assert not self.world.job.spec.suspend, "a request while suspended"
        for ended in self.ledger.cycles_ended:
            assert self.now >= ended + COOLDOWN, f"a request within the cooldown that began at {ended}"
        drift = self.world.job.status.drift
        assert drift is None or drift.retrain_request is None, "a second request while one is open"

    @rule()
    def look(self) -> None:
        self._look(self.world, carried_out=True)

    @rule()
    def look_and_crash(self) -> None:
        self._look(self.world, carried_out=False)

    @rule(query=st.sampled_from([ModelNamed, MonitorOf]))
    def look_during_an_outage(self, query: type) -> None:
        before = self.world.job.status.drift
        self._look(replace(self.world, unavailable={query: down(self.now)}), carried_out=True)
        after = self.world.drift
        assert after.retrain_request == (before.retrain_request if before else None), "an outage asks for nothing"

    @rule()
    def look_after_a_restart(self) -> None:
        before = self.world.status
        self._look(replace(self.world, unanswered=(ModelNamed, MonitorOf)), carried_out=True)
        assert self.world.status == before, "nothing is written before MLflow has answered"

    # --- the world ---

    @rule(minutes=st.sampled_from([1, 30, 60, 179, 180, 600]))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(values=st.lists(VALUES, min_size=1, max_size=5))
    def windows_are_logged(self, values: list[float]) -> None:
        assert self.world.champion is not None
        self.world = self.world.logging(*values, version=self.world.champion, start=self.step)
        self.step += HOUR * len(values)

    @rule(suspend=st.booleans())
    def suspended(self, suspend: bool) -> None:
        self.world = replace(self.world, spec={"suspend": suspend})

    # --- the operator ---

    @rule(asked_by=st.sampled_from(["Drift", "Drift", "SpecChanged"]))
    def a_run_starts(self, asked_by: str) -> None:
        status = self.world.job.status
        if status.run is not None and status.run.completion_time is None:
            return
        number = status.run.number + 1 if status.run else 1
        if asked_by == "SpecChanged":
            self.world = self.world.with_run(number, {"type": asked_by, "id": str(number)})
            return
        request = status.drift.retrain_request if status.drift else None
        answered = {entry.trigger.id for entry in status.history} | {status.run.trigger.id if status.run else ""}
        if request is not None and request.id not in answered:
            self.ledger.runs.append(request.id)
            self.world = self.world.with_run(number, {"type": "Drift", "id": request.id})

    @rule()
    def the_run_ends(self) -> None:
        status: dict[str, Any] = dict(self.world.status)
        run = status.get("run")
        if run is None or "completionTime" in run:
            return
        ended = {"number": run["number"], "trigger": run["trigger"], "completionTime": self.now.isoformat()}
        status["run"] = {**run, "completionTime": self.now.isoformat()}
        status["history"] = [{**ended, "result": "Complete"}, *status.get("history", [])]
        self.world = replace(self.world, status=status)
        if run["trigger"]["type"] == "Drift":
            self.ledger.cycles_ended.append(self.now)

    @rule(back=st.booleans())
    def the_champion_changes(self, back: bool) -> None:
        assert self.world.champion is not None
        serving = int(self.world.champion)
        self.world = self.world.promoting(str(max(1, serving - 1) if back else serving + 1))

    # --- what holds at any time ---

    @invariant()
    def one_run_for_one_alarm(self) -> None:
        assert len(set(self.ledger.runs)) == len(self.ledger.runs), "two runs for one alarm"

    @invariant()
    def a_plan_that_was_carried_out_has_nothing_more_to_say(self) -> None:
        at_rest = self.world.after(self.now)
        assert at_rest.after(self.now).status == at_rest.status
        assert at_rest.plan(self.now).events == ()

    @invariant()
    def a_change_of_champion_withdraws_the_request(self) -> None:
        seen = self.world.after(self.now).drift
        before = self.world.job.status.drift
        if before is not None and before.champion_version not in ("", seen.champion_version):
            assert seen.retrain_request is None
            assert all(state.breaches == 0 or state.last_step > 0 for state in seen.signals)

    @invariant()
    def every_request_was_told_once(self) -> None:
        assert self.events.count("RetrainRequested") == len(self.ledger.requests)


Life.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=40, deadline=None)
TestLife = Life.TestCase


def _id(world: World) -> str:
    request = world.drift.retrain_request
    assert request is not None, world.drift.message
    return request.id


Scenario = Callable[[World], World]


@pytest.mark.parametrize("crash_at", range(5))
def test_a_crash_at_any_moment_of_a_cycle_changes_nothing_but_time(crash_at: int) -> None:
    """Alarm, run, end, cooldown, anew: a plan that is lost at one of the moments is simply made again."""
    moments: list[Scenario] = [
        lambda world: world.logging(BAD, BAD, BAD),
        lambda world: world.with_answer(),
        lambda world: world.with_answer(completed=NOW + hours(1)),
        lambda world: world.logging(BAD, BAD, BAD),
        lambda world: world,
    ]

    def lived(crash: int | None) -> World:
        world = World()
        for place, moment in enumerate(moments):
            now = NOW + hours(place)
            world = moment(world)
            if place == crash:
                world.plan(now)
            world = world.after(now)
        return world

    assert lived(crash_at).status == lived(None).status
