"""What is created, and what a client writes that does by hand what the operator does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import msgspec

from tandem.api import names
from tandem.api.facts import Facts, RunsOf, TrackedRun
from tandem.api.meta import Json
from tandem.api.plan import Create, EnsureRun, Observed, Plan
from tandem.api.trainingjob import TrainingJob
from tandem.training.case import TrainingChildren, TrainingSettings
from tandem.training.plan import plan

NAMESPACES: Final = tuple(f"team-{number}" for number in range(8))
IMAGE: Final = "tandem/runtime:bench"
TRAINING_JOBS: Final = f"/apis/{names.API_VERSION}/namespaces/{{}}/trainingjobs"
JOBS: Final = "/apis/batch/v1/namespaces/{}/jobs"

_NAMESPACE, _NAME, _UID = "the-namespace-of-it", "the-name-of-it", "00000000-aaaa-bbbb-cccc-000000000000"


@dataclass(frozen=True)
class Workload:
    """The smallest TrainingJob, its Job and its first status, as bytes that are ready to be sent.

    Job and status are those of Tandem's own plan, so that a bare client writes exactly what Tandem writes.
    """

    prefix: str
    mlflow_uri: str = "http://127.0.0.1:1"

    def name(self, number: int) -> str:
        return f"{self.prefix}-{number:05}"

    def namespace(self, number: int) -> str:
        return NAMESPACES[number % len(NAMESPACES)]

    def resource(self, number: int) -> bytes:
        return self._fill(self._resource, number)

    def job(self, number: int, uid: str) -> bytes:
        return self._fill(self._job, number, uid)

    def status(self, number: int, uid: str) -> bytes:
        """A merge patch."""
        return self._fill(self._status, number, uid)

    def _fill(self, template: str, number: int, uid: str = "") -> bytes:
        filled = template.replace(_NAMESPACE, self.namespace(number)).replace(_NAME, self.name(number))
        return filled.replace(_UID, uid).encode()

    @cached_property
    def _resource(self) -> str:
        return json.dumps(_manifest({}))

    @cached_property
    def _job(self) -> str:
        (create,) = (action for action in self._planned.actions if isinstance(action, Create))
        return json.dumps(create.manifest)

    @cached_property
    def _status(self) -> str:
        return json.dumps({"metadata": {"uid": _UID}, "status": self._planned.status})

    @cached_property
    def _planned(self) -> Plan:
        """The plan of a new resource once its MLflow run is there."""
        settings, now = TrainingSettings(IMAGE, self.mlflow_uri), datetime.now(UTC)
        resource = msgspec.convert(_manifest({"uid": _UID, "generation": 1}), TrainingJob)
        question = RunsOf(_UID, f"{_NAMESPACE}/{_NAME}")

        def planned(*runs: TrackedRun) -> Plan:
            return plan(settings, Observed(resource, TrainingChildren(), Facts({question: runs}), {}), now)

        (ensure,) = (action for action in planned().actions if isinstance(action, EnsureRun))
        return planned(TrackedRun("0" * 32, "1", 1, "RUNNING", now, tags=ensure.tags, made=True))


def _manifest(metadata: Json) -> Json:
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.TRAINING_JOB,
        "metadata": {"namespace": _NAMESPACE, "name": _NAME, **metadata},
        "spec": {"steps": [{"name": "train", "command": ["python", "train.py"]}]},
    }
