"""What the containers of Tandem's own may use in the pods of a TrainingJob: ``fetch``, ``validate``, ``digest`` …

A ResourceQuota on ``limits.cpu`` or ``limits.memory`` refuses a pod of which one container has no such limit, and
nobody but us can give ours one. Whoever lives under such a quota gives limits to all steps (or has a LimitRange give
them to all containers): so ours have limits exactly where all steps have. They cost a quota no more than the steps do,
but for the least that they need: a pod counts by the largest of its init containers, or by its last one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tandem.api.containers import Quantity, Resources, limits_beside
from tandem.api.trainingjob import TrainingJobSpec
from tandem.training.environment import resources_of

# Python with MLflow, pandas and Arrow is 300 MB; a check of wide tables is some batches more.
_LEAST: Final[Mapping[str, Quantity]] = {"cpu": 1, "memory": "1Gi"}
# Said outright: a container that says limits alone asks for as much.
_REQUESTS: Final[dict[str, Quantity]] = {"cpu": "100m", "memory": "256Mi"}
_POLL_REQUESTS: Final[dict[str, Quantity]] = {"cpu": "50m", "memory": "128Mi"}


def of_run(spec: TrainingJobSpec) -> Resources:
    """Of a container beside the steps: as much as the largest of them, where all are limited."""
    return Resources(requests=_REQUESTS, limits=_limits(spec))


def of_poll(spec: TrainingJobSpec) -> Resources:
    """Of the one container of a pod that only asks."""
    return Resources(requests=_POLL_REQUESTS, limits={name: _LEAST[name] for name in _limits(spec)})


def _limits(spec: TrainingJobSpec) -> dict[str, Quantity]:
    return limits_beside([resources_of(spec, step).limits for step in spec.steps], _LEAST)
