"""TrainingJob: data + code → Job → MLflow run → gate → registered version. The contract is crds/trainingjobs.yaml."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final, Literal

import msgspec

from tandem.api.checks import DataChecks
from tandem.api.containers import MAX_INT32, Argument, Image, LocalReference, Name, ObjectName, Resources
from tandem.api.duration import Duration
from tandem.api.gate import Change, ChangeThreshold, DecimalString, MetricName
from tandem.api.meta import Condition, ObjectMeta, Wire

PositiveInt = Annotated[int, msgspec.Meta(ge=1, le=MAX_INT32)]
Sha256 = Annotated[str, msgspec.Meta(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]

# --- spec ------------------------------------------------------------------------------------------------------------


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


# --- status ----------------------------------------------------------------------------------------------------------

TriggerType = Literal["Created", "SpecChanged", "Schedule", "DataChange", "Drift", "Requested"]


class Trigger(Wire, frozen=True):
    """Why a run started; ``id`` is what it answers (a generation, a drift request, a person's token)."""

    type: TriggerType
    id: str = ""
    message: str = ""


class Progress(Wire, frozen=True):
    """How far the running step has come, as it told MLflow; and when the operator saw it move last."""

    percentage: int | None = None
    step: int | None = None
    last_metric_time: datetime | None = None  # by the clock of whoever logged it: compared with itself alone
    last_update_time: datetime | None = None


class Disruption(Wire, frozen=True):
    """A pod that the cluster took away: no fault of the code."""

    pod: str
    reason: str
    message: str = ""


class NodePods(Wire, frozen=True):
    """Which pod each node has in the attempt that goes on: by rank, a short digest of its uid; '' while it has none.

    ``released``: when the Job let that attempt go.
    """

    released: datetime | None = None
    pods: tuple[str, ...] = ()


class RunStatus(Wire, frozen=True):
    """The latest run."""

    number: int
    trigger: Trigger
    spec_digest: str
    job_name: str = ""
    mlflow_run_id: str = ""
    experiment: str = ""
    step: str = ""
    step_start_time: datetime | None = None
    attempts: int = 0  # those that count against backoffLimit
    disruptions: int = 0  # those that do not
    last_disruption: Disruption | None = None
    node_pods: NodePods | None = None  # where a run has several nodes, until it has ended
    progress: Progress | None = None
    start_time: datetime | None = None
    first_attempt_start_time: datetime | None = None  # its first container's, as its node tells it
    attempt_start_time: datetime | None = None  # the same of the attempt that goes on, or is judged
    completion_time: datetime | None = None


class Failure(Wire, frozen=True):
    """Why a run failed, as far as the cluster tells."""

    class_: str = msgspec.field(name="class")  # ExitCode, OOMKilled, ImagePull, Evicted, DeadlineExceeded …
    reason: str
    message: str = ""
    step: str = ""
    exit_code: int | None = None
    log: str = ""  # the last lines that the step wrote


class SourceStatus(Wire, frozen=True):
    """The code of a run: a commit of Git, or the digest of a ConfigMap's files."""

    commit: str = ""
    digest: str = ""


class ImageStatus(Wire, frozen=True):
    digest: str  # of the last step
    steps: dict[str, str] = {}  # of each: name@sha256:…, or sha256:… where no registry has it


class DataStatus(Wire, frozen=True):
    name: str
    digest: str
    bytes: int = 0
    files: int = 0
    rows: int | None = None
    version: str = ""  # what its store said of its state before it was fetched
    verdict: Literal["", "Passed", "Failed", "NoBaseline"] = ""
    message: str = ""


class GateVerdict(Wire, frozen=True):
    metric: str  # with its slice: accuracy/species:setosa
    rule: str  # "≥ 0.9"
    result: str = ""  # Passed, Failed, Unknown (nobody can say), Skipped (a change, while there is no baseline)
    value: str = ""  # as logged; empty when the run did not log it
    bound: str = ""  # the confidence bound that was compared instead of the value
    baseline: str = ""  # the value that a change was measured against
    baseline_version: str = ""
    passed: bool = False
    message: str = ""


class ModelStatus(Wire, frozen=True):
    name: str
    version: str
    alias: str = ""


class ApprovalStatus(Wire, frozen=True):
    """A person's decision on one run; only its MLflow id names it for good."""

    model: str
    alias: str  # that moves, or does not
    mlflow_run_id: str
    state: Literal["Awaiting", "Approved", "Rejected"]
    last_transition_time: datetime | None = None  # waits since, or seen to be decided
    by: str = ""
    why: str = ""


class ReproductionStatus(Wire, frozen=True):
    """What came of spec.reproduceFrom."""

    mlflow_run_id: str  # of the original
    resource: str = ""  # that made it: ml/iris
    files: int = 0  # of the model, that were compared
    difference: str = ""  # the first; '' when there is none


class PromotionStatus(Wire, frozen=True):
    """An entry of the promotion ledger."""

    alias: str
    version: str
    promotion_time: datetime
    previous_version: str = ""
    actor: str = ""
    reason: str = ""
    approved_by: str = ""
    mlflow_run_id: str = ""  # the entry itself


class SignalStatus(Wire, frozen=True):
    metric: str
    last_step: int = 0
    value: str = ""
    baseline: str = ""
    breaches: int = 0
    alarm_step: int = 0  # the window that made it drifted; 0 while it is not
    state: Literal["Healthy", "Breached", "Drifted", "TooFewSamples", "Unknown"] = "Unknown"


class RetrainRequest(Wire, frozen=True):
    """One alarm: the id is a hash of resource, champion, signal and window end, so one alarm is one run."""

    id: str
    reason: str
    requested_at: datetime


class DriftStatus(Wire, frozen=True):
    """Written by the model-drift controller alone; everything else in the status by the operator alone."""

    champion_version: str = ""
    champion_since: datetime | None = None  # when it was seen to replace another champion; None for the first one
    signals: tuple[SignalStatus, ...] = ()
    retrain_request: RetrainRequest | None = None
    cooldown_until: datetime | None = None
    message: str = ""


class ScheduleStatus(Wire, frozen=True):
    """What retrain.schedule is at; ``next_schedule_time`` in the past is due and waits."""

    schedule: str
    time_zone: str
    next_schedule_time: datetime | None = None
    last_schedule_time: datetime | None = None


class PolledData(Wire, frozen=True):
    """``version``: as the last poll found it; '' since the latest run began, or where nobody can say."""

    name: str
    version: str = ""
    trained_version: str = ""  # what the latest run that fetched it was made from
    problem: str = ""
    message: str = ""


class DataPollStatus(Wire, frozen=True):
    """What retrain.onDataChange is at."""

    last_poll_time: datetime | None = None
    next_poll_time: datetime | None = None
    data: tuple[PolledData, ...] = ()


class HistoryEntry(Wire, frozen=True):
    number: int
    trigger: Trigger
    result: str  # Complete, or the reason of the failure
    completion_time: datetime
    mlflow_run_id: str = ""
    version: str = ""
    key_figure: str = ""


# What status.phase may say.
PHASES: Final = frozenset(
    {
        "Pending",
        "Running",
        "Validating",
        "Registering",
        "Promoting",
        "AwaitingApproval",
        "Complete",
        "Failed",
        "Stopping",
        "Stopped",
        "Suspended",
    }
)


class TrainingJobStatus(Wire, frozen=True):
    observed_generation: int = -1
    phase: str = ""
    key_figure: str = ""
    conditions: tuple[Condition, ...] = ()
    waiting_since: datetime | None = None  # Ready is not True, for the reason that it has now
    run: RunStatus | None = None
    failure: Failure | None = None
    source: SourceStatus | None = None
    image: ImageStatus | None = None
    data: tuple[DataStatus, ...] = ()
    metrics: dict[str, str] = {}
    gate: tuple[GateVerdict, ...] = ()
    model: ModelStatus | None = None
    approval: ApprovalStatus | None = None
    reproduction: ReproductionStatus | None = None
    promotions: tuple[PromotionStatus, ...] = ()
    drift: DriftStatus | None = None
    schedule: ScheduleStatus | None = None
    data_poll: DataPollStatus | None = None
    last_handled_reconcile_at: str = ""
    history: tuple[HistoryEntry, ...] = ()


class TrainingJob(Wire, frozen=True):
    metadata: ObjectMeta
    spec: TrainingJobSpec
    status: TrainingJobStatus = TrainingJobStatus()
