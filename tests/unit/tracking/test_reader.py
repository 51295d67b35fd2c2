"""How questions are grouped, polled and given up: what a healthy server cannot show."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio

from tandem.api.facts import (
    MetricsSince,
    ModelNamed,
    MonitorOf,
    ProgressOf,
    Query,
    RegisteredModel,
    RunNumbered,
    RunsOf,
    Unavailable,
    VersionNumbered,
    VersionsFrom,
)
from tandem.tracking import MlflowClient, TrackingReader, poll_interval
from tandem.tracking.transport import CONCURRENCY
from tests.unit.tracking.stand_in import StandIn

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest_asyncio.fixture
async def reader(mlflow_server: StandIn) -> AsyncIterator[TrackingReader]:
    async with MlflowClient(mlflow_server.url, environ={}, timeout=timedelta(milliseconds=200)) as client:
        yield TrackingReader(client, now=lambda: NOON)


def page(*names: str, token: str = "") -> dict[str, object]:
    return {"registered_models": [{"name": name} for name in names], "next_page_token": token}


@pytest.mark.parametrize(
    ("query", "polled"),
    [
        (ModelNamed("iris"), True),
        (MonitorOf("iris", "1", ("accuracy",)), True),
        (RunsOf("uid", "experiment"), False),
        (RunNumbered("uid", "experiment", 1), False),
        (VersionNumbered("iris", "1"), False),
        (VersionsFrom("iris", "run"), False),
        (MetricsSince("run", ("accuracy",), 0), False),
    ],
)
def test_what_others_change_is_polled_and_what_only_we_change_is_asked_once(query: Query[object], polled: bool) -> None:
    assert poll_interval(query) == (timedelta(seconds=10) if polled else None)
    assert poll_interval(query, timedelta(minutes=1)) == (timedelta(minutes=1) if polled else None)


def test_progress_is_asked_more_seldom_for_it_is_a_request_for_each_run() -> None:
    assert poll_interval(ProgressOf("run"), timedelta(minutes=1)) == timedelta(minutes=3)


@pytest.mark.asyncio
async def test_a_question_that_is_not_mlflow_s_is_a_mistake(reader: TrackingReader) -> None:
    class CommitOf(Query[str]):
        pass

    with pytest.raises(TypeError, match="CommitOf"):
        await reader.answer([CommitOf()])


@pytest.mark.asyncio
async def test_no_questions_no_requests(reader: TrackingReader, mlflow_server: StandIn) -> None:
    assert await reader.answer([]) == {}
    assert mlflow_server.seen == []


@pytest.mark.asyncio
async def test_a_server_that_hangs_is_given_up_after_one_timeout_whatever_the_number_of_questions(
    reader: TrackingReader, mlflow_server: StandIn
) -> None:
    mlflow_server.hangs = True
    queries = [RunsOf(f"uid-{index}", "experiment") for index in range(200)]

    answers = await reader.answer(queries)

    assert len(mlflow_server.seen) <= CONCURRENCY
    assert len(answers) == 200
    assert all(isinstance(answer, Unavailable) for answer in answers.values())


@pytest.mark.asyncio
async def test_an_error_of_the_server_for_one_question_leaves_the_others_their_answers(
    reader: TrackingReader, mlflow_server: StandIn
) -> None:
    mlflow_server.put("model-versions/get", {"error_code": "INTERNAL_ERROR", "message": "bug"}, status=500)
    mlflow_server.put("experiments/get-by-name", {"error_code": "RESOURCE_DOES_NOT_EXIST"}, status=404)
    failing = VersionNumbered("iris", "1")
    others = [RunsOf(f"uid-{index}", "experiment") for index in range(20)]

    answers = await reader.answer([failing, *others])

    assert isinstance(answers[failing], Unavailable)
    assert [answers[query] for query in others] == [()] * 20


@pytest.mark.asyncio
async def test_models_are_looked_for_page_by_page_until_all_are_found(
    reader: TrackingReader, mlflow_server: StandIn
) -> None:
    mlflow_server.put("registered-models/search", page("a", token="1"), page("b", token="2"), page("c"))

    answers = await reader.answer([ModelNamed("a"), ModelNamed("b")])

    assert all(isinstance(answer, RegisteredModel) and answer.exists for answer in answers.values())
    assert len(mlflow_server.seen) == 2


@pytest.mark.asyncio
async def test_a_model_that_slips_between_two_pages_is_not_taken_for_deleted(
    reader: TrackingReader, mlflow_server: StandIn
) -> None:
    # Given: pages are offsets, so deleting a model of the first page while we read moves "c" out of sight
    mlflow_server.put("registered-models/search", page("a", "b", token="1"), page("c", "d"))
    await reader.answer([ModelNamed("c")])
    mlflow_server.put("registered-models/search", page("a", "b", token="1"), page("d"))
    mlflow_server.put("registered-models/get", {"registered_model": {"name": "c"}})

    answers = await reader.answer([ModelNamed("c"), ModelNamed("never seen")])

    assert answers[ModelNamed("c")] == RegisteredModel("c", exists=True)
    assert answers[ModelNamed("never seen")] == RegisteredModel("never seen", exists=False)
    assert mlflow_server.paths.count("registered-models/get") == 1


@pytest.mark.asyncio
async def test_a_model_that_was_deleted_is_answered_so(reader: TrackingReader, mlflow_server: StandIn) -> None:
    mlflow_server.put("registered-models/search", page("a", "c"))
    await reader.answer([ModelNamed("c")])
    mlflow_server.put("registered-models/search", page("a"))

    assert (await reader.answer([ModelNamed("c")]))[ModelNamed("c")] == RegisteredModel("c", exists=False)
