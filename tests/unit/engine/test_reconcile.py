"""One resource at a time, whatever the API server, the plan or a source does: it converges, or says why it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tandem.api.meta import Key
from tandem.api.plan import Draft, Emit, EndRun, Refused
from tandem.engine.controller import Named
from tests.unit.engine.desk import Desk, Weather, one_job
from tests.unit.engine.objects import Json, Widget, resource
from tests.unit.engine.strict_api import Fault, garble, hang, hang_up, lose_answer, refuse

pytestmark = pytest.mark.asyncio

# --- faults of the API server ----------------------------------------------------------------------------------------

TRANSIENT: dict[str, list[Fault]] = {
    "the answer is lost after the write": [lose_answer],
    "the connection breaks before the write": [hang_up] * 3,
    "a burst of 500": [refuse(500)] * 5,
    "503, 504 and 502": [refuse(503), refuse(504), refuse(502)],
    "429 without a time": [refuse(429)],
    "a token that is being rotated": [refuse(401, "Unauthorized")],
    "an answer that is no JSON, after the write": [garble],
}


@pytest.mark.parametrize("request_", ["POST jobs", "PATCH widgets/status"])
@pytest.mark.parametrize("faults", TRANSIENT.values(), ids=TRANSIENT)
async def test_a_fault_that_passes_leaves_one_job_and_the_right_status(
    desk: Desk, request_: str, faults: list[Fault]
) -> None:
    desk.api.fail(request_, *faults)
    desk.submit()

    await desk.until_phase("Created")

    jobs = [name for _, plural, name in desk.api.objects if plural == "jobs"]
    assert jobs == ["w-1"]
    statuses = [body["status"]["phase"] for body in desk.api.bodies if "status" in body]
    assert set(statuses) <= {"Creating", "Created"}, "a fault that passes is told to nobody"


@pytest.mark.parametrize("patience", [0.3])
@pytest.mark.parametrize("request_", ["POST jobs", "PATCH widgets/status"])
async def test_a_request_that_hangs_is_given_up_and_made_again(desk: Desk, request_: str) -> None:
    desk.api.fail(request_, hang)
    desk.submit()

    await desk.until_phase("Created")


async def test_one_resource_costs_two_writes_and_then_none(desk: Desk) -> None:
    desk.rule = lambda *args: one_job(*args).replace("Creating", "Created")
    desk.submit()
    await desk.until_phase("Created")
    await desk.until(lambda: len(desk.plans) >= 2)
    for _ in range(3):
        desk.queue.add(Key("Widget", "ns", "w"))
        await asyncio.sleep(0.02)

    assert desk.api.writes() == ["POST jobs", "PATCH widgets/status"]


async def test_a_server_that_names_a_time_is_not_asked_before_by_anybody(desk: Desk) -> None:
    desk.api.fail("POST jobs", refuse(429, "TooManyRequests", Retry_After="1"))
    started = time.monotonic()
    desk.submit()
    await desk.until(lambda: desk.api.requests == ["POST jobs"])
    await asyncio.sleep(0.1)
    desk.submit("other")
    await asyncio.sleep(0.5)
    assert desk.api.requests == ["POST jobs"]

    await desk.until_phase("Created")
    await desk.until_phase("Created", "other")

    assert time.monotonic() - started >= 1


async def test_an_outage_of_one_write_does_not_hold_up_other_resources(desk: Desk) -> None:
    desk.api.fail("POST jobs", *[refuse(500)] * 10)
    for number in range(5):
        desk.submit(f"w{number}")

    for number in range(5):
        await desk.until_phase("Created", f"w{number}")


# --- poison ----------------------------------------------------------------------------------------------------------


async def test_a_resource_that_cannot_be_read_says_which_field_and_leaves_the_others_alone(desk: Desk) -> None:
    desk.submit("poison", spec={"size": "large"})
    desk.submit("good")
    await desk.until_phase("Created", "good")
    await desk.until(lambda: _conditions(desk, "poison") != {})

    ready = _conditions(desk, "poison")["Ready"]
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    assert "$.spec.size" in ready["message"]


async def test_a_plan_that_breaks_is_told_and_healed_by_the_next_spec(desk: Desk) -> None:
    def rule(widget: Widget, children: Sequence[Named], draft: Draft) -> str:
        return str(1 // widget.spec.size)

    desk.rule = rule
    desk.submit(spec={"size": 0})
    await desk.until(lambda: _conditions(desk, "w") != {})
    assert _conditions(desk, "w")["Stalled"]["reason"] == "InternalError"
    assert len(desk.plans) == 1, "no hot loop"

    desk.edit(size=1)
    await desk.until_phase("1")


def _conditions(desk: Desk, name: str) -> dict[str, Json]:
    body = desk.api.named("widgets", name)
    assert body is not None
    return {condition["type"]: condition for condition in body.get("status", {}).get("conditions", ())}


async def test_a_status_that_the_schema_refuses_is_tried_again_ever_more_seldom(desk: Desk) -> None:
    desk.rule = lambda *_: "Unheard-of"
    desk.api.fail("PATCH widgets/status", *[refuse(422, "Invalid")] * 1000)
    started = time.monotonic()
    desk.submit()
    await desk.until(lambda: desk.api.requests.count("PATCH widgets/status") == 7)

    assert time.monotonic() - started >= 0.3, "5 + 10 + 20 + 40 + 80 + 160 ms"


async def test_a_plan_that_always_asks_to_be_called_at_once_does_not_take_the_whole_core(desk: Desk) -> None:
    def rule(_: Widget, __: Sequence[Named], draft: Draft) -> str:
        draft.requeue(timedelta(0))
        return "Busy"

    desk.rule = rule
    started = time.monotonic()
    desk.submit()
    await desk.until(lambda: len(desk.plans) >= 5)

    assert time.monotonic() - started >= 0.35


# --- the resource itself ---------------------------------------------------------------------------------------------


async def test_a_resource_that_is_being_deleted_is_left_alone(desk: Desk) -> None:
    body = resource()
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    desk.show("Widget", desk.api.put("widgets", body))
    await asyncio.sleep(0.05)

    assert (desk.plans, desk.api.requests) == ([], [])


@pytest.mark.parametrize("change", ["deleted", "made anew"])
async def test_a_status_is_never_written_to_another_resource_of_the_same_name(desk: Desk, change: str) -> None:
    def rule(_: Widget, __: Sequence[Named], ___: Draft) -> str:
        if change == "deleted":
            desk.api.objects.pop(("ns", "widgets", "w"), None)
        else:
            desk.api.put("widgets", resource(uid="uid-new"))
        return "Planned"

    desk.rule = rule
    desk.submit()
    await desk.until(lambda: "PATCH widgets/status" in desk.api.requests)
    await asyncio.sleep(0.05)

    assert desk.phase() in {"gone", ""}
    assert desk.api.requests.count("PATCH widgets/status") == 1, "and it is not tried again"


async def test_an_answer_from_outside_wakes_who_waits_for_it(desk: Desk) -> None:
    desk.rule = lambda _, __, draft: str(draft.read(Weather()))
    desk.submit()

    await desk.until_phase("sunny")


# --- events and writes outside ---------------------------------------------------------------------------------------


async def test_events_follow_the_status_once_and_a_refused_one_changes_nothing(desk: Desk) -> None:
    long = "ü" * 2000
    desk.events = (Emit("Normal", "Planned", long), Emit("Warning", "Refused", "x"))
    desk.rule = lambda *_: "Planned"
    desk.api.fail("POST events", refuse(403, "Forbidden"))
    desk.submit()
    await desk.until(lambda: desk.api.requests.count("POST events") == 2)
    desk.queue.add(Key("Widget", "ns", "w"))
    await asyncio.sleep(0.05)

    assert desk.api.writes() == ["PATCH widgets/status", "POST events", "POST events"]
    assert len(desk.api.bodies[1]["note"].encode()) <= 1024


async def test_after_a_write_outside_the_resource_is_planned_again(desk: Desk) -> None:
    write = EndRun("r1", "KILLED")

    def rule(_: Widget, __: Sequence[Named], draft: Draft) -> str:
        if not desk.carried_out:
            draft.act(write)
            return "Ending"
        return "Ended"

    desk.rule = rule
    desk.submit()
    await desk.until_phase("Ended")

    assert desk.carried_out == [write]


async def test_what_a_write_outside_tells_is_what_the_next_plan_reads(desk: Desk) -> None:
    desk.told = {Weather(): "rain"}

    def rule(_: Widget, __: Sequence[Named], draft: Draft) -> str:
        weather = str(draft.read(Weather()))
        if weather == "sunny":
            draft.act(EndRun("r1", "KILLED"))
        return weather

    desk.rule = rule
    desk.submit()
    await desk.until_phase("rain")

    assert len(desk.carried_out) == 1


@pytest.mark.parametrize(
    ("error", "phase"),
    [(Refused("TrackingUnavailable", "down"), "TrackingUnavailable"), (ValueError("broken"), "SourceFailed")],
)
async def test_a_write_outside_that_fails_is_told_and_tried_again(desk: Desk, error: Exception, phase: str) -> None:
    desk.source_raises = error

    def rule(_: Widget, __: Sequence[Named], draft: Draft) -> str:
        if desk.carried_out and desk.source_raises is None:
            return "Ended"
        refusal = draft.act(EndRun("r1", "KILLED"))
        return refusal.reason if refusal else "Ending"

    desk.rule = rule
    desk.submit()
    await desk.until_phase(phase)
    desk.source_raises = None

    await desk.until_phase("Ended")
