"""A version that is not READY at once: SQL stores never show one, others (Unity Catalog, a proxy) do."""

from __future__ import annotations

import pytest

from tandem.api import names
from tandem.api.plan import Refused, RegisterVersion
from tandem.tracking import MlflowClient, TrackingWriter
from tests.unit.tracking.stand_in import StandIn

WRITE = RegisterVersion("default", "iris", run_id="run", model_id="m-1", tags={})


def version(status: str, **more: str) -> dict[str, object]:
    return {"model_version": {"name": "iris", "version": "1", "run_id": "run", "status": status, **more}}


async def register(server: StandIn, *answers: dict[str, object], created: str = "PENDING_REGISTRATION") -> list[float]:
    """How long it waited, each time it did."""
    owned = [{"key": names.TAG_NAMESPACE, "value": "default"}]
    server.put("registered-models/get", {"registered_model": {"name": "iris", "tags": owned}})
    server.put("model-versions/search", {})
    logged = {"model_id": "m-1", "source_run_id": "run", "status": "LOGGED_MODEL_READY"}
    server.put("logged-models/m-1", {"model": {"info": logged}})
    server.put("model-versions/create", version(created))
    if answers:
        server.put("model-versions/get", *answers)
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    async with MlflowClient(server.url, environ={}) as client:
        await TrackingWriter(client, sleep=sleep).carry_out(WRITE)
    return waited


@pytest.mark.asyncio
async def test_a_version_that_is_ready_at_once_is_not_asked_for_again(mlflow_server: StandIn) -> None:
    assert await register(mlflow_server, created="READY") == []
    assert "model-versions/get" not in mlflow_server.paths


@pytest.mark.asyncio
async def test_registration_ends_when_the_version_is_ready(mlflow_server: StandIn) -> None:
    waited = await register(mlflow_server, version("PENDING_REGISTRATION"), version("READY"))
    assert len(waited) == 2


@pytest.mark.asyncio
async def test_a_failed_registration_is_refused_with_mlflow_s_reason(mlflow_server: StandIn) -> None:
    failed = version("FAILED_REGISTRATION", status_message="bucket is gone")
    with pytest.raises(Refused, match="bucket is gone") as refused:
        await register(mlflow_server, failed)
    assert refused.value.reason == "RegistrationFailed"


@pytest.mark.asyncio
async def test_a_registration_that_stays_pending_is_left_to_the_next_attempt(mlflow_server: StandIn) -> None:
    with pytest.raises(Refused) as refused:
        await register(mlflow_server, version("PENDING_REGISTRATION"))
    assert refused.value.reason == "RegistrationPending"


@pytest.mark.asyncio
async def test_a_version_that_vanishes_meanwhile_is_told(mlflow_server: StandIn) -> None:
    gone = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}
    mlflow_server.put("model-versions/get", gone, status=404)
    with pytest.raises(Refused) as refused:
        await register(mlflow_server)
    assert refused.value.reason == "VersionMissing"
