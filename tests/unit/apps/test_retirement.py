"""The old revision's pods stay a while, then they go; its Deployment goes when the history is full."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.apps.deployments import CRASH, START
from tests.unit.apps.world import World, app


def switched(**spec: object) -> World:
    """Revision 2 has just taken the traffic from revision 1."""
    world = app("shop:1", **spec).converge()
    world.change(image="shop:2")
    for _ in range(3):
        world.reconcile()
        world.look()
    assert world.serving == 2
    return world


def test_the_old_pods_stay_for_the_delay_that_the_status_tells() -> None:
    world = switched(scaleDownDelaySeconds=30)
    made = world.reconcile()
    assert world.record(1).retire_at == START + timedelta(seconds=30)
    assert (world.scale, made.requeue_after) == ({1: 1, 2: 1}, timedelta(seconds=30))
    world.wait(29)
    assert world.plan().actions == ()
    world.wait(1)
    world.reconcile()
    assert world.scale == {1: 0, 2: 1}


def test_the_status_rests_while_the_delay_runs() -> None:
    world = switched()
    world.reconcile()
    before = world.status
    world.wait(10)
    assert world.plan().status == before


def test_a_lost_status_delays_and_does_not_forget() -> None:
    world = switched(scaleDownDelaySeconds=30)
    world.reconcile()
    world.wait(20)
    world.lose_status()
    world.reconcile()
    world.wait(20)
    assert world.plan().actions == ()
    world.converge()
    assert world.scale == {1: 0, 2: 1}


def test_without_a_delay_the_old_pods_go_in_the_next_pass() -> None:
    world = switched(scaleDownDelaySeconds=0)
    world.reconcile()
    assert world.scale == {1: 0, 2: 1}


def test_old_pods_stay_while_the_new_ones_are_down() -> None:
    world = switched(scaleDownDelaySeconds=30)
    world.behaviour["shop:2"] = CRASH
    world.look()
    world.wait(300)
    world.converge()
    assert world.scale == {1: 1, 2: 1}


def test_old_deployments_beyond_the_history_are_deleted_oldest_first() -> None:
    world = app("shop:1", revisionHistoryLimit=2).converge()
    for number in range(2, 7):
        world.change(image=f"shop:{number}")
        world.converge()
    assert world.scale == {4: 0, 5: 0, 6: 1}
    assert [record.revision for record in world.told.revisions] == [6, 5, 4]


def test_a_history_of_none_keeps_what_serves_alone() -> None:
    world = app("shop:1", revisionHistoryLimit=0).converge()
    world.change(image="shop:2")
    world.converge()
    assert world.scale == {2: 1}


def test_a_deployment_is_deleted_by_its_uid() -> None:
    world = app("shop:1", revisionHistoryLimit=0).converge()
    uid = world.deployments["shop-1"]["metadata"]["uid"]
    world.change(image="shop:2")
    world.converge()
    (deleted,) = [action for action in world.done if action.id == "delete Deployment/shop-1"]
    assert getattr(deleted, "uid", None) == uid
