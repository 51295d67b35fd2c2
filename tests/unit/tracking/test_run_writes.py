"""An MLflow run is looked for and then made: nothing in MLflow itself keeps two of one number apart."""

from __future__ import annotations

import pytest

from tandem.api.plan import EnsureRun, Refused
from tandem.http import Permission
from tandem.tracking import MlflowClient, TrackingWriter
from tests.unit.tracking.stand_in import StandIn

ENSURE = EnsureRun("uid", 4, "ml/iris", "iris-4", {}, {})
EXPERIMENT = {"experiment": {"experiment_id": "7", "name": "ml/iris", "lifecycle_stage": "active"}}
LOOKED = ["experiments/get-by-name", "runs/search"]
RUN = {"info": {"run_id": "r", "experiment_id": "7", "status": "RUNNING", "start_time": 1, "lifecycle_stage": "active"}}


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("stopped_after", "asked"),
    [(None, [*LOOKED, "runs/create"]), ("runs/search", LOOKED), ("experiments/get-by-name", LOOKED)],
    ids=["leads all along", "stopped with the answer on its way", "stopped earlier"],
)
async def test_who_was_stopped_between_the_search_and_the_creation_makes_no_run_after_another_leads(
    mlflow_server: StandIn, stopped_after: str | None, asked: list[str]
) -> None:
    """Found by the soak: two runs of one number, by the former leader and the present one."""
    mlflow_server.put("experiments/get-by-name", EXPERIMENT)
    mlflow_server.put("runs/search", {})
    mlflow_server.put("runs/create", {"run": RUN})
    mlflow_server.put("runs/log-batch", {})
    permission = Permission()
    permission.decides = lambda: stopped_after not in mlflow_server.paths
    async with MlflowClient(mlflow_server.url, environ={}, may_write=permission) as client:
        if stopped_after is None:
            await TrackingWriter(client).carry_out(ENSURE)
        else:
            with pytest.raises(Refused, match="not sent, this process does not lead any more"):
                await TrackingWriter(client).carry_out(ENSURE)

    assert [path for path in mlflow_server.paths if path != "runs/log-batch"] == asked
