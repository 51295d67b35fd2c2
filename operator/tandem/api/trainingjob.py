"""TrainingJob: data + code → Job → MLflow run → gate → registered version. The contract is crds/trainingjobs.yaml."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from tandem.api.checks import DataChecks
from tandem.api.containers import MAX_INT32, Argument, Image, LocalReference, Name, ObjectName, Resources
from tandem.api.duration import Duration
from tandem.api.gate import Change, ChangeThreshold, DecimalString, MetricName
from tandem.api.meta import ObjectMeta, Wire
from tandem.api.trainingjob_status import TrainingJobStatus

PositiveInt = Annotated[int, msgspec.Meta(ge=1, le=MAX_INT32)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]


class GitSource(Wire, frozen=True):
    """A Git repository; ``ref`` is a branch, a tag or a commit, resolved to a commit when a run starts."""

    url: Annotated[str, msgspec.Meta(pattern=r"^(https?|ssh|git|file)://[!-~]+$", max_length=2048)]
    ref: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=250)] = "main"
    path: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/-]*$", max_length=1024)] | None = None
    secret_ref: LocalReference | None = None


class Source(Wire, frozen=True):
    """Where the code comes from: exactly one of git and configMapRef; none when the image holds it."""

    git: GitSource | None = None
    config_map_ref: LocalReference | None = None


class ClaimReference(Wire, frozen=True):
    """A PersistentVolumeClaim of the resource's own namespace, as a pod's volume names it."""

    claim_name: ObjectName


class DataCache(Wire, frozen=True):
    """A volume that keeps the data set by its digest from one run to the next."""

    persistent_volume_claim: ClaimReference


class DataSet(Wire, frozen=True):
    """A data version: fetched before the first step, every byte hashed."""

    name: Name
    storage_uri: Annotated[
        str,
        msgspec.Meta(pattern=r"^(https?|file|pvc|s3|gs|abfss?|git\+https?|oci)://[!-~]+$", max_length=2048),
    ]
    digest: Sha256 | None = None
    secret_ref: LocalReference | None = None
    cache: DataCache | None = None
    checks: DataChecks | None = None


class Step(Wire, frozen=True):
    """One of the user's own commands; steps run in order and share /workspace."""

    name: Name
    command: Annotated[tuple[Argument, ...], msgspec.Meta(min_length=1, max_length=64)]
    image: Image | None = None
    resources: Resources = Resources()


# As MLflow's metric names: TFMA writes a slice like this, and MLflow takes neither '=' nor ','.
MetricSlice = Annotated[str, msgspec.Meta(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9_. :/-]+$")]


class MetricThreshold(Wire, frozen=True):
    """A rule on one metric, or on each of its slices: bounds are inclusive, and all that are given must hold."""

    name: MetricName
    min: DecimalString | None = None
    max: DecimalString | None = None
    change: ChangeThreshold | None = None
    slices: Annotated[tuple[MetricSlice, ...], msgspec.Meta(max_length=16)] = ()
    sample_count_metric: MetricName | None = None
    min_samples: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT32)] = 0
    confidence: Annotated[str, msgspec.Meta(pattern=r"^0\.[0-9]{1,6}$", max_length=8)] | None = None


class Baseline(Wire, frozen=True):
    """The version that a change is measured against, and whether it was measured on the same data."""

    alias: Annotated[str, msgspec.Meta(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")] = (
        "champion"
    )
    data: Annotated[tuple[Name, ...], msgspec.Meta(max_length=16)] = ()
    on_different_data: Literal["Unknown", "Compare"] = "Unknown"


class Gate(Wire, frozen=True):
    metrics: Annotated[tuple[MetricThreshold, ...], msgspec.Meta(max_length=32)] = ()
    baseline: Baseline = Baseline()


class ModelTarget(Wire, frozen=True):
    """Where a model that passed the gate goes."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")]
    alias: Annotated[str, msgspec.Meta(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")] = (
        "challenger"
    )
    approval: Literal["Automatic", "Required"] = "Automatic"


class Tracking(Wire, frozen=True):
    """``experiment``: the MLflow experiment of the runs; for a script that calls ``mlflow.set_experiment``."""

    experiment: Annotated[str, msgspec.Meta(min_length=1, max_length=250)] | None = None


class Breaches(Wire, frozen=True):
    count: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3


class DriftSignal(Wire, frozen=True):
    """A monitored metric of the champion, and when it counts as breached."""

    metric: MetricName
    min: DecimalString | None = None
    max: DecimalString | None = None
    change: Change | None = None
    sample_count_metric: MetricName | None = None
    min_samples: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT32)] = 0
    breaches: Breaches = Breaches()


class DriftPolicy(Wire, frozen=True, kw_only=True):
    alias: Annotated[str, msgspec.Meta(min_length=1, max_length=250, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")] = (
        "champion"
    )
    signals: Annotated[tuple[DriftSignal, ...], msgspec.Meta(min_length=1, max_length=16)]


class OnDataChange(Wire, frozen=True):
    """How often the stores are asked whether data that no digest pins are others than those of the latest run."""

    interval: Duration = "1h"


class Retrain(Wire, frozen=True):
    schedule: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    time_zone: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")] | None = None
    starting_deadline_seconds: PositiveInt | None = None
    on_data_change: OnDataChange | None = None
    drift: DriftPolicy | None = None
    cooldown: Duration = "1h"


class Checkpoint(Wire, frozen=True):
    """A volume in which each run has a folder that outlives its pods."""

    persistent_volume_claim: ClaimReference


class Toleration(Wire, frozen=True):
    """A taint of nodes that the pods tolerate, as in a pod."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=316)] | None = None
    operator: Literal["Exists", "Equal"] = "Equal"
    value: Annotated[str, msgspec.Meta(max_length=63)] | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT32)] | None = None


class TrainingJobSpec(Wire, frozen=True, kw_only=True):
    steps: Annotated[tuple[Step, ...], msgspec.Meta(min_length=1, max_length=16)]
    source: Source | None = None
    image: Image | None = None
    data: Annotated[tuple[DataSet, ...], msgspec.Meta(max_length=16)] = ()
    parameters: Annotated[dict[str, Argument], msgspec.Meta(max_length=64)] = {}
    backoff_limit: Annotated[int, msgspec.Meta(ge=0, le=100)] = 2
    disruption_limit: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 20
    active_deadline_seconds: PositiveInt | None = None
    progress_deadline_seconds: PositiveInt | None = None
    ttl_seconds_after_finished: Annotated[int, msgspec.Meta(ge=0, le=MAX_INT32)] | None = None
    suspend: bool = False
    reproduce_from: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)] | None = None
    checkpoint: Checkpoint | None = None
    node_selector: Annotated[dict[str, Annotated[str, msgspec.Meta(max_length=63)]], msgspec.Meta(max_length=16)] = {}
    tolerations: Annotated[tuple[Toleration, ...], msgspec.Meta(max_length=16)] = ()
    priority_class_name: ObjectName | None = None
    num_nodes: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    num_proc_per_node: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    resources_per_node: Resources = Resources()
    tracking: Tracking = Tracking()
    gate: Gate = Gate()
    model: ModelTarget | None = None
    retrain: Retrain = Retrain()
    history_limit: Annotated[int, msgspec.Meta(ge=0, le=50)] = 10


class TrainingJob(Wire, frozen=True):
    metadata: ObjectMeta
    spec: TrainingJobSpec
    status: TrainingJobStatus = TrainingJobStatus()
