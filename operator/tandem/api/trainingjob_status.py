"""What the status of a TrainingJob tells. The contract is crds/trainingjobs.yaml."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from tandem.api.meta import Condition, Wire

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
