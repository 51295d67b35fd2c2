"""The last container of a run whose model is registered: one digest of the model's files, as a tag of the run.

Reads MLFLOW_RUN_ID, downloads the last model that the run logged, and leaves the tag
``tandem.dev/model-digest.<model id>``: that of the manifest (:mod:`tandem.runtime.manifest`), which anybody can compute
of what they have been given::

    mlflow artifacts download --artifact-uri models:/iris/3 --dst-path model && cd model
    find . -type f ! -name registered_model_meta -printf '%P\\n' | LC_ALL=C sort | xargs -d '\\n' sha256sum | sha256sum

The operator writes it on the version. MLflow has no such digest, and the operator downloads no models. It always ends
well: a training that has succeeded is not done again because its digest is not known.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from pathlib import Path

from tandem.api import names
from tandem.runtime import models
from tandem.runtime.manifest import File, Manifest
from tandem.runtime.record import RUN_VARIABLE, speaks
from tandem.runtime.redact import redacted


def digest_of(folder: Path) -> str:
    """The digest of the files of a model, without what MLflow adds to a download."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in models.ADDED)
    return Manifest(tuple(_file(folder, path) for path in files), folder=True).digest


def _file(folder: Path, path: Path) -> File:
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return File(path.relative_to(folder).as_posix(), path.stat().st_size, sha256)


def command(run_id: str) -> str:
    """What a person reads in the log."""
    from mlflow.tracking.client import MlflowClient

    client = MlflowClient()
    model_id = models.last_of(client, run_id)
    if model_id is None:
        return f"run {run_id} logged no model"
    with tempfile.TemporaryDirectory() as scratch:
        found = digest_of(models.downloaded(model_id, Path(scratch) / "model"))
    client.set_tag(run_id, f"{names.TAG_MODEL_DIGEST}.{model_id}", found)
    return f"model {model_id} is {found}"


if __name__ == "__main__":
    try:
        print(command(os.environ[RUN_VARIABLE]) if speaks() else "the first node tells it", flush=True)
    except Exception as error:  # MLflow's client raises its own, and whatever requests raises
        words = redacted(" ".join(str(error).split()))[:300]
        print(f"the version will have no {names.TAG_MODEL_DIGEST}: {words}", file=sys.stderr, flush=True)
