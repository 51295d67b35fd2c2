"""spec.rollback brings a whole revision back, whatever the rest of the spec says, for as long as it is there."""

from __future__ import annotations

import pytest

from tandem.api.facts import Unavailable
from tests.unit.apps.deployments import CRASH
from tests.unit.apps.world import World, app, model


def three_revisions(**spec: object) -> World:
    """Each with an image, a configuration and a commit of its own; the third serves."""
    world = app("shop:0", envFrom=[{"configMapRef": {"name": "shop"}}], replicas=2, **spec)
    for number in (1, 2, 3):
        world.config_maps["shop"] = {"NUMBER": str(number)}
        world.change(image=f"shop:{number}", commit=f"{number:07}")
        world.converge()
    assert world.serving == 3
    return world


def test_the_whole_revision_comes_back_in_one_step() -> None:
    world = three_revisions()
    world.done.clear()
    world.change(rollback={"toRevision": 1})
    world.converge()
    assert (world.serving, world.scale) == (1, {1: 2, 2: 0, 3: 0})
    assert world.reasons().count("RolledBack") == 1
    (copy,) = world.configured_with(world.deployments["shop-1"])
    assert world.copies[copy]["data"] == {"NUMBER": "1"}
    assert world.told.stable is not None
    assert (world.told.stable.image, world.told.stable.commit) == ("shop:1", "0000001")
    assert not [action.id for action in world.done if "shop-2" in action.id], "revision 2 is on the way"


def everything(number: int) -> dict[str, object]:
    """A spec in which each part of a revision is another one than in any other revision."""
    return {
        "image": f"shop:{number}",
        "commit": f"{number:07}",
        "model": {"name": "iris", "version": str(number)},
        "env": [{"name": "NUMBER", "value": str(number)}],
        "envFrom": [{"configMapRef": {"name": "shop"}}, {"secretRef": {"name": f"shop-db-{number}"}}],
        "port": 8000 + number,
        "autoscaling": {"minReplicas": number, "maxReplicas": 10 * number},
    }


def test_each_part_of_a_revision_comes_back_by_its_number_alone() -> None:
    world = World({})
    world.versions = {"1": "READY", "2": "READY"}
    pods: list[object] = []
    for number in (1, 2):
        world.config_maps["shop"] = {"NUMBER": str(number)}
        world.change(**everything(number))
        world.converge()
        pods.append(world.pod_spec(number))
    world.change(rollback={"toRevision": 1})
    world.converge()

    stable = world.told.stable
    assert stable is not None
    assert stable.model is not None
    assert (stable.revision, stable.image, stable.commit, stable.model.version) == (1, "shop:1", "0000001", "1")
    assert (world.record(1).secrets, world.record(2).secrets) == (("shop-db-1",), ("shop-db-2",))
    assert world.pod_spec(1) == pods[0], "variables, Secrets by name, copies of ConfigMaps, port"
    (copy,) = world.configured_with(world.deployments["shop-1"])
    assert world.copies[copy]["data"] == {"NUMBER": "1"}
    bounds = world.autoscalers["shop"]["spec"]
    assert (bounds["minReplicas"], bounds["maxReplicas"]) == (1, 10)


def test_ready_says_that_it_is_held_and_how_it_is_let_go() -> None:
    world = three_revisions()
    world.change(rollback={"toRevision": 2})
    world.converge()
    ready = world.condition("Ready")
    assert (ready.status, ready.reason, world.told.phase) == ("True", "RolledBack", "Healthy")
    assert ready.message == (
        "revision 2 (image shop:2) takes all the traffic; spec.rollback holds it there: what the rest of the spec "
        "says is rolled out when that is removed"
    )


def test_nothing_that_comes_later_undoes_it() -> None:
    world = three_revisions()
    world.change(rollback={"toRevision": 1})
    world.converge()
    world.change(image="shop:4")
    world.config_maps["shop"] = {"NUMBER": "4"}
    assert world.converge().serving == 1
    world.change(rollback=None)
    world.converge()
    assert (world.serving, world.told.stable and world.told.stable.image) == (4, "shop:4")


def test_it_waits_for_nothing_outside() -> None:
    """The old revision's ConfigMap may be gone, and nobody asks for it."""
    world = three_revisions()
    world.config_maps.clear()
    world.change(rollback={"toRevision": 1})
    world.converge()
    assert (world.serving, world.told.phase) == (1, "Healthy")


def test_what_is_rolled_back_to_is_kept_however_short_the_history() -> None:
    world = three_revisions()
    world.change(rollback={"toRevision": 1}, revisionHistoryLimit=0)
    world.converge()
    assert (world.serving, world.scale, len(world.copies)) == (1, {1: 2}, 1)


@pytest.mark.parametrize("number", [9, 1], ids=["never there", "not kept"])
def test_a_revision_that_is_not_there_is_told_and_what_serves_stays(number: int) -> None:
    world = three_revisions(revisionHistoryLimit=1)
    world.change(rollback={"toRevision": number})
    world.converge()
    assert (world.serving, world.scale) == (3, {2: 0, 3: 2})
    stalled = world.condition("Stalled")
    assert stalled.reason == "RevisionNotFound"
    assert stalled.message == (
        f"spec.rollback.toRevision is {number}, which is not kept (kept: 2, 3; spec.revisionHistoryLimit is 1); "
        "name one that is, or remove spec.rollback; revision 3 keeps serving"
    )


def test_a_revision_that_failed_stays_in_quarantine() -> None:
    world = three_revisions()
    world.behaviour["shop:4"] = CRASH
    world.change(image="shop:4")
    world.converge()
    assert (world.record(4).state, world.record(4).reason) == ("Failed", "CrashLoopBackOff")
    world.change(rollback={"toRevision": 4})
    world.converge()
    assert (world.serving, world.condition("Stalled").reason) == (3, "CrashLoopBackOff")


def test_a_revision_whose_configuration_was_deleted_does_not_come_back_half() -> None:
    world = three_revisions()
    (copy,) = world.configured_with(world.deployments["shop-1"])
    del world.copies[copy]
    world.change(rollback={"toRevision": 1})
    world.converge()
    stalled = world.condition("Stalled")
    assert (world.serving, stalled.reason) == (3, "ConfigurationGone")
    assert copy in stalled.message


def test_a_rollback_that_does_not_start_leaves_what_serves() -> None:
    world = three_revisions()
    world.behaviour["shop:1"] = CRASH
    world.change(rollback={"toRevision": 1})
    world.converge()
    assert (world.serving, world.record(1).state) == (3, "Failed")


def test_while_suspended_nothing_is_rolled_back() -> None:
    world = three_revisions()
    world.change(rollback={"toRevision": 1}, suspend=True)
    assert world.converge().serving == 3


def two_versions() -> World:
    world = model("1", promote_to="champion").converge()
    assert world.aliases is not None
    world.aliases["challenger"] = "2"
    world.converge()
    assert world.aliases["champion"] == "2"
    return world


def test_the_model_version_comes_back_and_the_alias_goes_back_last() -> None:
    world = two_versions()
    world.change(rollback={"toRevision": 1})
    world.converge()
    assert world.told.stable is not None
    assert world.told.stable.model is not None
    assert (world.serving, world.told.stable.model.version) == (1, "1")
    assert world.aliases == {"challenger": "2", "champion": "1"}
    assert world.condition("Ready").reason == "RolledBack"


def test_a_registry_that_is_away_delays_the_alias_and_not_the_rollback() -> None:
    world = two_versions()
    world.outage = Unavailable(world.now, "TrackingUnavailable", "no answer")
    world.change(rollback={"toRevision": 1})
    world.converge()
    assert world.serving == 1
    assert world.condition("Promoted").reason == "TrackingUnavailable"
    world.outage = None
    world.converge()
    assert world.aliases == {"challenger": "2", "champion": "1"}


def test_back_to_an_app_from_before_it_had_a_model_moves_no_alias() -> None:
    world = app().converge()
    world.aliases, world.versions = {"challenger": "1"}, {"1": "READY"}
    world.change(model={"name": "iris", "alias": "challenger", "promoteTo": "champion"})
    world.converge()
    world.change(rollback={"toRevision": 1})
    world.converge()
    assert (world.serving, world.told.phase) == (1, "Healthy")
    assert world.aliases == {"challenger": "1", "champion": "1"}
