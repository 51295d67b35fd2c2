"""What the steps of one pass have found out about the current run; the status is written from it."""

from __future__ import annotations

from dataclasses import dataclass

from tandem.api.facts import TrackedRun
from tandem.api.trainingjob_status import (
    ApprovalStatus,
    DataStatus,
    Failure,
    GateVerdict,
    ImageStatus,
    ModelStatus,
    PromotionStatus,
    ReproductionStatus,
    RunStatus,
    SourceStatus,
)


@dataclass(frozen=True, slots=True)
class Findings:
    run: RunStatus
    tracked: TrackedRun | None = None
    original: TrackedRun | None = None  # that this run is to reproduce
    failure: Failure | None = None
    source: SourceStatus | None = None
    image: ImageStatus | None = None
    data: tuple[DataStatus, ...] = ()
    metrics: tuple[tuple[str, str], ...] = ()
    gate: tuple[GateVerdict, ...] = ()
    model: ModelStatus | None = None
    approval: ApprovalStatus | None = None
    reproduction: ReproductionStatus | None = None
    promotions: tuple[PromotionStatus, ...] = ()
    open_ends: bool = False  # something outside is still to be closed; the run has not ended before it is
