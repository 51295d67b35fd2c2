"""Writes to MLflow runs, on a real server: idempotent, also when the operator is killed between any two requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import mlflow
import pytest
from mlflow.entities import ViewType

from tandem.api import names
from tandem.api.plan import EndRun, EnsureRun, Refused, TagRun
from tandem.tracking import MlflowClient, TrackingWriter
from tests.contract.tracking.probes import Crashing, Killed, Raced, Recorded
from tests.contract.tracking.server import MlflowServer

pytestmark = pytest.mark.asyncio


@pytest.fixture
def ensure(unique: Callable[[str], str]) -> EnsureRun:
    uid = unique("uid")
    return EnsureRun(
        uid=uid,
        number=3,
        experiment=unique("experiment"),
        name="iris-3",
        tags={names.TAG_RESOURCE: "default/iris", names.TAG_TRIGGER: "SpecChanged"},
        parameters={"max_iter": "200", "C": "0.5"},
    )


def runs_of(oracle: mlflow.MlflowClient, write: EnsureRun) -> list[mlflow.entities.Run]:
    experiment = oracle.get_experiment_by_name(write.experiment)
    return list(oracle.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)) if experiment else []


async def test_ensure_run_makes_the_experiment_and_a_running_run_with_tags_and_parameters(
    client: MlflowClient, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    await TrackingWriter(client).carry_out(ensure)

    (run,) = runs_of(oracle, ensure)
    assert run.info.status == "RUNNING"
    assert run.info.run_name == "iris-3"
    assert run.data.params == {"max_iter": "200", "C": "0.5"}
    assert run.data.tags == {
        names.TAG_RESOURCE_UID: ensure.uid,
        names.TAG_RUN: "3",
        names.TAG_RESOURCE: "default/iris",
        names.TAG_TRIGGER: "SpecChanged",
        "mlflow.runName": "iris-3",
        "mlflow.user": "tandem",
        "mlflow.source.type": "JOB",
        "mlflow.source.name": "TrainingJob default/iris",
    }


async def test_an_unmodified_script_joins_the_run(
    client: MlflowClient, oracle: mlflow.MlflowClient, ensure: EnsureRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    await TrackingWriter(client).carry_out(ensure)
    (made,) = runs_of(oracle, ensure)
    monkeypatch.setenv("MLFLOW_RUN_ID", made.info.run_id)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", made.info.experiment_id)

    with mlflow.start_run() as joined:
        mlflow.log_metric("accuracy", 0.9)

    assert joined.info.run_id == made.info.run_id
    (run,) = runs_of(oracle, ensure)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"accuracy": 0.9})


async def test_ensure_run_again_finds_the_run_and_writes_nothing(
    recorded: Recorded, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    writer = TrackingWriter(MlflowClient("", transport=recorded))
    await writer.carry_out(ensure)
    recorded.paths.clear()

    await writer.carry_out(ensure)

    assert recorded.paths == ["runs/search"]
    assert len(runs_of(oracle, ensure)) == 1


async def test_an_experiment_that_somebody_else_makes_at_the_same_moment_is_used(
    server: MlflowServer, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    faster = Raced(server.url, "experiments/create", lambda: oracle.create_experiment(ensure.experiment))

    async with MlflowClient("", transport=faster) as client:
        await TrackingWriter(client).carry_out(ensure)

    assert len(runs_of(oracle, ensure)) == 1


async def test_each_run_number_has_a_run_of_its_own(
    client: MlflowClient, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    writer = TrackingWriter(client)

    await writer.carry_out(ensure)
    await writer.carry_out(replace(ensure, number=4))
    await writer.carry_out(replace(ensure, uid=f"{ensure.uid}-other"))

    assert len(runs_of(oracle, ensure)) == 3


async def test_more_than_a_batch_of_parameters_is_logged_whole(
    client: MlflowClient, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    parameters = {f"p{index}": str(index) for index in range(250)}

    await TrackingWriter(client).carry_out(replace(ensure, parameters=parameters))

    assert runs_of(oracle, ensure)[0].data.params == parameters


@pytest.mark.parametrize("experiment_is_there", [False, True])
async def test_killed_after_any_request_and_repeated_there_is_exactly_one_run_with_all_its_parameters(
    server: MlflowServer,
    recorded: Recorded,
    oracle: mlflow.MlflowClient,
    ensure: EnsureRun,
    unique: Callable[[str], str],
    experiment_is_there: bool,
) -> None:
    # Given: two batches of parameters, so that a crash may fall between them
    ensure = replace(ensure, parameters={f"p{index}": str(index) for index in range(120)})

    def fresh() -> EnsureRun:
        write = replace(ensure, uid=unique("uid"), experiment=unique("experiment"))
        if experiment_is_there:
            oracle.create_experiment(write.experiment)
        return write

    await TrackingWriter(MlflowClient("", transport=recorded)).carry_out(fresh())
    requests = len(recorded.paths)
    assert requests == 5, recorded.paths

    for after in range(1, requests + 1):
        write = fresh()
        # When
        crashing = Crashing(server.url, after)
        with pytest.raises(Killed):
            await TrackingWriter(MlflowClient("", transport=crashing)).carry_out(write)
        await crashing.close()
        await TrackingWriter(MlflowClient("", transport=recorded)).carry_out(write)
        # Then
        (run,) = runs_of(oracle, write)
        assert run.data.params == write.parameters, f"killed after request {after}"


async def test_a_deleted_experiment_is_refused_with_the_command_that_restores_it(
    client: MlflowClient, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    experiment_id = oracle.create_experiment(ensure.experiment)
    oracle.delete_experiment(experiment_id)

    with pytest.raises(Refused) as refused:
        await TrackingWriter(client).carry_out(ensure)

    assert refused.value.reason == "ExperimentDeleted"
    assert f"mlflow experiments restore --experiment-id {experiment_id}" in refused.value.message


async def test_a_deleted_run_is_refused_not_made_again(
    client: MlflowClient, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    writer = TrackingWriter(client)
    await writer.carry_out(ensure)
    (run,) = runs_of(oracle, ensure)
    oracle.delete_run(run.info.run_id)

    for write in (ensure, TagRun(run.info.run_id, {"a": "b"})):
        with pytest.raises(Refused) as refused:
            await writer.carry_out(write)
        assert refused.value.reason == "RunDeleted"
        assert f"mlflow runs restore --run-id {run.info.run_id}" in refused.value.message
    assert len(runs_of(oracle, ensure)) == 1


async def test_a_uid_cannot_leave_the_filter_it_is_put_into(client: MlflowClient, ensure: EnsureRun) -> None:
    with pytest.raises(Refused, match="not an id"):
        await TrackingWriter(client).carry_out(replace(ensure, uid="x' OR tags.a = 'b"))


async def test_tags_are_set_on_a_run_and_may_be_set_again(
    client: MlflowClient, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    writer = TrackingWriter(client)
    await writer.carry_out(ensure)
    (run,) = runs_of(oracle, ensure)
    tags = {names.TAG_GATE: "Blessed", **{f"t{index}": "x" for index in range(120)}}

    await writer.carry_out(TagRun(run.info.run_id, tags))
    await writer.carry_out(TagRun(run.info.run_id, tags))

    assert tags.items() <= oracle.get_run(run.info.run_id).data.tags.items()


@pytest.mark.parametrize("write", [TagRun("0" * 32, {"a": "b"}), EndRun("0" * 32, "KILLED")])
async def test_a_run_that_mlflow_does_not_know_is_refused(client: MlflowClient, write: TagRun | EndRun) -> None:
    with pytest.raises(Refused, match="does not know run") as refused:
        await TrackingWriter(client).carry_out(write)
    assert refused.value.reason == "RunDeleted"


async def test_a_run_that_its_script_left_open_is_closed(
    client: MlflowClient, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    writer = TrackingWriter(client, milliseconds=lambda: 1_795_000_000_000)
    await writer.carry_out(ensure)
    (run,) = runs_of(oracle, ensure)

    await writer.carry_out(EndRun(run.info.run_id, "KILLED"))

    ended = oracle.get_run(run.info.run_id).info
    assert (ended.status, ended.end_time) == ("KILLED", 1_795_000_000_000)


async def test_a_run_that_its_script_ended_keeps_the_script_s_word(
    client: MlflowClient, oracle: mlflow.MlflowClient, ensure: EnsureRun
) -> None:
    writer = TrackingWriter(client)
    await writer.carry_out(ensure)
    (run,) = runs_of(oracle, ensure)
    oracle.set_terminated(run.info.run_id, "FINISHED")

    await writer.carry_out(EndRun(run.info.run_id, "FAILED"))

    assert oracle.get_run(run.info.run_id).info.status == "FINISHED"
