"""What Prometheus reads: names, labels, and no word of a tenant's in any of them."""

from __future__ import annotations

import asyncio
import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tandem.api.meta import Key
from tandem.engine.api import APPLY_PATCH, MERGE_PATCH
from tandem.engine.controller import JOBS, Figure, collection_path, object_path
from tandem.engine.metrics import Metrics
from tandem.engine.queue import KeyedQueue
from tandem.engine.store import Store
from tandem.engine.watches import Watches
from tests.unit.engine.objects import WIDGETS, controller, resource

pytestmark = pytest.mark.asyncio

Labels = frozenset[tuple[str, str]]


def samples(metrics: Metrics) -> dict[tuple[str, Labels], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return samples(metrics).get((name, frozenset(labels.items())))


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


async def test_an_empty_process_has_them_all_but_those_of_kinds(metrics: Metrics) -> None:
    names = {name for name, _ in samples(metrics)}

    assert {
        "tandem_queue_depth",
        "tandem_queue_oldest_seconds",
        "tandem_event_loop_lag_seconds",
        "tandem_log_lines_lost_total",
        "tandem_leader",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
    } <= names
    assert value(metrics, "tandem_leader") == 0


async def test_who_leads_says_so(metrics: Metrics) -> None:
    metrics.leads(True)
    assert value(metrics, "tandem_leader") == 1


async def test_what_waits_is_counted(metrics: Metrics) -> None:
    queue: KeyedQueue[Key] = KeyedQueue()
    metrics.follow(queue=queue, store=Store([controller()]), watches=Watches([], (), lambda: 0.0))
    queue.add(Key("Widget", "ns", "w"))
    await asyncio.sleep(0.02)

    assert value(metrics, "tandem_queue_depth") == 1
    oldest = value(metrics, "tandem_queue_oldest_seconds")
    assert oldest is not None
    assert oldest >= 0.02


@pytest.mark.parametrize(
    ("method", "path", "content_type", "status", "labels"),
    [
        ("POST", collection_path(JOBS), "application/json", 201, ("create", "jobs", "", "2xx")),
        ("POST", collection_path(JOBS), "application/json", 409, ("create", "jobs", "", "4xx")),
        ("PATCH", object_path(WIDGETS) + "/status", MERGE_PATCH, 200, ("patch", "widgets", "status", "2xx")),
        ("PATCH", object_path(JOBS), APPLY_PATCH, 503, ("apply", "jobs", "", "5xx")),
        ("DELETE", object_path(JOBS), "application/json", 0, ("delete", "jobs", "", "none")),
        ("PUT", object_path(WIDGETS), "application/json", 200, ("update", "widgets", "", "2xx")),
    ],
)
async def test_a_write_is_counted_by_what_was_asked_and_how_it_was_answered(
    metrics: Metrics, method: str, path: str, content_type: str, status: int, labels: tuple[str, ...]
) -> None:
    metrics.requested(method, path, content_type, status)

    named = dict(zip(("verb", "resource", "subresource", "result"), labels, strict=True))
    assert value(metrics, "tandem_writes_total", **named) == 1


async def test_a_read_is_no_write(metrics: Metrics) -> None:
    metrics.requested("GET", object_path(JOBS), "application/json", 200)
    assert not [name for name, _ in samples(metrics) if name == "tandem_writes_total"]


async def test_a_look_at_a_resource_is_timed_by_kind_and_outcome(metrics: Metrics) -> None:
    metrics.reconciled("Widget", "done", 0.02)
    metrics.reconciled("Widget", "done", 0.2)

    labels = {"kind": "Widget", "outcome": "done"}
    assert value(metrics, "tandem_reconcile_duration_seconds_count", **labels) == 2
    assert value(metrics, "tandem_reconcile_duration_seconds_bucket", le="0.025", **labels) == 1


async def test_resources_are_counted_by_phase_and_a_phase_that_nobody_knows_is_other(metrics: Metrics) -> None:
    """Whoever may write a status could make time series without end otherwise."""
    store = Store([controller(phases=frozenset({"Ready"}))])
    phases = ["Ready", "Ready", "", *(f"made-up-{number}" for number in range(50)), ["no", "word"]]
    for number, phase in enumerate(phases):
        store.observe("Widget", resource(f"w{number}", f"uid-{number}", 1, status={"phase": phase}))
    metrics.follow(queue=KeyedQueue(), store=store, watches=Watches([], (), lambda: 0.0))

    assert {
        dict(labels)["state"]: count for (name, labels), count in samples(metrics).items() if name == "tandem_resources"
    } == {"Ready": 2, "New": 1, "Other": 51}


async def test_figures_of_a_kind_are_told_of_each_resource_that_has_them(metrics: Metrics) -> None:
    figure = Figure("tandem_widget_speed", "How fast it is", ("motor", "speed"))
    store = Store([controller(figures=(figure,))])
    given: list[object] = [{"speed": 3}, {"speed": "0.250"}, {"speed": "fast"}, {"speed": None}, {}, "no object"]
    for number, motor in enumerate(given):
        store.observe("Widget", resource(f"w{number}", f"uid-{number}", 1, status={"motor": motor}))
    metrics.follow(queue=KeyedQueue(), store=store, watches=Watches([], (), lambda: 0.0))

    assert {
        (dict(labels)["namespace"], dict(labels)["name"]): told
        for (name, labels), told in samples(metrics).items()
        if name == figure.metric
    } == {("ns", "w0"): 3, ("ns", "w1"): 0.25}


async def test_watches_tell_how_long_nothing_was_heard_and_whether_they_are_deaf(metrics: Metrics) -> None:
    now = 0.0
    watches = Watches([WIDGETS, JOBS], (), lambda: now)
    metrics.follow(queue=KeyedQueue(), store=Store([controller()]), watches=watches)
    assert value(metrics, "tandem_watch_age_seconds", resource="jobs") is None, "nothing is watched yet"

    watches.begin()
    now = 30.0
    watches.heard("/apis/batch/v1/jobs")
    now = 42.0

    assert value(metrics, "tandem_watch_age_seconds", resource="jobs") == 12
    assert value(metrics, "tandem_watch_age_seconds", resource="widgets") == 42
    assert value(metrics, "tandem_watch_deaf", resource="jobs") == 0


async def test_a_request_to_mlflow_is_counted_by_endpoint(metrics: Metrics) -> None:
    metrics.asked_outside("runs/search", 200)
    metrics.asked_outside("runs/search", 0)

    assert value(metrics, "tandem_external_requests_total", endpoint="runs/search", result="2xx") == 1
    assert value(metrics, "tandem_external_requests_total", endpoint="runs/search", result="none") == 1


async def test_case_49_a_loop_that_stood_still_tells_it_to_whoever_asks_within_the_minute(metrics: Metrics) -> None:
    task = asyncio.create_task(metrics.measure_lag())
    await asyncio.sleep(0)
    time.sleep(1.3)  # the stall itself: 0.3 s later than the look that was due
    asked_at_once = value(metrics, "tandem_event_loop_lag_seconds")
    await asyncio.sleep(1.1)
    asked_later = value(metrics, "tandem_event_loop_lag_seconds")
    task.cancel()

    assert asked_at_once is not None
    assert asked_later is not None
    assert asked_at_once >= 0.3
    assert asked_later >= 0.3
