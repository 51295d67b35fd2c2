"""Where a prediction comes from: its headers name a version, and MLflow's tags tell everything else."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from demo.facts import Lineage, Link, Prediction
from demo.scene import Scene
from tandem.api import names
from tandem.api.trainingjob_status import Trigger


def trace(scene: Scene, prediction: Prediction) -> Lineage:
    """Asks MLflow alone: no status is needed, and a resource that is long deleted changes nothing."""
    mlflow = scene.mlflow
    tags = mlflow.version_tags(prediction.model, prediction.version)
    run = mlflow.run_tags(prediction.run_id)
    links = (
        Link("prediction", f"{', '.join(prediction.said)} (HTTP headers {_headers(prediction)})"),
        Link("model version", f"models:/{prediction.model}/{prediction.version}"),
        Link("MLflow run", f"{prediction.run_id} ({run.get('mlflow.runName', '')} of {tags.get(names.TAG_RESOURCE)})"),
        Link("why it ran", _trigger(run)),
        Link("code", _code(run)),
        Link("data", _data(tags)),
        Link("image", f"{run.get(names.TAG_IMAGE, '')} {tags.get(names.TAG_IMAGE_DIGEST, 'unknown')}"),
        Link("gate", tags.get(names.TAG_GATE, "unknown")),
    )
    return Lineage(prediction, tags, links)


def _code(run: Mapping[str, str]) -> str:
    return f"{run.get(names.TAG_REPOSITORY, 'unknown')} commit {run.get(names.TAG_COMMIT, 'unknown')}"


def _headers(prediction: Prediction) -> str:
    shown = (names.HEADER_MODEL_NAME, names.HEADER_MODEL_VERSION, names.HEADER_RUN_ID)
    return ", ".join(f"{name}: {prediction.headers.get(name.lower(), 'missing')}" for name in shown)


def _data(tags: Mapping[str, str]) -> str:
    prefix = f"{names.TAG_DATA}."
    digests = [f"{tag.removeprefix(prefix)} {value}" for tag, value in tags.items() if tag.startswith(prefix)]
    return ", ".join(sorted(digests)) or "none"


def _trigger(run: Mapping[str, str]) -> str:
    trigger = msgspec.json.decode(run.get(names.TAG_TRIGGER, '{"type": "Created"}'), type=Trigger)
    return f"{trigger.type}: {trigger.message}"
