"""The promotion ledger knows what was promoted: also after the status, the alias or the operator was lost."""

from __future__ import annotations

import pytest

from tandem.api.plan import MoveAlias, TagVersion
from tests.unit.training.world import World, complete


def moves(world: World) -> list[MoveAlias]:
    return [action for action in world.done if isinstance(action, MoveAlias)]


def next_run(world: World, token: str, accuracy: float = 0.96) -> World:
    return world.ask(token).settle().completes({"accuracy": accuracy}).settle()


def test_an_entry_says_who_why_by_which_verdicts_and_from_what() -> None:
    (move,) = moves(complete())
    assert move.record is not None
    assert (move.record.actor, move.record.uid, move.record.number) == ("TrainingJob ml/iris", "uid-iris", 1)
    assert move.record.reason == "run 1 (Created: first run of this resource) passed the gate"
    details = move.record.details
    assert details["tandem.dev/gate.result"] == "Passed"
    assert details["tandem.dev/gate"] == "accuracy 0.95 ≥ 0.9"
    assert details["tandem.dev/run-id"] == "run-1"
    assert details["mlflow.source.git.commit"] == "0123456789abcdef0123456789abcdef01234567"
    assert details["tandem.dev/data.iris"].startswith("sha256:")
    assert details["tandem.dev/image-digest"].startswith("sha256:")


def test_the_status_shows_the_latest_entries() -> None:
    world = next_run(complete(), "again")
    assert [(p["version"], p.get("previousVersion", "")) for p in world.status["promotions"]] == [("2", "1"), ("1", "")]
    assert world.status["promotions"][0]["reason"].startswith("run 2 (Requested")
    assert world.status["promotions"][0]["mlflowRunId"] == "entry-2"


def test_the_status_shows_ten_and_the_ledger_keeps_all() -> None:
    world = complete()
    for number in range(11):
        next_run(world, f"token-{number}")
    assert (len(world.status["promotions"]), len(world.ledger)) == (10, 12)


def test_an_alias_that_somebody_moved_back_stays_there_although_the_status_was_lost() -> None:
    """Without the ledger the lost status would have moved it once more: nothing is promoted by accident."""
    world = next_run(complete(), "again")
    world.aliases["iris", "challenger"] = "1"
    world.lose_status().restart().settle()
    assert world.aliases == {("iris", "challenger"): "1"}
    assert world.told("Promoted") == ("True", "AliasMoved")


def test_a_lost_status_gets_its_promotions_back() -> None:
    world = complete()
    before = world.status["promotions"]
    world.lose_status().restart().settle()
    assert world.status["promotions"] == before
    assert len(world.ledger) == 1


@pytest.mark.parametrize("crash", range(12))
def test_whatever_crashes_there_is_one_entry_for_each_promotion(crash: int) -> None:
    world = World().settle().completes()
    for _ in range(crash):
        world.reconcile()
    world.reconcile(crash_after=1)
    world.settle()
    assert [(entry.previous, entry.version, entry.state) for entry in world.ledger] == [("", "1", "Done")]


def test_no_alias_is_moved_untold() -> None:
    world = complete()
    next_run(world, "again")
    world.change(model={"name": "iris", "alias": "champion"}).settle()
    assert len(moves(world)) == 3
    assert all(move.record is not None for move in moves(world))
    assert [(entry.alias, entry.version) for entry in world.ledger] == [
        ("challenger", "1"),
        ("challenger", "2"),
        ("champion", "2"),
    ]


def test_a_ledger_that_cannot_be_read_is_waited_for() -> None:
    world = World().settle().completes()
    for _ in range(30):
        world.reconcile()
        if any(type(query).__name__ == "PromotionsOf" for query in world.plan().reads):
            break
    world.mlflow_down().restart().settle()
    assert world.told("Reconciling") == ("True", "ProgressingWithRetry")
    assert world.mlflow_up().wait(600).settle().aliases == {("iris", "challenger"): "1"}


def test_a_run_that_does_not_pass_leaves_no_entry() -> None:
    assert World().settle().completes({"accuracy": 0.1}).settle().ledger == []


def test_a_version_that_cannot_be_tagged_is_told() -> None:
    world = World().change(gate=None).settle().completes().settle()
    world.refuse[TagVersion] = ("VersionMissing", "no version 1")
    world.change(gate={"metrics": [{"name": "accuracy", "min": "0.9"}]}).settle()
    assert world.told("Ready") == ("False", "VersionMissing")
    assert world.aliases == {}
