"""One table of mistakes that people make, each with the words in which they are told of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from demo.kubectl import Json
from tandem.api import names
from tests.e2e.scripts import python, resource, step, trains

TJ, AD = "TrainingJob", "AppDeployment"
PLURAL: Final = {TJ: "trainingjobs", AD: "appdeployments"}
NOWHERE: Final = "registry.invalid/none:1"
WRONG_DIGEST: Final = "sha256:" + "0" * 64
GATE: Final = {"metrics": [{"name": "accuracy", "min": "0.9"}]}
OURS, THEIRS = f"bad-input-{os.getpid()}", f"bad-input-theirs-{os.getpid()}"


@dataclass(frozen=True)
class Bad:
    """One mistake. ``ready``: status and reason of Ready. ``says``: what its message contains.

    ``step``: the condition that tells the same (and whose Event is ``events``). ``failure``: part of status.failure.
    """

    name: str
    kind: str
    spec: Json
    reason: str
    says: tuple[str, ...]
    step: str
    status: str = "False"
    failure: Mapping[str, object] = field(default_factory=dict)
    events: tuple[str, ...] = ()
    ended: bool = False

    @property
    def target(self) -> str:
        return f"{PLURAL[self.kind]}/{self.name}"

    @property
    def stalled(self) -> bool:
        return self.status == "False"

    @property
    def object(self) -> Json:
        return resource(self.kind, self.name, self.spec)

    def told_by(self, event: Json) -> bool:
        """Whether the Event is about this resource."""
        about = event["involvedObject"]
        return (about["kind"], about["name"]) == (self.kind, self.name)


def job(*steps: Json, **others: object) -> Json:
    return {"steps": list(steps), "backoffLimit": 0, **others}


CASES = [
    Bad(
        "no-such-image",
        TJ,
        job(step("train", "true", image=NOWHERE)),
        reason="ImagePullBackOff",
        says=("container train", NOWHERE, "correct the image's name, or push it"),
        step="Trained",
        events=("ImagePullBackOff",),
    ),
    Bad(
        "exits-3",
        TJ,
        job(
            step("prepare", "true"),
            # One stream: the order of lines that are written to two at once is nobody's promise.
            step("train", "sh", "-c", "echo reading >&2; echo \"there is no column 'species'\" >&2; exit 3"),
            step("report", "true"),
        ),
        reason="BackoffLimitExceeded",
        says=("step train", "exited 3", "last line: there is no column 'species'"),
        step="Trained",
        failure={"class": "ExitCode", "step": "train", "exitCode": 3},
        events=("BackoffLimitExceeded",),
        ended=True,
    ),
    Bad(
        "metric-not-logged",
        TJ,
        job(step("train", *trains(loss=0.25, rows=150)), gate=GATE, model={"name": OURS}),
        reason="MetricNotFound",
        says=("accuracy was never logged", "metrics that the run logged: loss, rows", "change spec.gate"),
        step="Blessed",
        events=("JobComplete", "MetricNotFound"),
        ended=True,
    ),
    Bad(
        "metric-nan",
        TJ,
        job(step("train", *trains(accuracy="NaN")), gate=GATE, model={"name": OURS}),
        reason="ThresholdNotMet",
        says=("accuracy is NaN", "no threshold lets through"),
        step="Blessed",
        events=("JobComplete", "ThresholdNotMet"),
        ended=True,
    ),
    Bad(
        "no-model-logged",
        TJ,
        job(step("train", *python("log('accuracy', 0.95)")), gate=GATE, model={"name": OURS}),
        reason="NoLoggedModel",
        says=("logged no model", "end the script with mlflow.<flavor>.log_model("),
        step="Registered",
        events=("JobComplete", "ThresholdsMet", "NoLoggedModel"),
        ended=True,
    ),
    Bad(
        "out-of-memory",
        TJ,
        job(step("train", "python", "-c", "b'x' * (1 << 30)", resources={"limits": {"memory": "64Mi"}})),
        reason="OOMKilled",
        says=("step train", "ran out of memory", "resources.limits.memory"),
        step="Trained",
        failure={"class": "OOMKilled", "step": "train", "exitCode": 137},
        events=("OOMKilled",),
        ended=True,
    ),
    Bad(
        "other-data",
        TJ,
        {
            "steps": [step("train", "true")],
            "backoffLimit": 2,
            "data": [{"name": "iris", "storageUri": "file:///etc/os-release", "digest": WRONG_DIGEST}],
        },
        reason="DigestMismatch",
        says=("step fetch", "data set iris", f"expected {WRONG_DIGEST}", "set the digest or remove it"),
        step="Trained",
        failure={"class": "ExitCode", "step": "fetch", "exitCode": 3},
        events=("DigestMismatch",),
        ended=True,
    ),
    Bad(
        "bad-data",
        TJ,
        {
            "steps": [step("train", "true")],
            "backoffLimit": 2,
            "data": [{"name": "iris", "storageUri": "file:///etc/os-release", "checks": {"minRows": 1}}],
        },
        reason="ChecksFailed",
        says=("step validate", "data set iris", "has no csv or parquet file to check"),
        step="DataValidated",
        failure={"class": "Data", "step": "validate", "exitCode": 10},
        events=("ChecksFailed",),
        ended=True,
    ),
    Bad(
        "no-such-configmap",
        TJ,
        job(step("train", "true"), source={"configMapRef": {"name": "nowhere"}}),
        reason="PodNotStarted",
        says=("ConfigMap nowhere", "kubectl -n ", "describe pod no-such-configmap-1-"),
        step="Trained",
        events=("PodNotStarted",),
    ),
    Bad(
        "model-of-another",
        TJ,
        job(step("train", *trains(accuracy=0.95)), gate=GATE, model={"name": THEIRS}),
        reason="ModelOwnedElsewhere",
        says=(f"model {THEIRS} belongs to namespace elsewhere", "set_registered_model_tag(", "choose another name"),
        step="Registered",
        events=("JobComplete", "ThresholdsMet", "ModelOwnedElsewhere"),
    ),
    Bad(
        "sets-experiment",
        TJ,
        job(step("train", "python", "-c", "import mlflow; mlflow.set_experiment('mine'); mlflow.start_run()")),
        reason="BackoffLimitExceeded",
        says=("step train", "mlflow.set_experiment()", "spec.tracking.experiment", "drop the call"),
        step="Trained",
        failure={"class": "ExitCode", "exitCode": 1},
        events=("BackoffLimitExceeded",),
        ended=True,
    ),
    Bad(
        "too-slow",
        TJ,
        job(step("train", "sleep", "3600"), activeDeadlineSeconds=15),
        reason="DeadlineExceeded",
        says=("Job too-slow-1", "spec.activeDeadlineSeconds", "raise it"),
        step="Trained",
        failure={"class": "DeadlineExceeded"},
        events=("DeadlineExceeded",),
        ended=True,
    ),
    Bad(
        "app-no-such-image",
        AD,
        {"image": NOWHERE, "progressDeadlineSeconds": 20},
        reason="ImagePullBackOff",
        says=("not ready within 20 seconds", NOWHERE, "Change the spec", f"{names.REQUESTED_AT_ANNOTATION}="),
        step="RolledOut",
        events=("RevisionCreated", "RevisionFailed"),
    ),
    Bad(
        "app-crashes",
        AD,
        {
            "image": "tandem/runtime:dev",
            "command": ["sh", "-c", "echo 'DATABASE_URL is not set' >&2; exit 4"],
            "progressDeadlineSeconds": 20,
        },
        reason="CrashLoopBackOff",
        says=("not ready within 20 seconds", "exited with code 4", "DATABASE_URL is not set"),
        step="RolledOut",
        events=("RevisionCreated", "RevisionFailed"),
    ),
    Bad(
        "app-no-such-model",
        AD,
        {"model": {"name": "nobody-made-this", "alias": "champion"}},
        reason="ModelNotFound",
        says=("model 'nobody-made-this' is not in the registry", "waiting since", "a TrainingJob with spec.model.name"),
        step="ModelResolved",
        status="Unknown",
    ),
    Bad(
        "app-no-such-alias",
        AD,
        {"model": {"name": THEIRS, "alias": "champion"}},
        reason="AliasNotFound",
        says=("has no alias 'champion'", "aliases it has: none", "set_registered_model_alias()"),
        step="ModelResolved",
        status="Unknown",
    ),
    Bad(
        "app-no-such-version",
        AD,
        {"model": {"name": THEIRS, "version": "77"}},
        reason="VersionNotFound",
        says=(f"version 77 of model '{THEIRS}'", "not in the registry", "mlflow.register_model()"),
        step="ModelResolved",
        status="Unknown",
    ),
]
