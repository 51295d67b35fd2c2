"""An experiment's id is remembered for a minute, and never believed for longer than the server agrees with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import mlflow
import pytest

from tandem.api.facts import RunNumbered, RunsOf
from tandem.api.plan import EnsureRun, Refused
from tandem.tracking import Experiments, MlflowClient, TrackingReader, TrackingWriter
from tandem.tracking.errors import TrackingUnavailable
from tandem.tracking.experiments import MISSED, REMEMBERED
from tests.contract.tracking.probes import Recorded, ask

pytestmark = pytest.mark.asyncio


class Seconds:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Tracking:
    """What an operator has: a reader and a writer that share what they remember."""

    def __init__(self, client: MlflowClient) -> None:
        self.seconds = Seconds()
        self.experiments = Experiments(client, self.seconds)
        self.reader = TrackingReader(client, experiments=self.experiments)
        self.writer = TrackingWriter(client, experiments=self.experiments)


@pytest.fixture
def tracking(recorded: Recorded) -> Tracking:
    return Tracking(MlflowClient("", transport=recorded))


@pytest.fixture
def ensure(unique: Callable[[str], str]) -> EnsureRun:
    return EnsureRun(unique("uid"), 1, unique("experiment"), "iris-1", {}, {})


def of(write: EnsureRun, after: str = "") -> RunNumbered:
    return RunNumbered(write.uid, write.experiment, write.number, after)


def id_of(oracle: mlflow.MlflowClient, write: EnsureRun) -> str:
    found = oracle.get_experiment_by_name(write.experiment)
    assert found is not None
    return found.experiment_id


async def test_a_first_run_costs_three_requests(tracking: Tracking, recorded: Recorded, ensure: EnsureRun) -> None:
    """Read and made: a new experiment can hold no run, so none is searched for, and what it holds then is known."""
    assert await ask(tracking.reader, of(ensure)) == ()
    assert of(ensure) in await tracking.writer.carry_out(ensure)

    assert recorded.paths == ["experiments/get-by-name", "experiments/create", "runs/create"]


async def test_what_is_told_of_a_first_run_is_what_would_be_answered_and_who_made_it(
    tracking: Tracking, ensure: EnsureRun
) -> None:
    ensure = replace(ensure, tags={"a": "tag"}, parameters={"seed": "7"})
    told = await tracking.writer.carry_out(ensure)

    (run,) = await ask(tracking.reader, of(ensure))
    (latest,) = await ask(tracking.reader, RunsOf(ensure.uid, ensure.experiment))
    assert run == latest
    made = (replace(run, made=True),)
    assert told == {of(ensure): made, RunsOf(ensure.uid, ensure.experiment): made}


async def test_of_a_second_run_nothing_is_told_as_there_may_be_others(tracking: Tracking, ensure: EnsureRun) -> None:
    await tracking.writer.carry_out(ensure)

    assert await tracking.writer.carry_out(ensure) == {}
    assert await tracking.writer.carry_out(replace(ensure, number=2)) == {}


async def test_an_experiment_that_was_missed_is_looked_for_again_after_a_while(
    tracking: Tracking, recorded: Recorded, ensure: EnsureRun
) -> None:
    await ask(tracking.reader, of(ensure))
    tracking.seconds.now = MISSED
    await tracking.writer.carry_out(ensure)

    assert recorded.paths == [*["experiments/get-by-name"] * 2, "experiments/create", "runs/create"]


async def test_an_experiment_that_somebody_made_since_it_was_missed_is_taken(
    tracking: Tracking, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    await ask(tracking.reader, of(ensure))
    made = oracle.create_experiment(ensure.experiment)

    assert await tracking.writer.carry_out(ensure) == {}, "it may hold runs"

    assert [run.info.run_name for run in oracle.search_runs([made])] == ["iris-1"]


async def test_the_next_run_costs_four(tracking: Tracking, recorded: Recorded, ensure: EnsureRun) -> None:
    await tracking.writer.carry_out(ensure)
    recorded.paths.clear()
    second = EnsureRun(ensure.uid, 2, ensure.experiment, "iris-2", {}, {})

    await ask(tracking.reader, of(second))
    await tracking.writer.carry_out(second)
    await ask(tracking.reader, of(second, "made"))

    assert recorded.paths == ["runs/search", "runs/search", "runs/create", "runs/search"]


async def test_it_is_looked_up_again_after_a_minute(tracking: Tracking, recorded: Recorded, ensure: EnsureRun) -> None:
    await tracking.writer.carry_out(ensure)
    recorded.paths.clear()

    tracking.seconds.now = REMEMBERED - 1
    await ask(tracking.reader, of(ensure))
    tracking.seconds.now = REMEMBERED
    await ask(tracking.reader, of(ensure, "a minute later"))

    assert recorded.paths == ["runs/search", "experiments/get-by-name", "runs/search"]


async def test_one_that_was_deleted_meanwhile_is_refused_like_one_that_was_never_remembered(
    tracking: Tracking, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    await tracking.writer.carry_out(ensure)
    oracle.delete_experiment(id_of(oracle, ensure))

    assert await ask(tracking.reader, of(ensure, "its end")) == ()
    for number in (1, 2):  # a run that went with it, and a new one
        with pytest.raises(Refused) as refused:
            await tracking.writer.carry_out(EnsureRun(ensure.uid, number, ensure.experiment, "iris", {}, {}))
        assert refused.value.reason == "ExperimentDeleted"


async def test_an_id_that_the_server_does_not_know_any_more_is_looked_up_anew(
    tracking: Tracking, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    """As after a restore of the server's database, where the same name has another id."""
    await tracking.writer.carry_out(ensure)
    old = id_of(oracle, ensure)
    oracle.rename_experiment(old, f"{ensure.experiment}-before")
    oracle.delete_experiment(old)
    new = oracle.create_experiment(ensure.experiment)

    await tracking.writer.carry_out(EnsureRun(ensure.uid, 2, ensure.experiment, "iris-2", {}, {}))

    assert [run.info.run_name for run in oracle.search_runs([new])] == ["iris-2"]


async def test_an_outage_ends_what_was_remembered(tracking: Tracking, recorded: Recorded, ensure: EnsureRun) -> None:
    await tracking.writer.carry_out(ensure)

    async def away() -> None:
        raise TrackingUnavailable("connection refused")

    with pytest.raises(TrackingUnavailable):
        await tracking.experiments.trusted("another experiment", away)
    recorded.paths.clear()
    await ask(tracking.reader, of(ensure))

    assert recorded.paths == ["experiments/get-by-name", "runs/search"]
