"""The models that runs have logged to MLflow; ``client`` is MLflow's."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Any, Final

# MLflow writes it into a registered version that is downloaded: it is nothing that was logged.
ADDED: Final = frozenset({"registered_model_meta"})
_READY: Final = "READY"


def last_of(client: Any, run_id: str) -> str | None:
    """The id of the last model that the run logged, which is the one that is registered."""
    run = client.get_run(run_id)
    where = f"source_run_id = '{run_id}'"
    found = client.search_logged_models([run.info.experiment_id], where)
    ready = [model for model in found if str(model.status).rpartition(".")[2] == _READY]
    return max(ready, key=lambda model: (model.creation_timestamp, model.model_id)).model_id if ready else None


def downloaded(model_id: str, folder: Path) -> Path:
    """The folder with its files, below ``folder``, which is made."""
    from mlflow.artifacts import download_artifacts

    folder.mkdir(parents=True)
    with contextlib.redirect_stderr(io.StringIO()):  # a progress bar
        return Path(download_artifacts(artifact_uri=f"models:/{model_id}", dst_path=str(folder)))
