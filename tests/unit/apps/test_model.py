"""Which version is served, and what is said when that is not known."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tandem.api.facts import ModelNamed, Unavailable, VersionNumbered
from tests.unit.apps.deployments import START
from tests.unit.apps.world import World, app, model


def test_an_app_without_a_model_asks_the_registry_nothing() -> None:
    world = app()
    made = world.reconcile()
    assert made.reads == ()
    assert "ModelResolved" not in world.conditions()


def test_an_alias_is_asked_for_by_model_and_then_its_version() -> None:
    assert model("2").plan().reads == (ModelNamed("iris"), VersionNumbered("iris", "2"))


def test_a_pinned_version_without_promotion_needs_no_alias() -> None:
    assert model("2", alias=None).plan().reads == (VersionNumbered("iris", "2"),)


def test_nothing_is_said_before_the_registry_has_answered_for_the_first_time() -> None:
    world = model()
    world.answering = False
    made = world.plan()
    assert (made.status, made.actions) == (None, ())
    assert made.reads


def test_a_restarted_operator_that_has_no_answers_yet_leaves_everything_as_it_is() -> None:
    world = model().converge()
    world.answering = False
    made = world.plan()
    assert (made.status, made.actions) == (None, ())


def test_a_followed_alias_that_moves_is_a_new_revision() -> None:
    world = model("1").converge()
    assert world.aliases is not None
    world.aliases["challenger"] = "2"
    world.converge()
    assert world.serving == 2
    assert "models:/iris/2" in world.pod_spec(2)["containers"][0]["command"]


NOT_THERE = {
    "no such model": (None, {}, "ModelNotFound", "TrainingJob with spec.model.name 'iris'"),
    "no such alias": ({"champion": "1"}, {"1": "READY"}, "AliasNotFound", "champion → 1"),
    "no alias at all": ({}, {"1": "READY"}, "AliasNotFound", "aliases it has: none"),
    "no such version": ({"challenger": "7"}, {}, "VersionNotFound", "version 7 of model 'iris' is not in the registry"),
    "still registering": ({"challenger": "1"}, {"1": "PENDING_REGISTRATION"}, "VersionPending", "PENDING_REGISTRATION"),
}


@pytest.mark.parametrize(("aliases", "versions", "reason", "says"), NOT_THERE.values(), ids=NOT_THERE)
def test_what_is_not_in_the_registry_is_waited_for(
    aliases: dict[str, str] | None, versions: dict[str, str], reason: str, says: str
) -> None:
    world = model()
    world.aliases, world.versions = aliases, versions
    world.converge()
    condition = world.condition("ModelResolved")
    assert (condition.status, condition.reason) == ("Unknown", reason)
    assert says in condition.message
    assert world.deployments == {}
    assert (world.conditions()["Ready"], world.conditions()["Reconciling"]) == ("Unknown", "True")


def test_the_message_tells_since_when_it_waits_and_stays_the_same() -> None:
    world = model()
    world.aliases = None
    world.converge()
    world.wait(3600)
    world.converge()
    assert "waiting since 2026-03-01 12:00:00Z" in world.condition("ModelResolved").message
    assert world.status_writes == 1


def test_a_version_that_failed_to_register_needs_a_person() -> None:
    world = model()
    world.versions["1"] = "FAILED_REGISTRATION"
    world.converge()
    assert (world.condition("Stalled").reason, world.told.phase) == ("VersionFailed", "Degraded")


@pytest.mark.parametrize("gone", ["model", "alias", "version"])
def test_what_serves_goes_on_serving_when_the_registry_forgets_it(gone: str) -> None:
    world = model("1").converge()
    before = world.deployments
    forget(world, gone)
    world.converge()
    assert (world.deployments, world.serving) == (before, 1)
    assert "revision 1 keeps serving" in world.condition("ModelResolved").message
    assert world.conditions()["Available"] == "True"


def test_an_outage_of_the_registry_changes_no_workload() -> None:
    world = model("1", promote_to="champion").converge()
    before = world.deployments, world.services
    world.done.clear()
    world.outage = Unavailable(START, "TrackingUnavailable", "connection refused")
    world.converge()
    assert world.done == []
    assert (world.deployments, world.services) == before
    assert world.condition("ModelResolved").reason == "TrackingUnavailable"
    assert world.condition("Reconciling").reason == "ProgressingWithRetry"
    assert world.conditions()["Available"] == "True"


def test_an_outage_in_the_middle_of_a_rollout_keeps_both_revisions_as_they_are() -> None:
    world = model("1").converge()
    world.behaviour["iris/2"] = "never ready"
    assert world.aliases is not None
    world.aliases["challenger"] = "2"
    world.reconcile()
    world.look()
    world.reconcile()
    world.outage = Unavailable(world.now, "TrackingUnavailable", "connection refused")
    world.wait(3600)
    world.converge()
    assert (world.scale, world.serving) == ({1: 1, 2: 1}, 1)
    assert world.record(2).state == "Candidate"


def test_the_number_of_pods_is_kept_in_an_outage_too() -> None:
    world = model("1", replicas=2).converge()
    world.outage = Unavailable(START + timedelta(hours=1), "TrackingUnavailable", "connection refused")
    world.change(replicas=5)
    world.converge()
    assert world.scale == {1: 5}


def forget(world: World, what: str) -> None:
    if what == "version":
        world.versions.clear()
    elif what == "alias":
        world.aliases = {}
    else:
        world.aliases = None
