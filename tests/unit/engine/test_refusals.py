"""What is refused is told, rests, and is tried again; nobody is served by a hot loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tandem.api.meta import Key, ObjectMeta
from tandem.api.plan import Delete, Draft
from tandem.engine.controller import Named
from tests.unit.engine.desk import Desk, job
from tests.unit.engine.objects import Json, Widget, child, resource
from tests.unit.engine.strict_api import refuse

pytestmark = pytest.mark.asyncio


async def test_a_refusal_is_told_and_the_action_rests_until_its_time(desk: Desk) -> None:
    desk.api.fail("POST jobs", refuse(403, "Forbidden", "exceeded quota"))
    desk.submit()
    await desk.until_phase("Forbidden")
    for _ in range(5):
        desk.queue.add(Key("Widget", "ns", "w"))
        await asyncio.sleep(0.02)
    assert desk.api.requests.count("POST jobs") == 1, "whatever wakes it, it rests"

    await desk.until_phase("Created")

    assert desk.api.requests.count("POST jobs") == 2


async def test_an_action_that_is_refused_again_rests_longer_and_writes_its_status_once(desk: Desk) -> None:
    desk.stop_clock()
    desk.api.fail("POST jobs", *[refuse(422, "Invalid", "no")] * 8)
    desk.submit()
    await desk.until_phase("Invalid")
    rests = []
    for attempt in range(1, 8):
        (refusal,) = desk.reconciler._refusals[Key("Widget", "ns", "w")].of.values()
        assert refusal.attempts == attempt
        rests.append((refusal.retry_at - desk.now()).total_seconds())
        desk.move_clock(refusal.retry_at - desk.now())
        desk.queue.add(Key("Widget", "ns", "w"))
        await desk.until(lambda n=attempt: desk.api.requests.count("POST jobs") == n + 1)  # type: ignore[misc]
        await desk.until_rest()

    assert rests == [1, 2, 4, 8, 16, 32, 64]
    assert desk.api.requests.count("PATCH widgets/status") == 1


async def test_another_spec_is_tried_at_once(desk: Desk) -> None:
    desk.stop_clock()
    desk.api.fail("POST jobs", refuse(422, "Invalid", "no"))
    desk.submit()
    await desk.until_phase("Invalid")

    desk.edit(size=2)

    await desk.until_phase("Created")


async def test_a_resource_that_was_made_anew_has_not_been_refused_anything(desk: Desk) -> None:
    desk.stop_clock()
    desk.api.fail("POST jobs", refuse(422, "Invalid", "no"))
    desk.submit()
    await desk.until_phase("Invalid")

    desk.show("Widget", desk.api.put("widgets", resource(uid="uid-new")))
    await desk.until_phase("Created")

    made = desk.api.named("jobs", "w-1")
    assert made is not None
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-new"


async def test_a_refusal_that_the_plan_does_not_want_any_more_is_forgotten(desk: Desk) -> None:
    desk.api.fail("POST jobs", refuse(422, "Invalid", "no"))
    desk.submit()
    await desk.until_phase("Invalid")

    desk.rule = lambda *_: "Idle"
    desk.stop_clock()
    desk.move_clock(timedelta(seconds=10))
    desk.queue.add(Key("Widget", "ns", "w"))
    await desk.until_phase("Idle")

    assert not desk.reconciler._refusals[Key("Widget", "ns", "w")].of


async def test_a_refused_action_that_succeeds_at_last_is_told_though_nothing_else_happens(desk: Desk) -> None:
    """A deletion brings no answer that would wake the resource."""
    desk.api.put("jobs", job(Widget(metadata=ObjectMeta(name="w", namespace="ns", uid="uid-w")), "old"))
    desk.api.fail("DELETE jobs", refuse(403, "Forbidden", "no"))
    delete = Delete("batch/v1", "Job", "ns", "old", "uid-old")

    def rule(_: Widget, __: Sequence[Named], draft: Draft) -> str:
        if desk.api.named("jobs", "old") is None:
            return "Tidy"
        refusal = draft.act(delete)
        return refusal.reason if refusal else "Deleting"

    desk.rule = rule
    desk.submit()

    await desk.until_phase("Forbidden")
    await desk.until_phase("Tidy")


async def test_a_job_of_somebody_else_is_not_adopted_and_the_resource_says_so(desk: Desk) -> None:
    desk.api.put("jobs", child("Job", "w-1", "uid-foreign", owner="uid-somebody"))
    desk.submit()

    await desk.until_phase("AlreadyExists")

    assert desk.store.children_of("uid-w") == []


async def test_a_job_of_ours_that_is_there_already_is_taken_for_the_answer(desk: Desk) -> None:
    """The operator died between the creation and its answer."""
    desk.api.put("jobs", child("Job", "w-1", "uid-j", owner="uid-w"))
    desk.submit()

    await desk.until_phase("Created")

    assert [view.metadata.uid for view in desk.store.children_of("uid-w")] == ["uid-j"]


async def test_a_job_that_was_there_and_is_not_any_more_is_no_refusal(desk: Desk) -> None:
    desk.api.fail("POST jobs", refuse(409, "AlreadyExists"))
    desk.submit()

    await desk.until_phase("Created")

    assert desk.api.requests[:3] == ["POST jobs", "GET jobs", "POST jobs"]


def left_behind() -> Json:
    """The Job of a widget of the same name that was deleted."""
    former = child("Job", "w-1", "uid-j", owner="uid-former")
    former["metadata"]["ownerReferences"][0]["name"] = "of-uid-w"
    return former


async def test_what_a_deleted_resource_of_the_same_name_left_is_deleted_and_then_made_anew(desk: Desk) -> None:
    """The garbage collector takes the two for one when its watch is away meanwhile, and then never does."""
    desk.api.put("jobs", left_behind())
    desk.submit()
    await desk.until_phase("PredecessorRemains")
    await desk.until_phase("Created")

    assert desk.api.requests.count("DELETE jobs") == 1
    deletion = desk.api.bodies[desk.api.requests.index("DELETE jobs")]
    assert (deletion["preconditions"], deletion["propagationPolicy"]) == ({"uid": "uid-j"}, "Background")
    (made,) = desk.store.children_of("uid-w")
    assert made.metadata.uid != "uid-j"


async def test_who_may_not_delete_it_waits_for_the_garbage_collector(desk: Desk) -> None:
    """It needs a moment, longer while it is restarted; no minutes are lost after that."""
    desk.stop_clock()
    desk.api.put("jobs", left_behind())
    desk.api.fail("DELETE jobs", *[refuse(403, "Forbidden")] * 7)
    desk.submit()
    await desk.until_phase("PredecessorRemains")
    await desk.until_rest()
    rests = []
    for attempt in range(1, 7):
        (refusal,) = desk.reconciler._refusals[Key("Widget", "ns", "w")].of.values()
        rests.append((refusal.retry_at - desk.now()).total_seconds())
        desk.move_clock(refusal.retry_at - desk.now())
        desk.queue.add(Key("Widget", "ns", "w"))
        await desk.until(lambda n=attempt: desk.api.requests.count("POST jobs") == n + 1)  # type: ignore[misc]
        await desk.until_rest()

    assert rests == [1, 2, 4, 8, 15, 15]


async def test_what_has_another_owner_as_well_is_left_to_it(desk: Desk) -> None:
    former = left_behind()
    other = {"apiVersion": "v1", "kind": "ConfigMap", "name": "notes", "uid": "uid-notes"}
    former["metadata"]["ownerReferences"].append(other)
    desk.api.put("jobs", former)
    desk.submit()
    await desk.until_phase("PredecessorRemains")
    await desk.until_rest()

    assert "DELETE jobs" not in desk.api.requests


async def test_by_an_older_view_nothing_of_the_present_resource_is_deleted(desk: Desk) -> None:
    """Here it is the view that is of a resource that was deleted, and the Job is its successor's."""
    desk.api.put("widgets", resource("w", "uid-present"))
    successors = child("Job", "w-1", "uid-j", owner="uid-present")
    successors["metadata"]["ownerReferences"][0]["name"] = "of-uid-w"
    desk.api.put("jobs", successors)
    desk.show("Widget", resource("w", "uid-w"))
    await desk.until_phase("Created")

    assert [view.metadata.uid for view in desk.store.children_of("uid-present")] == ["uid-j"]
    assert "DELETE jobs" not in desk.api.requests
