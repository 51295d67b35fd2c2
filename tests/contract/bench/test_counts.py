"""What the bench counts, held exactly, with few resources on a real API server. Nothing here is held by time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import latency, restart, throughput
from bench.actors import BARE, ENGINE, KOPF, SHIPPED, TANDEM, Actor
from bench.ground import Ground, prepared

FEW = 24


@pytest.fixture(scope="module")
def bench_ground() -> Iterator[Ground]:
    with prepared() as ground:
        yield ground


@pytest.fixture
def ground(bench_ground: Ground) -> Iterator[Ground]:
    """Empty before each test."""
    yield bench_ground
    bench_ground.clear()


@pytest.mark.parametrize("actor", [BARE, TANDEM, ENGINE, SHIPPED], ids=lambda actor: actor.name)
def test_a_resource_costs_a_job_and_a_status_and_nothing_else(ground: Ground, actor: Actor) -> None:
    measured = throughput.measure(ground, actor, FEW)

    assert measured.requests == {"create jobs": FEW, "patch trainingjobs/status": FEW}


def test_the_naive_operator_makes_the_same_job_and_status_with_more_writes(ground: Ground) -> None:
    measured = throughput.measure(ground, KOPF, FEW)

    assert measured.requests["create jobs"] == FEW
    assert measured.requests["patch trainingjobs/status"] >= FEW
    assert measured.requests["patch trainingjobs"] >= FEW, "kopf notes in an annotation what it has handled"


@pytest.mark.parametrize("actor", [BARE, SHIPPED], ids=lambda actor: actor.name)
def test_every_creation_at_a_steady_rate_has_its_latency(ground: Ground, actor: Actor) -> None:
    measured = latency.measure(ground, actor, per_second=10, seconds=1)

    assert len(measured.milliseconds) == 10
    assert min(measured.milliseconds) > 0, "no Job is there before its resource"


def test_a_restart_looks_at_everything_and_writes_nothing_and_keeps_no_task_for_a_resource(ground: Ground) -> None:
    restart.fill(ground, FEW)
    few = restart.measure(ground, FEW, rest_seconds=1)
    restart.fill(ground, FEW)
    twice = restart.measure(ground, 2 * FEW, rest_seconds=1)

    assert (few.looked_at, few.writes) == (FEW, 0)
    assert (twice.looked_at, twice.writes) == (2 * FEW, 0)
    assert twice.tasks == few.tasks
    assert twice.requests == few.requests, "no request for a single resource"
