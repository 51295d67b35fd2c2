"""A new revision starts beside the old one, and takes the traffic when all its pods are ready."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tandem.api import names
from tandem.api.plan import Apply, Create, Refusal
from tests.unit.apps.deployments import NEVER, READY
from tests.unit.apps.world import World, app


def test_nothing_unready_ever_takes_traffic_so_the_service_comes_with_the_first_ready_revision() -> None:
    world = app()
    world.reconcile()
    assert world.services == {}
    world.converge()
    assert world.serving == 1


def test_the_candidate_runs_at_full_strength_beside_what_serves() -> None:
    world = app(replicas=3).converge()
    world.change(image="shop:2")
    world.reconcile()
    assert (world.scale, world.serving) == ({1: 3, 2: 3}, 1)


AVAILABILITY = {
    "no pod": ({"updatedReplicas": 3, "availableReplicas": 0}, False),
    "some pods": ({"updatedReplicas": 3, "availableReplicas": 2}, False),
    "pods of before": ({"updatedReplicas": 2, "availableReplicas": 3}, False),
    "not looked at yet": ({"updatedReplicas": 3, "availableReplicas": 3, "observedGeneration": 0}, False),
    "all pods": ({"updatedReplicas": 3, "availableReplicas": 3}, True),
}


@pytest.mark.parametrize(("status", "switches"), AVAILABILITY.values(), ids=AVAILABILITY)
def test_the_traffic_switches_when_all_pods_are_available_and_not_before(
    status: dict[str, int], switches: bool
) -> None:
    world = app(replicas=3).converge()
    world.change(image="shop:2")
    world.reconcile()
    world.look()
    world.deployments["shop-2"]["status"] |= status
    world.reconcile()
    assert world.serving == (2 if switches else 1)


def test_without_replicas_there_is_nothing_to_wait_for() -> None:
    world = app(replicas=0).converge()
    assert (world.serving, world.scale, world.told.phase) == (1, {1: 0}, "Healthy")
    world.change(image="shop:2")
    world.converge()
    assert world.serving == 2


def test_scaling_up_from_nothing_starts_the_pods_of_what_serves() -> None:
    world = app(replicas=0).converge()
    world.change(replicas=2)
    world.converge()
    assert (world.scale, world.condition("Available").reason) == ({1: 2}, "Serving")


def test_a_change_of_replicas_scales_and_makes_no_revision() -> None:
    world = app(replicas=1).converge()
    world.change(replicas=4)
    world.converge()
    assert (world.scale, world.told.replicas) == ({1: 4}, 4)


@pytest.mark.parametrize(("replicas", "rests_on"), [(1, "shop"), (5, "")])
def test_pods_are_taken_away_only_if_the_service_is_as_the_plan_saw_it(replicas: int, rests_on: str) -> None:
    """More pods harm nobody; those that are too many by an older view may have got the traffic since."""
    world = app(replicas=3).converge()
    world.change(replicas=replicas)

    (scaled,) = (action for action in world.plan().actions if isinstance(action, Apply))

    assert (scaled.manifest["spec"]["replicas"], scaled.rests_on) == (replicas, rests_on)


def test_the_traffic_is_taken_from_a_revision_that_is_not_seen_only_if_it_is_not_there() -> None:
    """Found by the sieve: by what is seen alone, somebody has deleted it; it may as well be seen a moment later."""
    world = app().converge()
    remembered = world.status
    world.change(image="shop:2")
    world.converge()
    assert world.serving == 2
    world.status = remembered
    del world.deployments["shop-2"]

    (taken,) = (action for action in world.plan().actions if isinstance(action, Apply) and in_service(action))

    assert (taken.manifest["spec"]["selector"][names.REVISION_LABEL], taken.without) == ("1", "shop-2")


def in_service(action: Apply) -> bool:
    return bool(action.manifest["kind"] == "Service")


def test_replicas_changed_by_hand_are_healed() -> None:
    world = app(replicas=2).converge()
    world.deployments["shop-1"]["spec"]["replicas"] = 9
    world.converge()
    assert world.scale == {1: 2}


def test_a_service_changed_by_hand_is_healed() -> None:
    world = app().converge()
    world.change(image="shop:2")
    world.converge()
    world.services["shop"]["spec"]["selector"] = {"app": "mine"}
    world.converge()
    assert world.serving == 2
    world.services["shop"]["spec"]["selector"][names.REVISION_LABEL] = "1"
    world.converge()
    assert (world.serving, world.scale) == (2, {1: 0, 2: 1})


def test_a_deleted_service_comes_back_for_what_served() -> None:
    world = app().converge()
    world.behaviour["shop:2"] = NEVER
    world.change(image="shop:2")
    world.reconcile()
    world.services.clear()
    world.reconcile()
    assert world.serving == 1


def test_when_service_and_status_are_both_gone_no_pod_is_taken_down_on_a_guess() -> None:
    world = app(scaleDownDelaySeconds=0).converge()
    world.behaviour["shop:2"] = NEVER
    world.change(image="shop:2")
    world.converge()
    world.services.clear()
    world.lose_status()
    world.converge()
    assert world.scale[1] == 1


def test_an_interrupted_rollout_gives_way_to_the_next_one() -> None:
    world = app().converge()
    world.behaviour["shop:2"] = NEVER
    world.change(image="shop:2")
    for _ in range(3):
        world.reconcile()
        world.look()
    world.change(image="shop:3")
    world.converge()
    assert (world.serving, world.scale) == (3, {1: 0, 2: 0, 3: 1})
    assert "RevisionFailed" not in world.reasons()


def test_going_back_while_the_old_pods_still_run_switches_at_once() -> None:
    world = app(scaleDownDelaySeconds=300).converge()
    world.change(image="shop:2")
    for _ in range(4):
        world.reconcile()
        world.look()
    assert (world.serving, world.scale) == (2, {1: 1, 2: 1})
    world.change(image="shop:1")
    world.reconcile()
    assert world.serving == 1


def test_mutating_webhooks_and_defaults_cause_no_second_apply() -> None:
    world = app().converge()
    world.deployments["shop-1"]["metadata"]["labels"]["mesh/injected"] = "true"
    world.deployments["shop-1"]["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = "1"
    world.deployments["shop-1"]["spec"]["template"]["spec"]["containers"].append({"name": "proxy", "image": "mesh"})
    assert world.plan().actions == ()


def test_a_new_release_of_the_operator_restarts_nobodys_pods(monkeypatch: pytest.MonkeyPatch) -> None:
    world = app().converge()
    monkeypatch.setattr("tandem.apps.workload._APP_START_SECONDS", 999)
    assert world.plan().actions == ()


def test_what_changes_later_is_applied_without_the_pod_template() -> None:
    world = app().converge()
    world.change(replicas=2)
    (action,) = [action for action in world.plan().actions if isinstance(action, Apply)]
    assert set(action.manifest["spec"]) == {"replicas", "progressDeadlineSeconds"}


def test_what_does_not_exist_is_created_and_never_applied_over_somebody_elses() -> None:
    world = app().converge()
    assert [type(action) for action in world.done] == [Create, Create, Create]
    assert {action.id for action in world.done} == {
        "create NetworkPolicy/shop",
        "create Deployment/shop-1",
        "create Service/shop",
    }


def test_suspend_starts_nothing_new_and_what_serves_stays() -> None:
    world = app(replicas=2).converge()
    world.change(image="shop:2", suspend=True, replicas=3)
    world.converge()
    assert (world.serving, world.scale, world.told.phase) == (1, {1: 3}, "Paused")
    assert (world.condition("Ready").status, world.condition("Ready").reason) == ("True", "Suspended")
    world.change(suspend=None)
    world.converge()
    assert (world.serving, world.told.phase) == (2, "Healthy")


def test_suspend_in_the_middle_of_a_rollout_holds_it_there() -> None:
    world = app().converge()
    world.behaviour["shop:2"] = NEVER
    world.change(image="shop:2")
    world.reconcile()
    world.look()
    world.change(suspend=True)
    world.behaviour["shop:2"] = READY
    world.converge()
    assert (world.serving, world.scale) == (1, {1: 1, 2: 1})


def test_a_resource_that_starts_suspended_starts_nothing() -> None:
    world = app(suspend=True).converge()
    assert (world.deployments, world.services, world.told.phase) == ({}, {}, "Paused")
    assert world.conditions()["Ready"] == "Unknown"


@pytest.mark.parametrize(
    ("reason", "status", "stalled"), [("Forbidden", "False", True), ("TooManyRequests", "Unknown", False)]
)
def test_a_refused_creation_is_told_and_tried_again(reason: str, status: str, stalled: bool) -> None:
    world = app(safeDefaults={"networkPolicy": False})
    later = world.now + timedelta(seconds=30)
    world.refusals["create Deployment/shop-1"] = Refusal(reason, "exceeded quota", world.now, later, 1)
    made = world.reconcile()
    assert (made.actions, made.requeue_after) == ((), timedelta(seconds=30))
    assert (world.condition("RolledOut").status, world.condition("RolledOut").reason) == (status, reason)
    assert ("Stalled" in world.conditions()) == stalled
    world.wait(30)
    assert [action.id for action in world.plan().actions] == ["create Deployment/shop-1"]


def test_a_service_of_the_same_name_that_is_somebody_elses_is_left_alone_and_told() -> None:
    world = app()
    world.reconcile()
    world.look()
    taken = "Service/shop exists and is not controlled by this AppDeployment"
    world.refusals["create Service/shop"] = Refusal("NameTaken", taken, world.now, world.now + timedelta(minutes=1), 1)
    world.reconcile()
    assert taken in world.condition("Stalled").message


def test_the_message_counts_pods_and_says_who_serves() -> None:
    world = app(replicas=2).converge()
    world.behaviour["shop:2"] = NEVER
    world.change(image="shop:2")
    for _ in range(3):
        world.reconcile()
        world.look()
    assert world.condition("Ready").message == (
        "revision 2: 0 of 2 pods are available; the container runs, and its readiness probe has not passed yet; "
        "revision 1 keeps serving; it is set aside after 600 seconds without progress"
    )


def test_pods_of_what_serves_that_go_down_are_told_and_nothing_is_given_up() -> None:
    world = app().converge()
    world.behaviour["shop:1"] = "crash"
    world.look()
    world.converge()
    assert (world.scale, world.serving, world.told.phase) == ({1: 1}, 1, "Degraded")
    assert world.condition("Available").reason == "NoPodAvailable"
    assert world.condition("RolledOut").reason == "CrashLoopBackOff"
    assert "Stalled" not in world.conditions()


def test_a_resource_that_is_being_deleted_is_left_to_garbage_collection() -> None:
    import msgspec

    from tandem.api.plan import Observed, Plan
    from tandem.apps.plan import plan
    from tests.unit.apps.world import SETTINGS

    world = app().converge()
    meta = msgspec.structs.replace(world.app.metadata, deletion_timestamp=world.now)
    going = msgspec.structs.replace(world.app, metadata=meta)
    assert plan(SETTINGS, Observed(going, world.children), world.now) == Plan()


@pytest.mark.parametrize(
    "spec", [{}, {"model": {"name": "iris"}}, {"model": {"name": "iris", "alias": "a", "version": "1"}}]
)
def test_a_spec_that_the_crd_refuses_today_fails_with_what_to_do(spec: dict[str, object]) -> None:
    world = World(spec).converge()
    assert (world.condition("Stalled").reason, world.deployments) == ("InvalidSpec", {})
