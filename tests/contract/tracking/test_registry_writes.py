"""Writes to MLflow's model registry, on a real server: one version per run, one owner, aliases by compare-and-set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import mlflow
import numpy as np
import pytest
import pytest_asyncio
from mlflow.entities import LoggedModelStatus
from mlflow.entities.model_registry import ModelVersion
from sklearn.linear_model import LogisticRegression

from tandem.api import names
from tandem.api.plan import MoveAlias, Refused, RegisterVersion
from tandem.tracking import MlflowClient, TrackingWriter
from tests.contract.tracking.probes import Crashing, Killed, Raced, Recorded
from tests.contract.tracking.server import MlflowServer

pytestmark = pytest.mark.asyncio


@dataclass(frozen=True)
class Trained:
    """An ended run and the model that it logged."""

    run_id: str
    model_id: str


Train = Callable[[], Trained]


@pytest.fixture
def train(oracle: mlflow.MlflowClient, unique: Callable[[str], str]) -> Train:
    """Logs a model without files: all that the registry wants to know."""
    experiment_id = oracle.create_experiment(unique("experiment"))

    def train() -> Trained:
        run = oracle.create_run(experiment_id)
        model = oracle.create_logged_model(experiment_id, name="model", source_run_id=run.info.run_id)
        oracle.finalize_logged_model(model.model_id, LoggedModelStatus.READY)
        oracle.set_terminated(run.info.run_id)
        return Trained(run.info.run_id, model.model_id)

    return train


@pytest.fixture
def register(train: Train, unique: Callable[[str], str]) -> RegisterVersion:
    trained = train()
    tags = {names.TAG_NAMESPACE: "default", names.TAG_RUN_ID: trained.run_id, names.TAG_GATE: "accuracy 0.97"}
    return RegisterVersion("default", unique("iris"), trained.run_id, trained.model_id, tags)


def versions(oracle: mlflow.MlflowClient, name: str) -> list[ModelVersion]:
    return list(oracle.search_model_versions(f"name = '{name}'"))


# --- registration ----------------------------------------------------------------------------------------------------


async def test_a_registered_version_can_be_loaded_by_name(
    client: MlflowClient, oracle: mlflow.MlflowClient, unique: Callable[[str], str]
) -> None:
    # Given: a model logged by an ordinary script
    with mlflow.start_run(experiment_id=oracle.create_experiment(unique("experiment"))) as run:
        fitted = LogisticRegression().fit(np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1])
        logged = mlflow.sklearn.log_model(fitted, name="model", pip_requirements=["scikit-learn"])
    name = unique("iris")

    # When
    await TrackingWriter(client).carry_out(RegisterVersion("default", name, run.info.run_id, logged.model_id, {}))

    # Then
    model = mlflow.pyfunc.load_model(f"models:/{name}/1")
    assert list(model.predict(np.array([[0.0], [3.0]]))) == [0, 1]


async def test_a_version_looks_as_if_mlflow_had_registered_it(
    client: MlflowClient, oracle: mlflow.MlflowClient, train: Train, unique: Callable[[str], str]
) -> None:
    ours, theirs = train(), train()
    name = unique("iris")

    await TrackingWriter(client).carry_out(RegisterVersion("default", name, ours.run_id, ours.model_id, {"a": "b"}))
    mlflow.register_model(f"models:/{theirs.model_id}", name, tags={"a": "b"})

    def shape(version: ModelVersion, trained: Trained) -> dict[str, object]:
        found = {key: value for key, value in dict(version).items() if "timestamp" not in key and key != "version"}
        return {k: str(v).replace(trained.model_id, "MODEL").replace(trained.run_id, "RUN") for k, v in found.items()}

    assert shape(oracle.get_model_version(name, "1"), ours) == shape(oracle.get_model_version(name, "2"), theirs)
    noted = oracle.get_logged_model(ours.model_id).tags["mlflow.modelVersions"]
    assert noted in (f'[{{"name": "{name}", "version": {number}}}]' for number in ("1", '"1"'))


async def test_the_first_registration_makes_the_model_the_namespace_s_own(
    client: MlflowClient, oracle: mlflow.MlflowClient, register: RegisterVersion
) -> None:
    await TrackingWriter(client).carry_out(register)

    assert oracle.get_registered_model(register.name).tags == {names.TAG_NAMESPACE: "default"}
    (version,) = versions(oracle, register.name)
    assert (version.status, version.run_id, version.tags) == ("READY", register.run_id, register.tags)
    assert version.source == f"models:/{register.model_id}"


async def test_a_run_is_registered_once_and_only_missing_tags_are_set_later(
    recorded: Recorded, oracle: mlflow.MlflowClient, register: RegisterVersion
) -> None:
    writer = TrackingWriter(MlflowClient("", transport=recorded))
    await writer.carry_out(register)
    oracle.set_model_version_tag(register.name, "1", names.TAG_GATE, "a person's word")
    recorded.paths.clear()

    await writer.carry_out(replace(register, tags={**register.tags, "late": "yes"}))

    assert recorded.paths == ["registered-models/get", "model-versions/search", "model-versions/set-tag"]
    (version,) = versions(oracle, register.name)
    assert version.tags == {**register.tags, names.TAG_GATE: "a person's word", "late": "yes"}


async def test_a_version_that_the_script_registered_of_the_model_is_taken_and_gets_the_tags(
    client: MlflowClient, oracle: mlflow.MlflowClient, register: RegisterVersion
) -> None:
    # Given: what log_model(registered_model_name=…) does, in a model that the namespace owns
    oracle.create_registered_model(register.name, {names.TAG_NAMESPACE: "default"})
    mlflow.register_model(f"models:/{register.model_id}", register.name)
    (before,) = versions(oracle, register.name)
    assert (before.source, before.run_id, before.tags) == (register.source, register.run_id, {})

    # When
    await TrackingWriter(client).carry_out(register)

    # Then
    (version,) = versions(oracle, register.name)
    assert version.tags == register.tags


async def test_a_version_that_the_script_registered_of_another_model_of_the_run_stays_as_it_is(
    client: MlflowClient, oracle: mlflow.MlflowClient, register: RegisterVersion
) -> None:
    oracle.create_registered_model(register.name, {names.TAG_NAMESPACE: "default"})
    experiment_id = oracle.get_run(register.run_id).info.experiment_id
    other = oracle.create_logged_model(experiment_id, name="other", source_run_id=register.run_id)
    oracle.finalize_logged_model(other.model_id, LoggedModelStatus.READY)
    mlflow.register_model(f"models:/{other.model_id}", register.name)

    await TrackingWriter(client).carry_out(register)

    found = {version.version: (version.source, version.tags) for version in versions(oracle, register.name)}
    assert found == {"1": (f"models:/{other.model_id}", {}), "2": (register.source, register.tags)}


async def test_what_a_script_registers_has_the_source_that_tandem_gives_it(
    oracle: mlflow.MlflowClient, unique: Callable[[str], str]
) -> None:
    name = unique("iris")
    with mlflow.start_run(experiment_id=oracle.create_experiment(unique("experiment"))) as run:
        fitted = LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1])
        logged = mlflow.sklearn.log_model(
            fitted, name="model", registered_model_name=name, pip_requirements=["scikit-learn"]
        )

    (version,) = versions(oracle, name)
    assert version.source == RegisterVersion("default", name, run.info.run_id, logged.model_id, {}).source


async def test_a_later_run_gets_the_next_version(
    client: MlflowClient, oracle: mlflow.MlflowClient, register: RegisterVersion, train: Train
) -> None:
    writer, second = TrackingWriter(client), train()

    await writer.carry_out(register)
    await writer.carry_out(replace(register, run_id=second.run_id, model_id=second.model_id))

    assert {version.version: version.run_id for version in versions(oracle, register.name)} == {
        "1": register.run_id,
        "2": second.run_id,
    }


async def test_killed_after_any_request_and_repeated_there_is_exactly_one_version(
    server: MlflowServer,
    recorded: Recorded,
    oracle: mlflow.MlflowClient,
    register: RegisterVersion,
    train: Train,
    unique: Callable[[str], str],
) -> None:
    def fresh() -> RegisterVersion:
        trained = train()
        return replace(register, name=unique("iris"), run_id=trained.run_id, model_id=trained.model_id)

    await TrackingWriter(MlflowClient("", transport=recorded)).carry_out(fresh())
    requests = len(recorded.paths)
    assert requests >= 5

    for after in range(1, requests + 1):
        write = fresh()
        # When
        crashing = Crashing(server.url, after)
        with pytest.raises(Killed):
            await TrackingWriter(MlflowClient("", transport=crashing)).carry_out(write)
        await crashing.close()
        await TrackingWriter(MlflowClient("", transport=recorded)).carry_out(write)
        # Then
        (version,) = versions(oracle, write.name)
        assert (version.run_id, version.tags) == (write.run_id, write.tags), f"killed after request {after}"
        assert oracle.get_registered_model(write.name).tags == {names.TAG_NAMESPACE: "default"}


async def test_a_name_with_quotes_is_a_name(
    client: MlflowClient, oracle: mlflow.MlflowClient, register: RegisterVersion
) -> None:
    writer, name = TrackingWriter(client), f"""{register.name} 'a' OR "b" &x=1"""

    await writer.carry_out(replace(register, name=name))
    await writer.carry_out(replace(register, name=name))

    assert [version.version for version in oracle.get_registered_model(name).latest_versions] == ["1"]


async def test_a_model_of_another_run_is_refused(
    client: MlflowClient, oracle: mlflow.MlflowClient, register: RegisterVersion, train: Train
) -> None:
    with pytest.raises(Refused) as refused:
        await TrackingWriter(client).carry_out(replace(register, model_id=train().model_id))

    assert refused.value.reason == "LoggedModelMissing"
    assert versions(oracle, register.name) == []


async def test_a_model_that_was_not_uploaded_whole_is_refused(
    client: MlflowClient, oracle: mlflow.MlflowClient, register: RegisterVersion
) -> None:
    experiment_id = oracle.get_run(register.run_id).info.experiment_id
    pending = oracle.create_logged_model(experiment_id, name="model", source_run_id=register.run_id)

    with pytest.raises(Refused, match="PENDING") as refused:
        await TrackingWriter(client).carry_out(replace(register, model_id=pending.model_id))
    assert refused.value.reason == "LoggedModelNotReady"

    oracle.finalize_logged_model(pending.model_id, LoggedModelStatus.FAILED)
    with pytest.raises(Refused, match="FAILED") as refused:
        await TrackingWriter(client).carry_out(replace(register, model_id=pending.model_id))


# --- ownership -------------------------------------------------------------------------------------------------------


async def test_another_namespace_s_model_takes_neither_versions_nor_aliases(
    client: MlflowClient, oracle: mlflow.MlflowClient, register: RegisterVersion, train: Train
) -> None:
    writer, intruder = TrackingWriter(client), train()
    await writer.carry_out(register)
    writes = (
        replace(register, namespace="intruder", run_id=intruder.run_id, model_id=intruder.model_id),
        MoveAlias("intruder", register.name, "champion", "1", expected=None),
    )

    for write in writes:
        with pytest.raises(Refused) as refused:
            await writer.carry_out(write)
        assert refused.value.reason == "ModelOwnedElsewhere"
        assert "belongs to namespace default" in refused.value.message

    assert len(versions(oracle, register.name)) == 1
    assert oracle.get_registered_model(register.name).aliases == {}


async def test_a_model_that_nobody_owns_is_adopted_by_running_what_the_refusal_says(
    client: MlflowClient, oracle: mlflow.MlflowClient, register: RegisterVersion
) -> None:
    writer = TrackingWriter(client)
    oracle.create_registered_model(register.name)
    with pytest.raises(Refused) as refused:
        await writer.carry_out(register)
    assert refused.value.reason == "ModelNotOwned"

    command = refused.value.message.split("run ", 1)[1].split("; or", 1)[0]
    eval(command, {"mlflow": mlflow})
    await writer.carry_out(register)

    assert len(versions(oracle, register.name)) == 1


@pytest.mark.parametrize(("winner", "refusal"), [("default", None), ("intruder", "ModelOwnedElsewhere")])
async def test_of_two_that_register_a_new_name_at_once_the_faster_owns_it(
    server: MlflowServer, oracle: mlflow.MlflowClient, register: RegisterVersion, winner: str, refusal: str | None
) -> None:
    faster = Raced(
        server.url,
        "registered-models/create",
        lambda: oracle.create_registered_model(register.name, tags={names.TAG_NAMESPACE: winner}),
    )

    async with MlflowClient("", transport=faster) as client:
        if refusal is None:
            await TrackingWriter(client).carry_out(register)
        else:
            with pytest.raises(Refused) as refused:
                await TrackingWriter(client).carry_out(register)
            assert refused.value.reason == refusal

    assert len(versions(oracle, register.name)) == (1 if refusal is None else 0)


# --- aliases ---------------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def model(client: MlflowClient, register: RegisterVersion, train: Train) -> str:
    """A registered model of namespace default with versions 1, 2 and 3."""
    for trained in (Trained(register.run_id, register.model_id), train(), train()):
        write = replace(register, run_id=trained.run_id, model_id=trained.model_id)
        await TrackingWriter(client).carry_out(write)
    return register.name


@pytest.mark.parametrize(
    ("now_at", "expected", "then"),
    [
        (None, None, "2"),
        ("1", "1", "2"),
        ("3", "3", "2"),  # back, on a rollback
        ("2", None, "2"),  # moved before: done, whatever was expected
    ],
)
async def test_an_alias_moves_when_it_is_where_it_was_when_that_was_decided(
    client: MlflowClient,
    oracle: mlflow.MlflowClient,
    model: str,
    now_at: str | None,
    expected: str | None,
    then: str,
) -> None:
    if now_at:
        oracle.set_registered_model_alias(model, "champion", now_at)

    await TrackingWriter(client).carry_out(MoveAlias("default", model, "champion", "2", expected))

    assert oracle.get_model_version_by_alias(model, "champion").version == then


@pytest.mark.parametrize(("now_at", "expected"), [("3", "1"), ("3", None), (None, "1")])
async def test_an_alias_that_somebody_else_moved_stays_where_it_is(
    client: MlflowClient, oracle: mlflow.MlflowClient, model: str, now_at: str | None, expected: str | None
) -> None:
    if now_at:
        oracle.set_registered_model_alias(model, "champion", now_at)

    with pytest.raises(Refused) as refused:
        await TrackingWriter(client).carry_out(MoveAlias("default", model, "champion", "2", expected))

    assert refused.value.reason == "AliasMoved"
    assert oracle.get_registered_model(model).aliases == ({"champion": now_at} if now_at else {})


async def test_an_alias_that_somebody_else_moves_at_the_same_moment_is_told(
    server: MlflowServer, oracle: mlflow.MlflowClient, model: str
) -> None:
    reads: list[str] = []

    def move_it_after_ours() -> None:
        reads.append("registered-models/get")
        if len(reads) == 2:
            oracle.set_registered_model_alias(model, "champion", "3")

    raced = Raced(server.url, "registered-models/get", move_it_after_ours)

    async with MlflowClient("", transport=raced) as client:
        with pytest.raises(Refused) as refused:
            await TrackingWriter(client).carry_out(MoveAlias("default", model, "champion", "2", None))

    assert refused.value.reason == "AliasMoved"


async def test_an_alias_cannot_name_a_version_that_is_not_there(client: MlflowClient, model: str) -> None:
    with pytest.raises(Refused, match="no version 9") as refused:
        await TrackingWriter(client).carry_out(MoveAlias("default", model, "champion", "9", None))
    assert refused.value.reason == "VersionMissing"


async def test_an_alias_of_a_model_that_is_not_there_is_refused(client: MlflowClient) -> None:
    with pytest.raises(Refused) as refused:
        await TrackingWriter(client).carry_out(MoveAlias("default", "no such model", "champion", "1", None))
    assert refused.value.reason == "ModelMissing"


async def test_killed_after_any_request_and_repeated_the_alias_is_right(
    server: MlflowServer, recorded: Recorded, oracle: mlflow.MlflowClient, model: str
) -> None:
    for after in (1, 2, 3):
        oracle.set_registered_model_alias(model, "champion", "1")
        write = MoveAlias("default", model, "champion", "2", expected="1")
        # When
        crashing = Crashing(server.url, after)
        with pytest.raises(Killed):
            await TrackingWriter(MlflowClient("", transport=crashing)).carry_out(write)
        await crashing.close()
        await TrackingWriter(MlflowClient("", transport=recorded)).carry_out(write)
        # Then
        assert oracle.get_model_version_by_alias(model, "champion").version == "2", f"killed after request {after}"
