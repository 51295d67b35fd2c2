"""The alias moves last, to what has the traffic, and back with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tandem.api.facts import Unavailable
from tandem.api.plan import MoveAlias, Refusal
from tests.unit.apps.deployments import CRASH
from tests.unit.apps.world import World, model


def moves(world: World) -> list[MoveAlias]:
    return [action for action in world.done if isinstance(action, MoveAlias)]


def test_the_alias_moves_after_the_service_has_switched() -> None:
    world = model("1", promote_to="champion")
    while world.serving is None:
        assert moves(world) == []
        world.reconcile()
        world.look()
    assert moves(world) == []
    world.converge()
    (move,) = moves(world)
    assert replace(move, record=None) == MoveAlias("team", "iris", "champion", "1", expected=None)
    assert move.record is not None, "no alias moves without an entry in the ledger"
    assert move.record.actor == f"AppDeployment team/{world.app.metadata.name}"
    assert move.record.reason == "revision 1 with version 1 took the traffic"
    assert world.condition("Promoted").reason == "AliasMoved"


def test_before_the_switch_it_says_what_it_waits_for() -> None:
    world = model("1", promote_to="champion")
    world.reconcile()
    assert world.condition("Promoted").message == "alias 'champion' moves when version 1 takes the traffic"


def test_while_the_model_is_not_resolved_it_does_not_pretend_that_nothing_serves() -> None:
    world = model("1", promote_to="champion").converge()
    world.aliases = None
    world.converge()
    assert world.conditions()["Available"] == "True"
    assert world.condition("Promoted").reason == "WaitsForModel"
    assert "until the model is resolved" in world.condition("Promoted").message


def test_a_version_that_fails_leaves_the_alias_where_it_is() -> None:
    world = model("1", promote_to="champion").converge()
    world.behaviour["iris/2"] = CRASH
    assert world.aliases is not None
    world.aliases["challenger"] = "2"
    world.converge()
    assert (world.serving, world.aliases["champion"]) == (1, "1")


def test_pinning_an_older_version_takes_the_alias_back_with_it() -> None:
    world = model("2", promote_to="champion", alias=None).converge()
    world.change(model={"name": "iris", "version": "1", "promoteTo": "champion"})
    world.converge()
    assert world.aliases == {"champion": "1"}
    assert moves(world)[-1].expected == "2"


def test_an_alias_that_names_it_already_is_not_moved() -> None:
    world = model("1", promote_to="challenger").converge()
    assert moves(world) == []
    assert world.conditions()["Promoted"] == "True"


def test_an_alias_that_somebody_moved_away_is_moved_back_to_what_serves() -> None:
    world = model("1", promote_to="champion").converge()
    assert world.aliases is not None
    world.aliases["champion"] = "3"
    world.converge()
    assert world.aliases["champion"] == "1"


def test_while_suspended_no_alias_moves() -> None:
    world = model("1", promote_to="champion").converge()
    assert world.aliases is not None
    world.aliases["champion"] = "3"
    world.change(suspend=True)
    world.converge()
    assert world.aliases["champion"] == "3"


@pytest.mark.parametrize(
    ("reason", "ready"), [("TrackingUnavailable", "ProgressingWithRetry"), ("ModelOwnedElsewhere", None)]
)
def test_a_refused_move_is_told_and_tried_again(reason: str, ready: str | None) -> None:
    world = model("1", promote_to="champion")
    refusal = Refusal(reason, "no", world.now, world.now + timedelta(minutes=5), 3)
    world.refusals["mlflow alias iris@champion"] = refusal
    for _ in range(4):
        made = world.reconcile()
        world.look()
    assert world.condition("Promoted").reason == reason
    assert made.requeue_after == timedelta(minutes=5)
    if ready:
        assert world.condition("Reconciling").reason == ready
    else:
        assert world.condition("Stalled").reason == reason
    assert world.conditions()["Available"] == "True"


def test_a_pinned_version_serves_when_aliases_cannot_be_read_and_the_alias_waits() -> None:
    world = model("1", promote_to="champion", alias=None)
    from tandem.api.facts import Facts, ModelNamed, ModelVersion, VersionNumbered
    from tandem.api.plan import Observed
    from tandem.apps.plan import plan
    from tests.unit.apps.world import SETTINGS

    away = Unavailable(world.now, "TrackingUnavailable", "timeout")
    world.converge()
    facts = Facts(
        {
            ModelNamed("iris"): away,
            VersionNumbered("iris", "1"): ModelVersion("iris", "1", "run1", "", "READY"),
        }
    )
    made = plan(SETTINGS, Observed(world.app, world.children, facts), world.now)
    assert made.actions == ()
    assert made.status is not None
    reasons = {condition["type"]: condition["reason"] for condition in made.status["conditions"]}
    assert (reasons["ModelResolved"], reasons["Promoted"]) == ("Resolved", "TrackingUnavailable")
