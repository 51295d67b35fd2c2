"""MLflow goes away at any of its calls, a question or a write: nothing trains twice, and the status tells why.

The calls of one whole story are counted; then the story is told once for each of them, with MLflow gone from that call
on for a while. What came of it is what comes of it when MLflow stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tandem.api.facts import Query
from tandem.api.meta import Json
from tandem.api.plan import Action, MoveAlias, RegisterVersion
from tests.unit.training.world import World

AWAY = 8  # passes: enough for every refusal to be tried again


@dataclass
class Unsteady(World):
    """An MLflow that goes away at a call of its own number."""

    at: int = 0
    calls: int = 0
    left: int = 0
    lost: str = ""  # the call at which it went
    seen: Json | None = None  # the status, when it had been away for a while

    def answer(self, query: Query[object]) -> object:
        if query not in self.answers:  # what was answered before is not asked again by a plan that reads it
            self._called(type(query).__name__)
        return super().answer(query)

    def _refusal(self, action: Action) -> tuple[str, str] | None:
        self._called(type(action).__name__)
        return super()._refusal(action)

    def settle(self, patience: int = 200) -> World:
        """Until nothing is left that waits for its time to be tried again."""
        super().settle(patience)
        self.wait(600)
        return super().settle(patience)

    def _called(self, what: str) -> None:
        self.calls += 1
        if self.calls == self.at and self.outage is None:
            self.lost, self.left = what, AWAY
            self.mlflow_down()

    def reconcile(self, crash_after: int | None = None) -> bool:
        changed = super().reconcile(crash_after)
        if self.outage is not None:
            self.left -= 1
            if self.left == 0:
                self.seen = self.status
                self.mlflow_up()
                return True
        return changed or self.outage is not None


def story(at: int = 0, **spec: object) -> Unsteady:
    """Run 1 trains, passes, is registered and promoted."""
    world = Unsteady(at=at)
    if spec:
        world.change(**spec)
    world.settle()
    if world.outage is None and world.live_jobs:
        world.completes()
    world.settle()
    return world


WHOLE = story()
CALLS = range(1, WHOLE.calls + 1)


def test_the_whole_story_asks_and_writes_what_it_should() -> None:
    assert WHOLE.status["phase"] == "Complete"
    assert WHOLE.seen is None
    assert len(CALLS) > 10


@pytest.mark.parametrize("at", CALLS)
def test_an_outage_that_begins_at_any_call_changes_nothing_in_the_end(at: int) -> None:
    world = story(at)

    assert world.lost, "it happened"
    assert world.figure == WHOLE.figure
    assert world.creations == ["iris-1"], "nothing trains twice"
    assert [(run.number, run.status) for run in world.runs] == [(1, "FINISHED")]
    assert [version.version for version in world.versions] == ["1"]
    assert [(entry.alias, entry.version, entry.state) for entry in world.ledger] == [("challenger", "1", "Done")]


@pytest.mark.parametrize("at", CALLS)
def test_while_it_is_away_the_status_says_that_it_is_mlflow_that_is_waited_for(at: int) -> None:
    """Or nothing is waited for: the Job trains, or all is done."""
    told = story(at).seen or {}
    ready: Json = next((c for c in told.get("conditions", []) if c["type"] == "Ready"), {})

    assert ready.get("reason") in {"TrackingUnavailable", "JobRunning", "Succeeded"}, ready
    if ready["reason"] == "TrackingUnavailable":
        assert "connection refused" in ready["message"]
        assert {c["type"]: c["reason"] for c in told["conditions"]}["Reconciling"] == "ProgressingWithRetry"
        assert told["phase"] not in {"Complete", "Failed"}


@pytest.mark.parametrize("at", CALLS)
def test_a_gate_that_says_no_says_no_also_when_mlflow_comes_and_goes(at: int) -> None:
    """Nothing is promoted by accident."""
    world = Unsteady(at=at)
    world.settle()
    world.completes({"accuracy": 0.5})
    world.settle()

    assert world.told("Failed") == ("True", "ThresholdNotMet")
    assert not any(isinstance(action, RegisterVersion | MoveAlias) for action in world.done)
    assert (world.versions, world.aliases) == ([], {})
