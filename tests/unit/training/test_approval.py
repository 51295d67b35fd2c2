"""A person's word before the alias moves: for one run, whenever it comes, and recorded."""

from __future__ import annotations

from typing import Any

import pytest

from tandem.api.plan import MoveAlias
from tests.unit.training.world import World, complete, kinds

MODEL: dict[str, Any] = {"name": "iris", "approval": "Required"}


def waiting(**spec: Any) -> World:
    world = World().change(**{"model": MODEL, **spec}).settle().completes().settle()
    assert world.told("Promoted") == ("Unknown", "AwaitingApproval")
    return world


# --- while it waits --------------------------------------------------------------------------------------------------


def test_what_passed_is_registered_and_waits() -> None:
    world = waiting()
    assert (len(world.versions), world.aliases) == (1, {})
    assert world.status["phase"] == "AwaitingApproval"
    assert world.told("Blessed") == ("True", "ThresholdsMet")


def test_nothing_is_wrong_and_nothing_reconciles_and_nobody_takes_it_for_done() -> None:
    world = waiting()
    assert world.told("Ready") == ("Unknown", "AwaitingApproval")
    assert [world.told(type_) for type_ in ("Reconciling", "Stalled", "Complete", "Failed")] == [None] * 4


def test_the_message_is_the_command() -> None:
    message = waiting().condition("Ready").message  # type: ignore[union-attr]
    assert "kubectl annotate trainingjob/iris -n ml --overwrite tandem.dev/approved=run-1" in message
    assert "kubectl tandem approve tj/iris -n ml (or reject)" in message
    assert "version 1 of run 1 passed the gate" in message


def test_an_event_calls_for_a_person_once() -> None:
    world = waiting()
    world.restart().settle().wait(3600).settle()
    assert [event.reason for event in world.events].count("AwaitingApproval") == 1


def test_the_run_is_over_so_that_the_next_one_does_not_wait_with_it() -> None:
    world = waiting(ttlSecondsAfterFinished=60)
    assert "completionTime" in world.status["run"]
    world.ask("again").settle()
    assert world.creations == ["iris-1", "iris-2"]
    world.completes({"accuracy": 0.97}).settle()
    assert [entry["result"] for entry in world.status["history"]] == ["AwaitingApproval", "AwaitingApproval"]
    assert world.status["approval"]["mlflowRunId"] == "run-2"


def test_its_job_goes_when_its_time_is_over() -> None:
    world = waiting(ttlSecondsAfterFinished=60).wait(100).settle()
    assert world.jobs == {}
    assert world.status["phase"] == "AwaitingApproval"


def test_what_does_not_pass_waits_for_nobody() -> None:
    world = World().change(model=MODEL).settle().completes({"accuracy": 0.1}).settle()
    assert world.told("Ready") == ("False", "ThresholdNotMet")


def test_what_has_no_verdict_waits_for_nobody() -> None:
    world = World().change(model=MODEL, gate=None).settle().completes().settle()
    assert world.told("Promoted") == ("Unknown", "NoThresholds")


# --- yes -------------------------------------------------------------------------------------------------------------


def test_approved_the_alias_moves_and_it_is_recorded_by_whom_and_when() -> None:
    world = waiting()
    world.wait(3600).decide(approved="run-1", by="anna").settle()
    assert world.aliases == {("iris", "challenger"): "1"}
    assert (world.told("Ready"), world.status["phase"]) == (("True", "Succeeded"), "Complete")
    approval = world.status["approval"]
    assert (approval["state"], approval["by"]) == ("Approved", "anna")
    assert approval["lastTransitionTime"] > world.statuses[0]["conditions"][0]["lastTransitionTime"]
    assert world.ledger[0].approved_by == "anna"
    assert [entry["result"] for entry in world.status["history"]] == ["Complete"]


def test_who_approved_and_why_is_an_event_once() -> None:
    world = waiting().decide(approved="run-1", by="anna", because="seen on the bench").settle()
    assert world.status["approval"]["why"] == "seen on the bench"
    told = [event.message for event in world.events if event.reason == "PromotionApproved"]
    assert told == ["run 1 was approved by anna: seen on the bench; alias challenger of iris moves"]
    world.restart().settle().wait(3600).settle()
    assert [event.reason for event in world.events].count("PromotionApproved") == 1


def test_who_rejected_and_why_is_in_the_status_and_an_event_once() -> None:
    world = waiting().decide(rejected="run-1", by="bert", because="biased").settle().wait(3600).settle()
    assert (world.status["approval"]["by"], world.status["approval"]["why"]) == ("bert", "biased")
    told = [event.message for event in world.events if "was rejected" in event.message]
    assert told == ["run 1 was rejected by bert (biased): alias challenger stays"]


def test_approved_before_it_was_asked_for_is_approved() -> None:
    """A commit that both changes the code and approves cannot know the run; one that names it can come at any time."""
    world = World().change(model=MODEL).settle().decide(approved="run-1").completes().settle()
    assert world.aliases == {("iris", "challenger"): "1"}


@pytest.mark.parametrize("token", ["run-0", "run-11", "true", "1", "", "RUN-1"])
def test_an_approval_of_something_else_approves_nothing(token: str) -> None:
    world = waiting().decide(approved=token).wait(3600).settle()
    assert world.aliases == {}
    assert world.told("Promoted") == ("Unknown", "AwaitingApproval")


def test_an_old_approval_does_not_let_the_next_run_through() -> None:
    world = waiting().decide(approved="run-1").settle()
    world.ask("again").settle().completes({"accuracy": 0.97}).settle()
    assert world.told("Promoted") == ("Unknown", "AwaitingApproval")
    assert world.aliases == {("iris", "challenger"): "1"}
    assert "what is approved now is another run, run-1" in world.condition("Ready").message  # type: ignore[union-attr]


def test_an_approval_that_is_taken_back_before_the_alias_moves_does_not_count() -> None:
    world = waiting().mlflow_down().decide(approved="run-1").settle()
    assert world.told("Reconciling") == ("True", "ProgressingWithRetry")
    world.decide().mlflow_up().wait(600).settle()
    assert world.told("Promoted") == ("Unknown", "AwaitingApproval")
    assert world.aliases == {}


def test_approval_that_is_not_asked_for_any_more_is_not_waited_for() -> None:
    world = waiting().change(model={"name": "iris"}).settle()
    assert world.aliases == {("iris", "challenger"): "1"}
    assert "approval" not in world.status


@pytest.mark.parametrize("crash", range(8))
def test_a_crash_on_the_way_moves_the_alias_once(crash: int) -> None:
    world = waiting().decide(approved="run-1", by="anna")
    for _ in range(crash):
        world.reconcile()
    world.reconcile(crash_after=1)
    world.settle()
    assert (world.aliases, len(world.ledger)) == ({("iris", "challenger"): "1"}, 1)
    assert world.status["phase"] == "Complete"


# --- no --------------------------------------------------------------------------------------------------------------


def test_rejected_the_alias_stays_and_the_run_has_failed() -> None:
    world = waiting().decide(rejected="run-1", by="anna").settle()
    assert world.aliases == {}
    assert world.told("Stalled") == ("True", "ApprovalRejected")
    assert "was rejected by anna" in world.condition("Ready").message  # type: ignore[union-attr]
    assert world.status["approval"]["state"] == "Rejected"


def test_of_yes_and_no_no_counts() -> None:
    assert waiting().decide(approved="run-1", rejected="run-1").settle().aliases == {}


def test_a_no_holds_when_nobody_has_to_be_asked_any_more() -> None:
    world = waiting().decide(rejected="run-1").settle().change(model={"name": "iris"}).settle()
    assert world.aliases == {}


def test_a_no_can_be_taken_back() -> None:
    world = waiting().decide(rejected="run-1").settle().decide(approved="run-1").settle()
    assert (world.aliases, world.status["phase"]) == ({("iris", "challenger"): "1"}, "Complete")


def test_a_no_to_what_serves_already_changes_nothing() -> None:
    world = complete().decide(rejected="run-1").settle()
    assert world.told("Ready") == ("True", "Succeeded")


# --- what else may change meanwhile ----------------------------------------------------------------------------------


def test_a_gate_that_is_tightened_meanwhile_decides() -> None:
    world = waiting().change(gate={"metrics": [{"name": "accuracy", "min": "0.99"}]}).settle()
    assert world.told("Blessed") == ("False", "ThresholdNotMet")
    assert world.decide(approved="run-1").settle().aliases == {}


def test_another_alias_or_model_is_asked_for_anew() -> None:
    world = waiting().change(model={**MODEL, "alias": "champion"}).settle()
    assert "alias champion moves when" in world.condition("Ready").message  # type: ignore[union-attr]
    world.change(model={**MODEL, "name": "flower"}).settle()
    assert {version.name for version in world.versions} == {"iris", "flower"}
    assert world.decide(approved="run-1").settle().aliases == {("flower", "challenger"): "1"}


def test_a_model_that_is_not_to_be_registered_any_more_needs_no_word() -> None:
    world = waiting().change(model=None).settle()
    assert (world.status["phase"], world.aliases) == ("Complete", {})


def test_what_a_person_has_moved_by_hand_needs_no_further_word() -> None:
    world = waiting()
    world.aliases["iris", "challenger"] = "1"
    world.lose_status().restart().settle()
    assert world.told("Promoted") == ("True", "AliasMoved")
    assert len(world.ledger) == 1


def test_a_lost_status_waits_again_and_does_not_train_again() -> None:
    world = waiting().lose_status().restart().settle()
    assert world.told("Promoted") == ("Unknown", "AwaitingApproval")
    assert world.creations == ["iris-1"]


def test_a_suspended_resource_goes_on_waiting() -> None:
    world = waiting().change(suspend=True).settle()
    assert (world.status["phase"], world.told("Suspended")) == ("AwaitingApproval", ("True", "Suspended"))
    world.decide(approved="run-1").settle()
    assert [type(action) for action in world.done].count(MoveAlias) == 1
    assert kinds(world.done)[-1] == "MoveAlias"
