"""What makes a revision, and which number it gets."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from tandem.api import names
from tandem.api.appdeployment import AppDeploymentSpec
from tandem.api.appdeployment_status import RevisionModel
from tandem.api.plan import Create
from tandem.apps.revision import content_of, digest_of
from tests.unit.apps.deployments import CRASH
from tests.unit.apps.world import World, app, model

BASE = {"image": "shop:1", "port": 8080, "env": ({"name": "A", "value": "1"},), "command": ("run",), "args": ("-v",)}


def digest(
    model: RevisionModel | None = None, tracking_uri: str = "http://mlflow", spec: Mapping[str, object] | None = None
) -> str:
    parsed = msgspec.convert({**BASE, **(spec or {})}, AppDeploymentSpec)
    return digest_of(content_of(parsed, model, "runtime:1", tracking_uri, {"shop": "d1", "other": "d2"}))


@pytest.mark.parametrize(
    "change",
    [
        {"image": "shop:2"},
        {"port": 9090},
        {"healthPath": "/healthz"},
        {"command": ("run", "fast")},
        {"args": ()},
        {"env": ({"name": "A", "value": "2"},)},
        {"resources": {"limits": {"memory": "1Gi"}}},
        {"commit": "9fceb02d"},
        {"envFrom": ({"configMapRef": {"name": "shop"}},)},
        {"configFrom": ({"mountPath": "/etc/shop", "secretRef": {"name": "tls"}},)},
        {"terminationGracePeriodSeconds": 60},
        {"safeDefaults": {"probes": False}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_decides_what_a_pod_does_makes_a_revision(change: dict[str, object]) -> None:
    assert digest(spec=change) != digest()


@pytest.mark.parametrize(
    "change",
    [
        {"replicas": 7},
        {"progressDeadlineSeconds": 5},
        {"scaleDownDelaySeconds": 0},
        {"revisionHistoryLimit": 0},
        {"suspend": True},
        {"rollback": {"toRevision": 1}},
        {"safeDefaults": {"networkPolicy": False, "podDisruptionBudget": False}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_how_many_and_how_it_is_rolled_out_make_none(change: dict[str, object]) -> None:
    assert digest(spec=change) == digest()


def test_the_model_version_makes_a_revision_and_the_run_that_made_it_does_not() -> None:
    one = RevisionModel(name="iris", version="1", run_id="a")
    assert digest(one) != digest(RevisionModel(name="iris", version="2", run_id="a"))
    assert digest(one) == digest(RevisionModel(name="iris", version="1", run_id="b"))


def test_another_registry_is_another_revision_for_models_alone() -> None:
    one = RevisionModel(name="iris", version="1")
    assert digest(one, tracking_uri="http://other") != digest(one)
    assert digest(tracking_uri="http://other") == digest()


def test_a_digest_stays_what_it_is_from_release_to_release() -> None:
    """Another digest for the same spec would roll out every app of every cluster when the operator is upgraded."""
    assert digest() == "a9704799df320776"
    assert digest(RevisionModel(name="iris", version="1", run_id="a")) == "2dbeb0c46992d5a9"


def test_revisions_are_numbered_from_one() -> None:
    world = app().converge()
    world.change(image="shop:2")
    world.converge()
    assert (list(world.scale), world.serving) == ([1, 2], 2)


def test_going_back_is_the_old_revision_again() -> None:
    world = app("shop:1").converge()
    world.change(image="shop:2")
    world.converge()
    world.change(image="shop:1")
    world.converge()
    assert (world.serving, world.scale) == (1, {1: 1, 2: 0})


def test_a_lost_status_neither_renumbers_nor_rolls_out() -> None:
    world = rolled_out_twice()
    before = world.status
    world.lose_status()
    world.converge()
    assert (world.serving, world.scale) == (2, {1: 0, 2: 1})
    # What was delivered in the last 30 days stands in the status alone.
    assert world.status == {k: v for k, v in before.items() if k != "delivery"} | {
        "conditions": world.status["conditions"]
    }


def test_numbers_of_deleted_deployments_are_not_used_again() -> None:
    world = rolled_out_twice()
    del world.deployments["shop-1"], world.deployments["shop-2"]
    world.change(image="shop:3")
    world.converge()
    assert world.serving == 3


def test_a_deployment_that_serves_and_was_deleted_comes_back_under_its_number() -> None:
    world = rolled_out_twice()
    del world.deployments["shop-2"]
    world.converge()
    assert (world.serving, world.scale, world.told.phase) == (2, {1: 0, 2: 1}, "Healthy")


def test_a_failed_revision_whose_deployment_is_not_seen_is_not_tried_under_another_number() -> None:
    """One kind may be seen as of later than another: its Deployment is there, and so is the verdict on it."""
    world = app("shop:1").converge()
    world.behaviour["shop:2"] = CRASH
    world.change(image="shop:2")
    world.converge()
    assert world.record(2).state == "Failed"
    hidden = world.deployments.pop("shop-2")
    assert [action.id for action in world.plan().actions if isinstance(action, Create)] == ["create Deployment/shop-2"]
    world.deployments["shop-2"] = hidden
    world.converge()
    assert (world.serving, world.record(2).state, list(world.scale)) == (1, "Failed", [1, 2])


def test_a_number_that_the_service_still_selects_is_not_given_to_another_revision() -> None:
    world = rolled_out_twice()
    world.deployments.clear()
    world.lose_status()
    world.change(image="shop:3")
    world.reconcile()
    assert list(world.scale) == [3]


@pytest.mark.parametrize("note", ["{", "[]", '{"image": 3}', ""])
def test_notes_that_somebody_broke_by_hand_are_notes_that_are_not_there(note: str) -> None:
    world = rolled_out_twice()
    for deployment in world.deployments.values():
        for key in ("tandem.dev/revision-content", "tandem.dev/rollout-started-at", "tandem.dev/failed"):
            deployment["metadata"]["annotations"][key] = note
    world.converge()
    assert (world.serving, world.scale) == (2, {1: 0, 2: 1})


def test_a_deployment_without_a_number_is_nobodys_revision() -> None:
    world = rolled_out_twice()
    world.deployments["shop-1"]["metadata"]["labels"][names.REVISION_LABEL] = "one"
    world.reconcile()
    assert [record.revision for record in world.told.revisions] == [2]


def test_a_model_version_is_named_by_its_number_in_status() -> None:
    world = model("2").converge()
    assert world.told.stable is not None
    assert world.told.stable.model == RevisionModel(name="iris", version="2", run_id="run2")
    assert world.told.stable.image == "tandem-runtime:1"


def rolled_out_twice() -> World:
    world = app("shop:1").converge()
    world.change(image="shop:2")
    return world.converge()
