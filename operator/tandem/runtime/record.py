"""What a run is recorded with in MLflow before it trains: its data as dataset inputs, and their manifests.

MLflow's own digest of a data set covers its first 10,000 rows (mlflow#11560); ours is of every byte. It has 71
characters and MLflow keeps 36, so the input's digest is its first 32 hexadecimal digits, and the whole is beside it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tandem.api import names
from tandem.runtime.data import Fetched
from tandem.runtime.instruction import Data
from tandem.runtime.reasons import not_recorded
from tandem.runtime.redact import redacted

RUN_VARIABLE = "MLFLOW_RUN_ID"
FOLDER = f"{names.MANAGED_BY}/data"  # of the run's artifacts


# MLflow's modules import one another in circles. Two threads that begin at two of them see each other's halves
# ("Couldn't build proto file into descriptor pool", measured in a pod), so only one is on its way in at a time.
_importing = threading.Lock()


def warm_up() -> None:
    """Import MLflow while the network is waited for: it takes two seconds of its own."""
    if os.environ.get(RUN_VARIABLE):
        threading.Thread(target=_import_mlflow, daemon=True).start()


def tell_soon() -> None:
    """MLflow's own client tries for four minutes without a word; a quarter of one is enough where we try again."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")


def record(wanted: Sequence[Data], fetched: Sequence[Fetched]) -> None:
    """Log each data set as an input of the run that the environment names; again, it changes nothing.

    Raises:
        NotRecorded: MLflow did not take it.
    """
    run_id = os.environ.get(RUN_VARIABLE)
    if not run_id or not fetched or not speaks():
        return
    _import_mlflow()
    from mlflow.entities import Dataset, DatasetInput, InputTag, RunTag
    from mlflow.tracking.client import MlflowClient

    inputs = [
        DatasetInput(
            Dataset(
                name=data.name,
                digest=found.manifest.digest.removeprefix("sha256:")[:32],
                source_type=data.location.scheme,
                source=json.dumps({"uri": redacted(data.storage_uri)}),
                profile=json.dumps(profile(found)),
            ),
            [InputTag("mlflow.data.context", "training"), InputTag(f"{names.GROUP}/digest", found.manifest.digest)],
        )
        for data, found in zip(wanted, fetched, strict=True)
    ]
    tags = [RunTag(f"{names.TAG_DATA}.{found.name}", found.manifest.digest) for found in fetched]
    tags += [RunTag(f"{names.TAG_DATA_VERSION}.{found.name}", found.version) for found in fetched if found.version]
    try:
        client = MlflowClient()
        client.log_inputs(run_id, inputs)
        client.log_batch(run_id, tags=tags)
        for found in fetched:
            client.log_dict(run_id, msgspec.to_builtins(found.manifest), f"{FOLDER}/{found.name}/manifest.json")
    except Exception as error:  # MLflow's client raises its own, and whatever requests raises
        what = "MLflow did not take the record of the run's data, and a run that cannot be traced does not train"
        raise not_recorded(error, what) from None


def speaks() -> bool:
    """Whether this is the first node of its run, or the only one: of what all have alike it keeps the record."""
    return os.environ.get("JOB_COMPLETION_INDEX", "0") == "0"


def profile(found: Fetched) -> Mapping[str, object]:
    numbers: dict[str, Any] = {
        "digest": found.manifest.digest,
        "bytes": found.manifest.size,
        "files": len(found.manifest.files),
    }
    return numbers if found.rows is None else {**numbers, "rows": found.rows}


def _import_mlflow() -> None:
    with _importing:
        import mlflow.entities
        import mlflow.tracking.client  # noqa: F401
