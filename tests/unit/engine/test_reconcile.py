"""One resource at a time, whatever the API server, the plan or a source does: it converges, or says why it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from aiolimiter import AsyncLimiter
from kubernetes.aio.client import ApiClient

from tandem.api.facts import Facts, Query
from tandem.api.meta import Key
from tandem.api.plan import Create, Delete, Draft, Emit, EndRun, Outside, Plan, Refusal, Refused
from tandem.engine.api import ApiServer
from tandem.engine.cluster import Cluster
from tandem.engine.controller import Named
from tandem.engine.facts import FactBoard
from tandem.engine.queue import KeyedQueue
from tandem.engine.reconcile import Reconciler
from tandem.engine.store import Store
from tests.unit.engine.objects import Json, Widget, child, controller, resource
from tests.unit.engine.strict_api import Fault, StrictApi, client_of, garble, hang, hang_up, lose_answer, refuse

pytestmark = pytest.mark.asyncio


@dataclass(frozen=True, slots=True)
class Weather(Query[object]):
    """A fact."""


def job(owner: Named, name: str = "") -> Json:
    body = child("Job", name or f"{owner.metadata.name}-1", "", owner=owner.metadata.uid)
    del body["metadata"]["uid"], body["metadata"]["resourceVersion"]
    return {"apiVersion": "batch/v1", **body}


def one_job(resource: Widget, children: Sequence[Named], draft: Draft) -> str:
    """The plan of most tests: there shall be a Job, and the phase says whether there is."""
    if children:
        return "Created"
    refusal = draft.act(Create(job(resource)))
    return refusal.reason if refusal else "Creating"


Rule = Callable[[Widget, Sequence[Named], Draft], str]


@dataclass
class Desk:
    """An engine without a watch: what the tests put into the API server, they show to it by hand."""

    api: StrictApi
    client: ApiClient
    patience: float = 10.0  # seconds for one request
    rule: Rule = one_job
    events: tuple[Emit, ...] = ()
    carried_out: list[Outside] = field(default_factory=list)
    source_raises: Exception | None = None
    plans: list[str] = field(default_factory=list)
    stopped_at: datetime | None = None

    def __post_init__(self) -> None:
        self.store = Store([controller(self.plan)])
        self.queue: KeyedQueue[Key] = KeyedQueue()
        server = ApiServer(self.client, AsyncLimiter(1000, 1), aiohttp.ClientTimeout(total=self.patience))
        board = FactBoard(self, self.queue.add, self.now)
        cluster = Cluster(server, self.observed, "here")
        self.reconciler = Reconciler(self.store, self.queue, board, self, cluster, self.now)
        self.tasks = [asyncio.create_task(board.run())]
        self.tasks += [asyncio.create_task(self.reconciler.work()) for _ in range(4)]

    def now(self) -> datetime:
        return self.stopped_at or datetime.now(UTC)

    def stop_clock(self) -> None:
        """Refused actions rest until the test moves the clock."""
        self.stopped_at = datetime.now(UTC)

    def move_clock(self, by: timedelta) -> None:
        self.stopped_at = self.now() + by

    def plan(
        self,
        widget: Named,
        children: Sequence[Named],
        facts: Facts,
        refusals: Mapping[str, Refusal],
        now: datetime,
    ) -> Plan:
        assert isinstance(widget, Widget)
        self.plans.append(widget.metadata.name)
        draft = Draft(facts, refusals, now)
        draft.events += self.events
        phase = self.rule(widget, children, draft)
        return draft.finish({"observedGeneration": widget.metadata.generation, "phase": phase})

    def observed(self, kind: str, body: Json) -> None:
        keys = self.store.observe(kind, body)
        if kind != "Widget":
            for key in keys:
                self.queue.add(key)

    def show(self, kind: str, body: Json) -> None:
        """As a watch would."""
        for key in self.store.observe(kind, body):
            self.queue.add(key)

    def submit(self, name: str = "w", **fields: Any) -> Json:
        body = self.api.put("widgets", resource(name, f"uid-{name}", **fields))
        self.show("Widget", body)
        return body

    def edit(self, name: str = "w", **spec: Any) -> None:
        body = self.api.named("widgets", name)
        assert body is not None
        meta = {**body["metadata"], "generation": body["metadata"]["generation"] + 1}
        self.show("Widget", self.api.put("widgets", {**body, "metadata": meta, "spec": spec}))

    def phase(self, name: str = "w") -> str:
        body = self.api.named("widgets", name)
        return "gone" if body is None else str(body.get("status", {}).get("phase", ""))

    async def until(self, condition: Callable[[], bool], seconds: float = 5.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.005)

    async def until_phase(self, phase: str, name: str = "w") -> None:
        try:
            await self.until(lambda: self.phase(name) == phase)
        except TimeoutError:
            pytest.fail(f"{phase=} was expected, it is {self.phase(name)!r}; requests: {self.api.requests}")

    # --- the source of facts ---

    async def answer(self, queries: Collection[Query[object]]) -> Mapping[Query[object], object]:
        return dict.fromkeys(queries, "sunny")

    def poll_interval(self, query: Query[object]) -> timedelta | None:
        return None

    async def carry_out(self, write: Outside) -> None:
        self.carried_out.append(write)
        if self.source_raises is not None:
            raise self.source_raises


@pytest.fixture
def patience() -> float:
    return 10.0


@pytest_asyncio.fixture
async def desk(patience: float) -> AsyncIterator[Desk]:
    api = StrictApi()
    async with TestServer(api.app) as server, client_of(server) as client:
        desk = Desk(api, client, patience)
        yield desk
        for task in desk.tasks:
            task.cancel()
        await asyncio.gather(*desk.tasks, return_exceptions=True)


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


# --- refusals --------------------------------------------------------------------------------------------------------


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
        await asyncio.sleep(0.02)

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
    desk.api.put("jobs", job(Widget(metadata=_meta("w")), "old"))
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


def _meta(name: str) -> Any:
    from tandem.api.meta import ObjectMeta

    return ObjectMeta(name=name, namespace="ns", uid=f"uid-{name}")


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
