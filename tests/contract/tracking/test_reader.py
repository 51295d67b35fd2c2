"""What the reader answers, from data that the mlflow library made on a real server."""

from __future__ import annotations

import contextlib
import math
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import mlflow
import pytest
import pytest_asyncio
from mlflow.entities import LoggedModelStatus, Metric

from tandem.api import names
from tandem.api.facts import (
    LoggedProgress,
    MetricsSince,
    ModelNamed,
    ProgressOf,
    RegisteredModel,
    RunNamed,
    RunNumbered,
    RunsOf,
    TrackedRun,
    Unavailable,
    VersionNumbered,
    VersionsFrom,
)
from tandem.api.plan import EnsureRun, MoveAlias, RegisterVersion
from tandem.tracking import MlflowClient, TrackingReader, TrackingWriter
from tests.contract.tracking.probes import Recorded, ask

pytestmark = pytest.mark.asyncio


@pytest_asyncio.fixture
async def reader(client: MlflowClient) -> AsyncIterator[TrackingReader]:
    yield TrackingReader(client)


@pytest.fixture
def experiment(oracle: mlflow.MlflowClient, unique: Callable[[str], str]) -> str:
    name = unique("experiment")
    oracle.create_experiment(name)
    return name


def id_of(oracle: mlflow.MlflowClient, experiment: str) -> str:
    found = oracle.get_experiment_by_name(experiment)
    assert found is not None
    return str(found.experiment_id)


def make_run(
    oracle: mlflow.MlflowClient, experiment: str, uid: str, number: object, start_time: int | None = None
) -> str:
    experiment_id = id_of(oracle, experiment)
    tags = {names.TAG_RESOURCE_UID: uid, names.TAG_RUN: str(number)}
    return str(oracle.create_run(experiment_id, start_time=start_time, tags=tags).info.run_id)


# --- runs ------------------------------------------------------------------------------------------------------------


async def test_runs_are_those_of_the_resource_lowest_number_first(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str
) -> None:
    made = {number: make_run(oracle, experiment, "uid-a", number) for number in (10, 2, 1)}
    make_run(oracle, experiment, "uid-b", 3)

    runs = await ask(reader, RunsOf("uid-a", experiment))

    assert [(run.number, run.run_id) for run in runs] == [(1, made[1]), (2, made[2]), (10, made[10])]


async def test_of_many_runs_those_that_began_last_are_answered(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem.tracking.reader.LATEST_RUNS", 3)
    for number in (2, 10, 9, 1, 3):
        make_run(oracle, experiment, "uid", number, start_time=1000 + number)

    assert [run.number for run in await ask(reader, RunsOf("uid", experiment))] == [3, 9, 10]


async def test_the_latest_runs_that_passed_are_found_behind_any_number_of_others(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem.tracking.reader.LATEST_RUNS", 2)
    results = {1: "Passed", 2: "Passed", 3: "Passed", 4: "Failed", 5: "Unknown", 6: "Failed", 7: ""}
    for number, result in results.items():
        run_id = make_run(oracle, experiment, "uid", number, start_time=1000 + number)
        if result:
            oracle.set_tag(run_id, names.TAG_GATE_RESULT, result)

    assert [run.number for run in await ask(reader, RunsOf("uid", experiment, passed=True))] == [2, 3]


async def test_a_run_of_one_number_is_asked_for_alone(
    recorded: Recorded, oracle: mlflow.MlflowClient, experiment: str
) -> None:
    made = {number: make_run(oracle, experiment, "uid", number) for number in (1, 10, 11)}
    make_run(oracle, experiment, "another", 1)
    reader = TrackingReader(MlflowClient("", transport=recorded))

    assert [run.run_id for run in await ask(reader, RunNumbered("uid", experiment, 1))] == [made[1]]
    assert await ask(reader, RunNumbered("uid", experiment, 2)) == ()
    assert recorded.paths == ["experiments/get-by-name", "runs/search", "runs/search"], "and no models of what goes on"


async def test_a_run_tells_status_start_tags_and_latest_metrics(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str
) -> None:
    run_id = make_run(oracle, experiment, "uid", 1, start_time=1_795_000_000_123)
    for step, value in enumerate((0.5, 0.9)):
        oracle.log_metric(run_id, "accuracy", value, step=step)
    oracle.set_terminated(run_id, "FAILED")

    (run,) = await ask(reader, RunsOf("uid", experiment))

    assert run.status == "FAILED"
    assert run.started_at == datetime.fromtimestamp(1_795_000_000.123, UTC)
    assert run.metrics == {"accuracy": 0.9}
    assert run.tags[names.TAG_RESOURCE_UID] == "uid"


async def test_a_run_tells_when_each_metric_was_logged_and_by_which_end_it_ended_last(
    client: MlflowClient, oracle: mlflow.MlflowClient, experiment: str, unique: Callable[[str], str]
) -> None:
    """All attempts of a training join one run: MLflow keeps the first end until the next one, whatever is between."""
    uid = unique("uid")
    run_id = make_run(oracle, experiment, uid, 1)
    reader = TrackingReader(client)

    async def found() -> TrackedRun:
        (run,) = await ask(reader, RunNumbered(uid, experiment, 1, after=unique("moment")))
        return run

    assert (await found()).ended_at is None
    oracle.log_metric(run_id, "accuracy", 0.9, timestamp=1_700_000_000_123)
    oracle.set_terminated(run_id, "FAILED", end_time=1_700_000_001_000)
    first = await found()
    assert (first.status, first.metric_times) == ("FAILED", {"accuracy": 1_700_000_000_123})
    assert first.ended_at == datetime.fromtimestamp(1_700_000_001, UTC)

    with mlflow.start_run(run_id=run_id):
        again = await found()
        assert (again.status, again.ended_at) == ("RUNNING", first.ended_at)
        mlflow.log_metric("accuracy", 0.8)
    last = await found()
    assert last.status == "FINISHED"
    assert last.ended_at is not None
    assert last.metric_times["accuracy"] <= last.ended_at.timestamp() * 1000
    assert last.ended_at > again.started_at


async def test_what_was_logged_since_is_the_value_of_its_highest_step_also_where_that_is_not_mlflow_s_latest(
    client: MlflowClient,
    oracle: mlflow.MlflowClient,
    experiment: str,
    unique: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tandem.tracking.client.POINTS_PER_PAGE", 2)
    uid, names_ = unique("uid"), ("accuracy", "loss", "old", "never")
    run_id = make_run(oracle, experiment, uid, 1)
    first = [Metric("accuracy", 0.99, 1000 + step, step) for step in range(5)] + [Metric("old", 1.0, 1000, 0)]
    second = [Metric("accuracy", 0.1 * step, 9000 + step, step) for step in range(4)]
    second += [Metric("loss", math.nan, 9000, 0), Metric("accuracy", 0.35, 9500, 3)]
    oracle.log_batch(run_id, metrics=[*first, *second])
    oracle.set_terminated(run_id)
    reader = TrackingReader(client)

    (run,) = await ask(reader, RunsOf(uid, experiment))
    assert (run.metrics["accuracy"], run.metric_times["accuracy"]) == (0.99, 1004), (
        "the highest step, whoever logged it"
    )
    since = dict(await ask(reader, MetricsSince(run_id, names_, 9000)))
    assert math.isnan(since.pop("loss"))
    assert since == {"accuracy": 0.35}


@pytest.mark.parametrize("error", [ValueError(), SystemExit(0)], ids=repr)
async def test_what_leaves_the_run_by_an_exception_makes_it_failed_also_if_the_script_goes_on(
    oracle: mlflow.MlflowClient, experiment: str, error: BaseException
) -> None:
    run_id = make_run(oracle, experiment, "uid", 1)
    with contextlib.suppress(ValueError, SystemExit), mlflow.start_run(run_id=run_id):
        raise error
    assert oracle.get_run(run_id).info.status == "FAILED"


async def test_progress_is_told_while_the_run_goes_on(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str
) -> None:
    run_id = make_run(oracle, experiment, "uid", 1)
    assert await ask(reader, ProgressOf(run_id)) == LoggedProgress()

    for step in range(3):
        oracle.log_metric(run_id, "loss", 1.0 / (step + 1), step=step, timestamp=1_795_000_000_000 + step * 1000)
    oracle.log_metric(run_id, "progress", 37.5, timestamp=1_795_000_000_000)
    oracle.log_metric(run_id, "system/cpu_utilization_percentage", 99, step=50)

    told = await ask(reader, ProgressOf(run_id))
    assert told == LoggedProgress(37, 2, datetime.fromtimestamp(1_795_000_002, UTC))


async def test_a_run_by_its_id_is_whose_ever_it_is_and_one_that_was_deleted_says_so(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str
) -> None:
    run_id = make_run(oracle, experiment, "uid", 3)
    found = await ask(reader, RunNamed(run_id))
    assert found is not None
    assert (found.run_id, found.number, found.status) == (run_id, 3, "RUNNING")
    assert await ask(reader, RunNamed("f" * 32)) is None
    oracle.delete_run(run_id)
    gone = await ask(reader, RunNamed(run_id))
    assert gone is not None
    assert gone.status == "DELETED"


async def test_nan_and_infinities_are_answered_as_what_was_logged(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str
) -> None:
    run_id = make_run(oracle, experiment, "uid", 1)
    logged = {"nan": math.nan, "up": math.inf, "down": -math.inf, "zero": 0.0, "large": 1e308}
    oracle.log_batch(run_id, metrics=[Metric(key, value, 1, 0) for key, value in logged.items()])

    (run,) = await ask(reader, RunsOf("uid", experiment))

    assert math.isnan(run.metrics["nan"])
    assert {key: value for key, value in run.metrics.items() if key != "nan"} == {
        "up": math.inf,
        "down": -math.inf,
        "zero": 0.0,
        "large": 1e308,
    }


async def test_an_ended_run_has_its_logged_models_oldest_first_and_a_running_one_has_none_yet(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str
) -> None:
    experiment_id = id_of(oracle, experiment)
    run_ids = {number: make_run(oracle, experiment, "uid", number) for number in (1, 2, 3)}
    models: dict[int, list[str]] = {}
    for number, run_id in run_ids.items():
        for name in ("autologged", "model"):
            model = oracle.create_logged_model(experiment_id, name=name, source_run_id=run_id)
            oracle.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
            models.setdefault(number, []).append(model.model_id)
    oracle.set_terminated(run_ids[1], "FINISHED")
    oracle.set_terminated(run_ids[2], "KILLED")

    runs = [run for number in (1, 2, 3) for run in await ask(reader, RunNumbered("uid", experiment, number))]

    assert [[model.model_id for model in run.models] for run in runs] == [models[1], models[2], []]
    assert [(model.name, model.status) for model in runs[0].models] == [("autologged", "READY"), ("model", "READY")]
    assert runs[0].models[0].artifact_uri.endswith(f"{models[1][0]}/artifacts")


async def test_a_model_whose_upload_failed_says_so(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str
) -> None:
    experiment_id = id_of(oracle, experiment)
    run_id = make_run(oracle, experiment, "uid", 1)
    oracle.create_logged_model(experiment_id, name="pending", source_run_id=run_id)
    failed = oracle.create_logged_model(experiment_id, name="failed", source_run_id=run_id)
    oracle.finalize_logged_model(failed.model_id, LoggedModelStatus.FAILED)
    oracle.set_terminated(run_id)

    (run,) = await ask(reader, RunNumbered("uid", experiment, 1))

    assert [(model.name, model.status) for model in run.models] == [("pending", "PENDING"), ("failed", "FAILED")]


async def test_of_two_runs_with_one_number_the_older_counts_for_reader_and_writer_alike(
    client: MlflowClient, reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str
) -> None:
    make_run(oracle, experiment, "uid", 1, start_time=2000)
    older = make_run(oracle, experiment, "uid", 1, start_time=1000)

    await TrackingWriter(client).carry_out(EnsureRun("uid", 1, experiment, "iris-1", {}, {"written": "yes"}))

    for question in (RunsOf("uid", experiment), RunNumbered("uid", experiment, 1)):
        (run,) = await ask(reader, question)
        assert run.run_id == older
    assert oracle.get_run(older).data.params == {"written": "yes"}


async def test_runs_without_a_number_are_not_ours(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str
) -> None:
    make_run(oracle, experiment, "uid", "first")
    assert await ask(reader, RunsOf("uid", experiment)) == ()


async def test_a_missing_a_deleted_and_an_empty_experiment_have_no_runs(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str, unique: Callable[[str], str]
) -> None:
    deleted = unique("deleted")
    oracle.delete_experiment(oracle.create_experiment(deleted))

    for name in (unique("missing"), deleted, experiment):
        assert await ask(reader, RunsOf("uid", name)) == ()
        assert await ask(reader, RunNumbered("uid", name, 1)) == ()


async def test_deleted_runs_are_not_answered(
    reader: TrackingReader, oracle: mlflow.MlflowClient, experiment: str
) -> None:
    oracle.delete_run(make_run(oracle, experiment, "uid", 1))
    assert await ask(reader, RunsOf("uid", experiment)) == ()
    assert await ask(reader, RunNumbered("uid", experiment, 1)) == ()


# --- the registry ----------------------------------------------------------------------------------------------------


async def test_models_are_answered_by_one_request_for_all_names(
    recorded: Recorded, oracle: mlflow.MlflowClient, unique: Callable[[str], str]
) -> None:
    present, missing = [unique("model") for _ in range(3)], unique("missing")
    for name in present:
        oracle.create_registered_model(name, tags={"team": "a"})
    reader = TrackingReader(MlflowClient("", transport=recorded))

    answers = await reader.answer([ModelNamed(name) for name in (*present, missing)])

    assert recorded.paths == ["registered-models/search"]
    assert answers[ModelNamed(missing)] == RegisteredModel(missing, exists=False)
    for name in present:
        assert answers[ModelNamed(name)] == RegisteredModel(name, exists=True, tags={"team": "a"})


async def test_what_the_writer_did_the_reader_sees(
    client: MlflowClient, reader: TrackingReader, oracle: mlflow.MlflowClient, unique: Callable[[str], str]
) -> None:
    name, experiment = unique("iris"), unique("experiment")
    writer = TrackingWriter(client)
    await writer.carry_out(EnsureRun("uid", 1, experiment, "iris-1", {}, {}))
    (run,) = await ask(reader, RunsOf("uid", experiment))
    oracle.log_metric(run.run_id, "accuracy", 0.97)
    model = oracle.create_logged_model(run.experiment_id, name="model", source_run_id=run.run_id)
    oracle.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
    await writer.carry_out(RegisterVersion("default", name, run.run_id, model.model_id, {names.TAG_GATE: "passed"}))
    await writer.carry_out(MoveAlias("default", name, "champion", "1", expected=None))

    registered = RegisteredModel(name, True, {"champion": "1"}, {names.TAG_NAMESPACE: "default"})
    assert await ask(reader, ModelNamed(name)) == registered
    version = await ask(reader, VersionNumbered(name, "1"))
    assert version is not None
    assert (version.run_id, version.source, version.status) == (run.run_id, f"models:/{model.model_id}", "READY")
    assert (version.tags, version.metrics) == ({names.TAG_GATE: "passed"}, {"accuracy": 0.97})
    assert await ask(reader, VersionsFrom(name, run.run_id, after="registered")) == (version,)
    assert await ask(reader, VersionsFrom(name, "f" * 32)) == ()


@pytest.mark.parametrize("version", ["9", "latest", "", "1; drop"])
async def test_a_version_that_is_not_there_is_none(
    reader: TrackingReader, oracle: mlflow.MlflowClient, unique: Callable[[str], str], version: str
) -> None:
    name = unique("iris")
    oracle.create_registered_model(name)

    assert await ask(reader, VersionNumbered(name, version)) is None
    assert await ask(reader, VersionNumbered(unique("missing"), version)) is None


async def test_a_version_outlives_the_run_that_made_it(
    reader: TrackingReader, oracle: mlflow.MlflowClient, unique: Callable[[str], str]
) -> None:
    name = unique("iris")
    oracle.create_registered_model(name)
    oracle.create_model_version(name, "s3://bucket/model", run_id="0" * 32)

    version = await ask(reader, VersionNumbered(name, "1"))
    assert version is not None
    assert version.metrics == {}


async def test_a_question_that_mlflow_rejects_spoils_no_other(
    reader: TrackingReader, experiment: str, unique: Callable[[str], str]
) -> None:
    bad, good, other = RunsOf("it's", experiment), RunsOf("uid", experiment), ModelNamed(unique("missing"))

    answers = await reader.answer([bad, good, other])

    rejected = answers[bad]
    assert isinstance(rejected, Unavailable)
    assert rejected.reason == "TrackingRejected"
    assert answers[good] == ()
    assert answers[other] == RegisteredModel(other.name, exists=False)
