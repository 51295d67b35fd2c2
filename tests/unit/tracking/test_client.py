"""What enters MLflow's filter language, how pages end, and what counts as "not there"."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tandem.tracking import MlflowClient
from tandem.tracking.client import literal
from tandem.tracking.errors import TrackingError, TrackingUnavailable
from tests.unit.tracking.stand_in import StandIn


@pytest_asyncio.fixture
async def client(mlflow_server: StandIn) -> AsyncIterator[MlflowClient]:
    async with MlflowClient(mlflow_server.url, environ={}) as client:
        yield client


@pytest.mark.parametrize("value", ["0" * 32, "3f2b-41", "m-2b96", "a.b_c", "7"])
def test_an_id_is_quoted(value: str) -> None:
    assert literal(value) == f"'{value}'"


@pytest.mark.parametrize("value", ["", "a'b", 'a"b', "a b", "a\\", "a\n", "..", "-a", "é", "a/b", "a%2e", "a`"])
def test_what_is_no_id_never_enters_a_filter_or_a_path(value: str) -> None:
    with pytest.raises(TrackingError, match="not an id"):
        literal(value)


@pytest.mark.asyncio
async def test_no_request_is_made_for_a_logged_model_whose_id_would_leave_the_path(
    client: MlflowClient, mlflow_server: StandIn
) -> None:
    with pytest.raises(TrackingError, match="not an id"):
        await client.logged_model("../experiments/get")
    assert mlflow_server.seen == []


@pytest.mark.asyncio
async def test_pages_are_read_to_the_end_by_their_tokens(client: MlflowClient, mlflow_server: StandIn) -> None:
    def page(run_id: str, **more: str) -> dict[str, object]:
        return {"runs": [{"info": {"run_id": run_id}}], **more}

    mlflow_server.put("runs/search", page("a", next_page_token="t1"), page("b", next_page_token="t2"), page("c"))

    runs = await client.search_runs("1", "")

    assert [run.info.run_id for run in runs] == ["a", "b", "c"]
    assert [body.get("page_token") for body in mlflow_server.bodies] == [None, "t1", "t2"]


@pytest.mark.asyncio
async def test_a_server_that_repeats_a_page_for_ever_is_left(client: MlflowClient, mlflow_server: StandIn) -> None:
    mlflow_server.put("runs/search", {"next_page_token": "again"})

    with pytest.raises(TrackingUnavailable, match="one page for ever"):
        await client.search_runs("1", "")
    assert len(mlflow_server.seen) == 2


@pytest.mark.asyncio
async def test_an_empty_object_is_an_empty_page(client: MlflowClient, mlflow_server: StandIn) -> None:
    mlflow_server.put("runs/search", {})
    assert await client.search_runs("1", "") == []


@pytest.mark.asyncio
async def test_not_there_is_what_mlflow_says_and_not_any_404(client: MlflowClient, mlflow_server: StandIn) -> None:
    mlflow_server.put("runs/get", {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}, status=404)
    assert await client.run("a") is None

    # A proxy in front of MLflow, or an address that is not MLflow's: a run is not lost for that
    mlflow_server.put("runs/get", "<h1>404</h1>", status=404)
    with pytest.raises(TrackingError):
        await client.run("a")


@pytest.mark.asyncio
@pytest.mark.parametrize("answer", ["<html>log in</html>", {"run": {}}, {}, [], ""])
async def test_an_answer_that_no_mlflow_gives_is_no_answer(
    client: MlflowClient, mlflow_server: StandIn, answer: object
) -> None:
    mlflow_server.put("runs/get", answer)
    with pytest.raises(TrackingUnavailable, match="is this the address of MLflow"):
        await client.run("a")
