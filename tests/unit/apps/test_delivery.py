"""The four DORA figures, told by stories: what counts, what does not, and from when on."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tandem.api import names
from tandem.api.appdeployment_status import DeliveryEvent, DeliveryStatus
from tandem.apps.delivery import KEPT, figures
from tandem.engine.metrics import Metrics
from tandem.engine.queue import KeyedQueue
from tandem.engine.store import Store
from tandem.engine.watches import Watches
from tandem.main import Configuration, app_controller
from tests.unit.apps.deployments import CRASH, START
from tests.unit.apps.test_steps import UNTIL_APPROVED, canary, step, waits
from tests.unit.apps.world import Crash, World

DEADLINE = 60


def shop(image: str = "shop:1", **spec: object) -> World:
    """Images that end with -bad never start."""
    bad = {f"shop:{number}-bad": CRASH for number in range(1, 10)}
    return World(
        {"image": image, "progressDeadlineSeconds": DEADLINE, "scaleDownDelaySeconds": 0, **spec}, behaviour=bad
    )


def told(world: World) -> DeliveryStatus:
    assert world.told.delivery is not None
    return world.told.delivery


def release(world: World, image: str, committed_before: float | None = None) -> World:
    """Another image in the spec; its commit is so many seconds old."""
    time = (world.now - timedelta(seconds=committed_before)).isoformat() if committed_before is not None else None
    world.change(image=image, commitTime=time)
    return world.converge()


def happened(world: World) -> list[tuple[str, int]]:
    """The earliest first."""
    return [(event.type, event.revision) for event in reversed(told(world).history)]


def event(type_: str, revision: int, seconds: int | None = None, at: datetime = START) -> DeliveryEvent:
    assert type_ in {"Promoted", "Failed", "Restored"}
    return DeliveryEvent(time=at, type=type_, revision=revision, seconds=seconds)  # type: ignore[arg-type]


# --- the arithmetic --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "deployments", "lead_time", "failure_rate", "restore"),
    [
        ([], 0, None, "", None),
        ([event("Promoted", 1)], 1, None, "0.000", None),
        ([event("Promoted", 1, 60)], 1, 60, "0.000", None),
        ([event("Promoted", 1, 60), event("Promoted", 2, 120), event("Promoted", 3, 600)], 3, 120, "0.000", None),
        ([event("Promoted", 1, 60), event("Promoted", 2, 121)], 2, 90, "0.000", None),  # half to even
        ([event("Promoted", 1), event("Promoted", 2, 40)], 2, 40, "0.000", None),
        ([event("Failed", 1)], 0, None, "1.000", None),
        ([event("Promoted", 1), event("Failed", 2), event("Promoted", 3)], 2, None, "0.333", None),
        ([event("Promoted", 1), event("Failed", 1)], 1, None, "1.000", None),
        ([event("Restored", 1, 30), event("Restored", 1, 90)], 0, None, "", 60),
    ],
    ids=[
        *("nothing", "a deployment", "with its commit", "the median of three", "of two", "unknown times are left out"),
        *("a failure alone", "one of three", "failed after it got through", "restored twice"),
    ],
)
def test_the_figures_of_some_events(
    events: list[DeliveryEvent], deployments: int, lead_time: int | None, failure_rate: str, restore: int | None
) -> None:
    assert figures(events) == DeliveryStatus(
        deployments_30d=deployments,
        lead_time_p50_seconds=lead_time,
        change_failure_rate=failure_rate,
        time_to_restore_p50_seconds=restore,
    )


# --- deployments -----------------------------------------------------------------------------------------------------


def test_a_revision_counts_when_it_takes_the_traffic_for_the_first_time() -> None:
    world = shop().converge()
    release(world, "shop:2")

    assert happened(world) == [("Promoted", 1), ("Promoted", 2)]
    assert (told(world).deployments_30d, told(world).change_failure_rate) == (2, "0.000")


def test_one_that_was_superseded_before_it_was_ready_is_no_deployment() -> None:
    world = shop().converge()
    world.change(image="shop:2-bad")
    world.reconcile()
    release(world, "shop:3")

    assert happened(world) == [("Promoted", 1), ("Promoted", 3)]


@pytest.mark.parametrize("how", ["by content", "by spec.rollback"])
def test_what_comes_back_is_no_deployment(how: str) -> None:
    world = shop().converge()
    release(world, "shop:2")

    if how == "by content":
        release(world, "shop:1")
    else:
        world.change(rollback={"toRevision": 1})
        world.converge()

    assert world.serving == 1
    assert ("Promoted", 1) in happened(world)
    assert told(world).deployments_30d == 2


def test_another_number_of_pods_is_no_deployment() -> None:
    world = shop().converge()
    world.change(replicas=3)
    world.converge()

    assert told(world).deployments_30d == 1


def test_a_status_that_was_lost_tells_nothing_that_is_long_past() -> None:
    world = shop().converge()
    world.lose_status()
    world.converge()
    assert world.told.delivery is None

    release(world, "shop:2")
    assert happened(world) == [("Promoted", 2)]


# --- lead time -------------------------------------------------------------------------------------------------------


def test_lead_time_is_from_the_commit_to_the_traffic() -> None:
    world = release(shop().converge(), "shop:2", committed_before=300)

    assert told(world).lead_time_p50_seconds == 300
    assert told(world).history[0].seconds == 300
    assert told(world).pending_commit_time is None


def test_without_the_commits_time_there_is_no_lead_time() -> None:
    world = release(shop().converge(), "shop:2")

    assert (told(world).deployments_30d, told(world).lead_time_p50_seconds) == (2, None)


def test_a_commit_that_did_not_get_through_is_carried_to_the_one_that_does() -> None:
    """The fix has it inside, and users have waited for it since then."""
    world = release(shop().converge(), "shop:2-bad", committed_before=1000)
    failed_at = world.now
    assert told(world).pending_commit_time is not None

    release(world, "shop:3", committed_before=10)

    assert told(world).history[0].type == "Restored"
    promoted = told(world).history[1]
    assert (promoted.type, promoted.revision) == ("Promoted", 3)
    assert promoted.seconds == 1000 + int((promoted.time - failed_at).total_seconds()) + DEADLINE
    assert told(world).pending_commit_time is None


def test_a_commit_that_was_taken_back_is_carried_no_further() -> None:
    world = release(shop().converge(), "shop:2-bad", committed_before=1000)
    release(world, "shop:1")
    assert told(world).pending_commit_time is None

    release(world, "shop:3", committed_before=10)
    assert told(world).lead_time_p50_seconds == 10


def test_the_clock_of_whoever_committed_may_be_ahead() -> None:
    assert told(release(shop().converge(), "shop:2", committed_before=-500)).lead_time_p50_seconds == 0


def test_another_time_of_the_same_commit_rolls_out_nothing() -> None:
    world = shop().converge()
    world.change(commitTime="2026-02-01T00:00:00Z")
    world.converge()

    assert (world.serving, told(world).deployments_30d) == (1, 1)


# --- change failure rate ---------------------------------------------------------------------------------------------


def test_a_revision_that_fails_counts_once_however_often_it_is_tried() -> None:
    world = release(shop().converge(), "shop:2-bad")
    for token in ("one", "two"):
        world.annotations["tandem.dev/requestedAt"] = token
        world.converge()

    assert happened(world).count(("Failed", 2)) == 1
    assert told(world).change_failure_rate == "0.500"


def test_a_revision_that_gets_through_at_the_second_try_was_a_failure_and_is_a_deployment() -> None:
    world = release(shop().converge(), "shop:2-bad")
    world.behaviour = {}
    world.annotations["tandem.dev/requestedAt"] = "again"
    world.converge()

    assert happened(world) == [("Promoted", 1), ("Failed", 2), ("Promoted", 2), ("Restored", 2)]
    assert (told(world).deployments_30d, told(world).change_failure_rate) == (2, "0.500")


def test_a_canary_that_is_aborted_is_a_failure_and_no_deployment() -> None:
    world = canary(step(20, UNTIL_APPROVED))
    waits(world, "AwaitingApproval")
    world.say(abort="2")
    world.converge()

    assert happened(world) == [("Promoted", 1), ("Failed", 2)]
    assert (told(world).deployments_30d, told(world).change_failure_rate) == (1, "0.500")


def test_what_fails_while_it_is_watched_was_a_deployment_and_is_one_failure_and_what_comes_back_restores() -> None:
    world = waits(canary(watchSeconds=600), "Watching")
    world.say(abort="2")
    world.converge()
    world.say(abort=None)
    world.change(image="shop:1")
    world.wait(300)
    world.converge()

    assert happened(world)[:3] == [("Promoted", 1), ("Promoted", 2), ("Failed", 2)]
    assert happened(world).count(("Failed", 2)) == 1
    assert happened(world)[3:] == [("Restored", 1)]
    assert (told(world).deployments_30d, told(world).change_failure_rate) == (2, "0.500")
    assert told(world).time_to_restore_p50_seconds == 300


def test_a_revision_that_a_person_rolls_back_has_failed() -> None:
    world = release(shop().converge(), "shop:2")
    world.change(rollback={"toRevision": 1})
    world.converge()

    assert ("Failed", 2) in happened(world)
    assert told(world).change_failure_rate == "0.500"


# --- time to restore -------------------------------------------------------------------------------------------------


def test_time_to_restore_is_from_degraded_to_ready() -> None:
    world = release(shop().converge(), "shop:2-bad")
    degraded_at = told(world).degraded_since
    assert degraded_at is not None
    assert told(world).time_to_restore_p50_seconds is None

    world.wait(600)
    release(world, "shop:3")

    restored = told(world).history[0]
    assert (restored.type, restored.revision) == ("Restored", 3)
    assert restored.seconds == int((restored.time - degraded_at).total_seconds()) >= 600
    assert (told(world).time_to_restore_p50_seconds, told(world).degraded_since) == (restored.seconds, None)


# --- the window ------------------------------------------------------------------------------------------------------


def test_after_thirty_days_an_event_is_forgotten() -> None:
    world = shop().converge()
    world.wait(29 * 86400)
    release(world, "shop:2")
    assert told(world).deployments_30d == 2

    world.wait(86400)
    world.converge()
    assert happened(world) == [("Promoted", 2)]

    world.wait(30 * 86400)
    world.converge()
    assert world.told.delivery is None


def test_what_is_forgotten_for_want_of_room_is_said() -> None:
    """The figures never pretend to be of more than they are."""
    world = shop().converge()
    many = [event("Promoted", number, at=START) for number in range(1001, 1000 + KEPT)]
    world.status["delivery"] = {"history": [_body(one) for one in many]}
    world.change(image="shop:2")
    world.converge()
    assert (len(told(world).history), told(world).complete_since) == (KEPT, None)

    release(world, "shop:201")

    assert (len(told(world).history), told(world).complete_since) == (KEPT, START)
    world.wait(31 * 86400)
    release(world, "shop:202")
    assert told(world).complete_since is None


def test_a_plan_at_rest_writes_no_figure_again() -> None:
    world = release(shop().converge(), "shop:2", committed_before=60)
    writes = world.status_writes

    world.wait(86400)
    world.converge()

    assert world.status_writes == writes


def test_what_happened_while_no_status_could_be_written_is_counted_when_one_is() -> None:
    """kill -9 after each switch of the Service: the revision is first seen when it serves already."""
    world = shop().converge()
    world.change(image="shop:2", commitTime=(world.now - timedelta(seconds=50)).isoformat())
    while world.serving != 2:
        with pytest.raises(Crash):
            world.reconcile(crash_after=9)
        world.look()

    world.converge()

    assert happened(world) == [("Promoted", 1), ("Promoted", 2)]
    assert told(world).lead_time_p50_seconds == 50


def _body(one: DeliveryEvent) -> dict[str, object]:
    return {"time": one.time.isoformat(), "type": one.type, "revision": one.revision}


# --- for Prometheus --------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_prometheus_reads_the_four_figures_of_an_app_as_its_status_tells_them() -> None:
    """The operator's own controller, and a status that its plan has made: a failure, and a commit that got through."""
    world = shop().converge()
    release(world, "shop:2-bad", committed_before=300)
    world.wait(100)
    release(world, "shop:3", committed_before=30)
    meta = {"name": "shop", "namespace": "team", "uid": "app-uid", "resourceVersion": "1", "generation": 1}
    app = {"apiVersion": names.API_VERSION, "kind": names.APP_DEPLOYMENT, "metadata": meta, "spec": world.spec}
    controller = app_controller(Configuration("http://mlflow:5000", "runtime:1", timedelta(seconds=10)))
    metrics, store = Metrics(), Store([controller])
    store.observe(names.APP_DEPLOYMENT, {**app, "status": world.status})
    metrics.follow(queue=KeyedQueue(), store=store, watches=Watches([], (), lambda: 0.0))

    families = text_string_to_metric_families(metrics.text().decode())
    read = {s.name: s.value for family in families for s in family.samples if s.labels.get("name") == "shop"}
    figures_ = told(world)
    assert read == {
        "tandem_app_deployments_30d": figures_.deployments_30d,
        "tandem_app_lead_time_p50_seconds": figures_.lead_time_p50_seconds,
        "tandem_app_change_failure_rate": float(figures_.change_failure_rate),
        "tandem_app_time_to_restore_p50_seconds": figures_.time_to_restore_p50_seconds,
    }
    assert (read["tandem_app_deployments_30d"], read["tandem_app_change_failure_rate"]) == (2, 0.333)
