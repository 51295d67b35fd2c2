"""What the bench counts, held exactly, with few resources on a real API server. Nothing here is held by time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench import failover, latency, poison, restart, throughput, trainer
from bench.actors import BARE, BARE_MLFLOW, ENGINE, KOPF, SHIPPED, TANDEM, Actor
from bench.ground import Ground, prepared

FEW = 24
# What Tandem is held against, and what tests/faults holds on the stand-in.
further = pytest.mark.slow


@pytest.fixture(scope="module")
def bench_ground() -> Iterator[Ground]:
    with prepared() as ground:
        yield ground


@pytest.fixture
def ground(bench_ground: Ground) -> Iterator[Ground]:
    """Empty before each test."""
    yield bench_ground
    bench_ground.clear()


@pytest.mark.parametrize(
    "actor",
    [TANDEM, SHIPPED, *(pytest.param(actor, marks=further) for actor in (BARE, BARE_MLFLOW, ENGINE))],
    ids=lambda actor: actor.name,
)
def test_a_resource_costs_a_job_and_a_status_and_nothing_else(ground: Ground, actor: Actor) -> None:
    requests = dict(throughput.measure(ground, actor, FEW).requests)

    # Soon after its start Tandem compares: one list of each kind, however many resources there are.
    lists = {what: requests.pop(what) for what in list(requests) if what.startswith("list ")}
    assert max(lists.values(), default=0) <= 2
    assert requests == {"create jobs": FEW, "patch trainingjobs/status": FEW}


@further
def test_the_bare_client_with_mlflow_asks_it_what_tandem_asks(ground: Ground) -> None:
    """Else the one would be no ceiling of the other."""
    asked = throughput.measure(ground, TANDEM, FEW).asked_mlflow
    ground.clear()

    assert throughput.measure(ground, BARE_MLFLOW, FEW).asked_mlflow == asked
    assert sum(asked.values()) == 3 * FEW


@further
def test_the_naive_operator_makes_the_same_job_and_status_with_more_writes(ground: Ground) -> None:
    measured = throughput.measure(ground, KOPF, FEW)

    assert measured.requests["create jobs"] == FEW
    assert measured.requests["patch trainingjobs/status"] >= FEW
    assert measured.requests["patch trainingjobs"] >= FEW, "kopf notes in an annotation what it has handled"


@further
def test_kubeflow_trainer_is_measured_by_its_jobsets(ground: Ground) -> None:
    if not trainer.part().folder.exists():
        pytest.skip("its manager takes minutes to build; `make bench` does")

    measured = trainer.measure(ground, FEW)

    assert measured.requests["patch jobsets"] >= FEW
    assert "create jobs" not in measured.requests, "that is left to JobSet's controller"


@further
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


@further
@pytest.mark.parametrize("fault", [failover.STOPPED, failover.CUT_OFF])
def test_a_leader_that_is_stopped_or_cut_off_writes_nothing_more_and_no_resource_has_two_jobs(
    ground: Ground, fault: str
) -> None:
    """That another takes over, after kill -9 and SIGTERM too, is tested in tests/contract/engine."""
    failover.fill(ground, FEW)

    measured = failover.measure(ground, fault, FEW, pause=16, duration=12)

    assert measured.most_live_jobs == 1
    assert measured.jobs == measured.created
    assert (measured.writes_after_resuming, measured.writes_of_the_former) == (0, 0)
    assert measured.writes_into_settled == 0, "the next leader has nothing to do about what is settled"


@further
def test_a_poison_costs_the_others_nothing_and_tells_its_own_error(ground: Ground) -> None:
    without = poison.measure(ground, FEW, poisoned=False)
    ground.clear()
    beside = poison.measure(ground, FEW + 1, poisoned=True)

    assert beside.requests == without.requests == {"create jobs": FEW, "patch trainingjobs/status": FEW}
    assert (beside.poison_writes, beside.poison_reason) == (1, "InvalidSpec")
