"""The promotion ledger, on a real server: written ahead, closed behind, whole after any crash, never rewritten."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import mlflow
import pytest
from mlflow.entities import LoggedModelStatus, Run
from mlflow.exceptions import MlflowException

from tandem.api import names
from tandem.api.facts import Promotion, PromotionsOf
from tandem.api.plan import MoveAlias, PromotionRecord, Refused, RegisterVersion, TagVersion
from tandem.tracking import MlflowClient, TrackingReader, TrackingWriter
from tandem.tracking.promotions import LATEST
from tests.contract.tracking.probes import Crashing, Killed, Raced, Recorded, ask
from tests.contract.tracking.server import MlflowServer

pytestmark = pytest.mark.asyncio

UID = "0f3c-uid"
RECORD = PromotionRecord(
    actor="TrainingJob default/iris",
    uid=UID,
    number=3,
    reason="run 3 (Drift: accuracy 0.8) passed the gate",
    details={"tandem.dev/gate": "accuracy 0.95 ≥ 0.9", "tandem.dev/data.iris": "sha256:ab", "approved-by": "anna"},
)


@pytest.fixture
def model(oracle: mlflow.MlflowClient, unique: Callable[[str], str]) -> str:
    """A registered model of namespace default with versions 1 to 4, and an alias on the first."""
    name = unique("iris")
    oracle.create_registered_model(name, tags={names.TAG_NAMESPACE: "default"})
    for _ in range(4):
        oracle.create_model_version(name, "s3://bucket/model")
    oracle.set_registered_model_alias(name, "champion", "1")
    return name


def move(model: str, version: str = "2", expected: str | None = "1", number: int = 3) -> MoveAlias:
    return MoveAlias("default", model, "champion", version, expected, replace(RECORD, number=number))


async def told(client: MlflowClient, model: str, number: int = 3) -> tuple[Promotion, ...]:
    return await ask(TrackingReader(client), PromotionsOf(model, UID, number))


def entry(oracle: mlflow.MlflowClient, entry_id: str) -> Run:
    return oracle.get_run(entry_id)


# --- what it says ----------------------------------------------------------------------------------------------------


async def test_a_promotion_says_from_to_why_who_and_when(client: MlflowClient, model: str) -> None:
    before = datetime.now(UTC)
    await TrackingWriter(client).carry_out(move(model))

    (promotion,) = await told(client, model)
    assert (promotion.model, promotion.alias, promotion.previous, promotion.version) == (model, "champion", "1", "2")
    assert (promotion.actor, promotion.uid, promotion.number) == ("TrainingJob default/iris", UID, 3)
    assert (promotion.reason, promotion.approved_by, promotion.state) == (RECORD.reason, "anna", "Done")
    assert timedelta(0) <= promotion.at - before + timedelta(milliseconds=1) < timedelta(minutes=1)


async def test_a_first_promotion_has_nothing_before_it(
    client: MlflowClient, oracle: mlflow.MlflowClient, model: str
) -> None:
    oracle.delete_registered_model_alias(model, "champion")
    await TrackingWriter(client).carry_out(move(model, expected=None))

    (promotion,) = await told(client, model)
    assert promotion.previous == ""
    assert entry(oracle, promotion.entry_id).data.params["from"] == "nothing"


async def test_people_find_everything_in_mlflow_itself(
    client: MlflowClient, oracle: mlflow.MlflowClient, model: str
) -> None:
    await TrackingWriter(client).carry_out(move(model))

    experiment = oracle.get_experiment_by_name("tandem-promotions")
    assert experiment is not None
    (run,) = oracle.search_runs([experiment.experiment_id], f"tags.`tandem.dev/model` = '{model}'")
    assert run.info.run_name == f"{model}@champion → 2"
    assert run.data.params == {
        **RECORD.details,
        "model": model,
        "alias": "champion",
        "from": "1",
        "to": "2",
        "actor": "TrainingJob default/iris",
        "reason": RECORD.reason,
    }


async def test_what_an_entry_says_cannot_be_changed(
    client: MlflowClient, oracle: mlflow.MlflowClient, model: str
) -> None:
    """MLflow itself refuses it: that is why the words are parameters, not tags."""
    await TrackingWriter(client).carry_out(move(model))
    (promotion,) = await told(client, model)

    with pytest.raises(MlflowException, match="from"):
        oracle.log_param(promotion.entry_id, "from", "9")
    assert entry(oracle, promotion.entry_id).data.params["from"] == "1"


async def test_the_ledger_outlives_the_version_and_the_model(
    client: MlflowClient, oracle: mlflow.MlflowClient, model: str
) -> None:
    await TrackingWriter(client).carry_out(move(model))
    oracle.delete_registered_model(model)

    assert [promotion.version for promotion in await told(client, model)] == ["2"]


async def test_the_latest_come_first_and_each_model_has_its_own(
    client: MlflowClient, oracle: mlflow.MlflowClient, model: str, unique: Callable[[str], str]
) -> None:
    writer = TrackingWriter(client)
    for number, (before, after) in enumerate([("1", "2"), ("2", "3"), ("3", "1")], start=1):
        await writer.carry_out(move(model, after, before, number))

    assert [(p.previous, p.version) for p in await told(client, model)] == [("3", "1"), ("2", "3"), ("1", "2")]
    assert await told(client, unique("other")) == ()


async def test_a_long_ledger_is_not_read_whole_and_a_run_s_own_entry_is_found_all_the_same(
    recorded: Recorded, client: MlflowClient, model: str
) -> None:
    writer = TrackingWriter(client)
    await writer.carry_out(move(model, "2", "1", number=1))
    for number in range(LATEST):
        before, after = ("2", "3") if number % 2 == 0 else ("3", "2")
        await writer.carry_out(move(model, after, before, number=number + 2))

    reader = TrackingReader(MlflowClient("", transport=recorded))
    of_another = await ask(reader, PromotionsOf(model, UID, 999))
    of_the_first = await ask(reader, PromotionsOf(model, UID, 1))

    assert len(of_another) == LATEST
    assert [p.number for p in of_the_first][-1] == 1
    assert recorded.paths.count("runs/search") == 4


# --- crashes, races, others ------------------------------------------------------------------------------------------


async def test_killed_after_any_request_and_repeated_there_is_one_entry_whole_and_closed(
    server: MlflowServer, recorded: Recorded, client: MlflowClient, oracle: mlflow.MlflowClient, model: str
) -> None:
    await TrackingWriter(MlflowClient("", transport=recorded)).carry_out(move(model, "2", "1", number=1))
    requests = len(recorded.paths)
    assert requests >= 6

    for after in range(1, requests + 1):
        write = move(model, "3", "2", number=100 + after)
        oracle.set_registered_model_alias(model, "champion", "2")
        # When
        crashing = Crashing(server.url, after)
        with pytest.raises(Killed):
            await TrackingWriter(MlflowClient("", transport=crashing)).carry_out(write)
        await crashing.close()
        now_at = oracle.get_registered_model(model).aliases["champion"]
        await TrackingWriter(client).carry_out(replace(write, expected=now_at))
        # Then
        mine = [p for p in await told(client, model, 100 + after) if p.number == 100 + after]
        assert [(p.previous, p.version, p.state) for p in mine] == [("2", "3", "Done")], f"killed after {after}"
        assert entry(oracle, mine[0].entry_id).data.params.keys() >= {"from", "to", "reason", *RECORD.details}
        assert oracle.get_registered_model(model).aliases["champion"] == "3"


async def test_what_is_done_is_not_told_twice(client: MlflowClient, model: str) -> None:
    writer = TrackingWriter(client)
    await writer.carry_out(move(model))
    await writer.carry_out(move(model, expected="2"))

    assert len(await told(client, model)) == 1


async def test_an_alias_that_a_person_has_moved_there_is_told_without_a_from(client: MlflowClient, model: str) -> None:
    await TrackingWriter(client).carry_out(move(model, version="1", expected="1"))

    (promotion,) = await told(client, model)
    assert (promotion.previous, promotion.version, promotion.state) == ("", "1", "Done")


async def test_one_that_was_overtaken_says_that_it_did_not_come_about(
    server: MlflowServer, client: MlflowClient, oracle: mlflow.MlflowClient, model: str
) -> None:
    faster = Raced(
        server.url,
        "registered-models/get",
        lambda: oracle.set_registered_model_alias(model, "champion", "4"),
    )
    with pytest.raises(Refused) as refused:
        await TrackingWriter(MlflowClient("", transport=faster)).carry_out(move(model))
    await faster.close()
    assert refused.value.reason == "AliasMoved"
    assert await told(client, model) == (), "nothing was begun: the alias was elsewhere when it was looked at"


async def test_one_that_was_overtaken_after_it_was_begun_says_that_it_did_not_come_about(
    server: MlflowServer, client: MlflowClient, oracle: mlflow.MlflowClient, model: str
) -> None:
    write = move(model, version="9")  # a version that is not there (any more)
    with pytest.raises(Refused) as refused:
        await TrackingWriter(client).carry_out(write)

    assert refused.value.reason == "VersionMissing"
    assert [promotion.state for promotion in await told(client, model)] == ["Abandoned"]
    assert oracle.get_registered_model(model).aliases["champion"] == "1"


@pytest.mark.parametrize(("reached", "state"), [(True, "Done"), (False, "Abandoned")])
async def test_an_entry_that_nobody_came_back_to_is_closed_by_the_next_promotion(
    client: MlflowClient,
    oracle: mlflow.MlflowClient,
    recorded: Recorded,
    server: MlflowServer,
    model: str,
    reached: bool,
    state: str,
) -> None:
    """By a resource that was deleted while it promoted, say: what the alias names tells how it went."""
    await TrackingWriter(MlflowClient("", transport=recorded)).carry_out(move(model, "2", "1", number=1))
    set_by = recorded.paths.index("registered-models/alias") + 1
    crashing = Crashing(server.url, set_by if reached else set_by - 1)
    with pytest.raises(Killed):
        await TrackingWriter(MlflowClient("", transport=crashing)).carry_out(move(model, "3", "2", number=2))
    await crashing.close()

    await TrackingWriter(client).carry_out(move(model, "4", "3" if reached else "2", number=3))

    assert {p.number: p.state for p in await told(client, model)} == {1: "Done", 2: state, 3: "Done"}


async def test_without_a_ledger_no_alias_moves(client: MlflowClient, oracle: mlflow.MlflowClient, model: str) -> None:
    await TrackingWriter(client).carry_out(move(model))
    experiment = oracle.get_experiment_by_name("tandem-promotions")
    assert experiment is not None
    oracle.delete_experiment(experiment.experiment_id)
    try:
        with pytest.raises(Refused) as refused:
            await TrackingWriter(client).carry_out(move(model, "3", "2", number=4))
        assert refused.value.reason == "ExperimentDeleted"
        assert oracle.get_registered_model(model).aliases["champion"] == "2"
    finally:
        oracle.restore_experiment(experiment.experiment_id)


async def test_a_stranger_s_model_gets_no_entry(client: MlflowClient, model: str) -> None:
    with pytest.raises(Refused, match="belongs to namespace default"):
        await TrackingWriter(client).carry_out(replace(move(model), namespace="intruder"))

    assert await told(client, model) == ()


# --- tags of versions ------------------------------------------------------------------------------------------------


async def test_tags_of_a_version_are_set_where_they_differ(
    recorded: Recorded, oracle: mlflow.MlflowClient, model: str
) -> None:
    oracle.set_model_version_tag(model, "1", names.TAG_GATE_RESULT, "Unknown")
    oracle.set_model_version_tag(model, "1", "kept", "yes")
    writer = TrackingWriter(MlflowClient("", transport=recorded))
    tags = {names.TAG_GATE_RESULT: "Passed", names.TAG_GATE_RULES: "1"}

    await writer.carry_out(TagVersion("default", model, "1", tags))
    await writer.carry_out(TagVersion("default", model, "1", tags))

    assert oracle.get_model_version(model, "1").tags == {**tags, "kept": "yes"}
    assert recorded.paths.count("model-versions/set-tag") == 2


@pytest.mark.parametrize(
    ("namespace", "version", "reason"), [("intruder", "1", "ModelOwnedElsewhere"), ("default", "9", "VersionMissing")]
)
async def test_what_is_not_there_or_not_ours_is_not_tagged(
    client: MlflowClient, model: str, namespace: str, version: str, reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        await TrackingWriter(client).carry_out(TagVersion(namespace, model, version, {"a": "b"}))
    assert refused.value.reason == reason


async def test_every_verdict_is_a_tag_that_mlflow_takes(
    client: MlflowClient, oracle: mlflow.MlflowClient, unique: Callable[[str], str]
) -> None:
    experiment_id = oracle.create_experiment(unique("experiment"))
    run = oracle.create_run(experiment_id)
    logged = oracle.create_logged_model(experiment_id, name="model", source_run_id=run.info.run_id)
    oracle.finalize_logged_model(logged.model_id, LoggedModelStatus.READY)
    name, verdict = unique("iris"), '{"metric":"accuracy/species:setosa","rule":"≥ 0.9"}'
    tags = {names.TAG_GATE_RESULT: "Passed", f"{names.TAG_GATE}.01": verdict}

    await TrackingWriter(client).carry_out(RegisterVersion("default", name, run.info.run_id, logged.model_id, tags))

    assert oracle.get_model_version(name, "1").tags == tags
