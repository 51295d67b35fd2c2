"""What the status of an AppDeployment tells. The contract is crds/appdeployments.yaml."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, TypeAlias

import msgspec

from tandem.api.analysis import AnalysisStatus
from tandem.api.meta import Condition, Wire


class RevisionModel(Wire, frozen=True):
    name: str
    version: str
    run_id: str = ""


class RevisionConfigMap(Wire, frozen=True):
    """A ConfigMap that a revision was made from, and the immutable copy that it uses."""

    name: str
    copy: str

    @property
    def digest(self) -> str:
        """Of what it holds: the name of the copy ends with it."""
        return self.copy.rpartition("-")[2]


class RevisionStatus(Wire, frozen=True):
    """One revision: what serves, what is about to, or what did."""

    revision: int
    digest: str  # of everything that makes it: image, model version, command, env, port …
    image: str = ""
    image_digest: str = ""  # as the imageID of its first pod tells it
    model: RevisionModel | None = None
    commit: str = ""
    config_maps: tuple[RevisionConfigMap, ...] = ()
    secrets: tuple[str, ...] = ()
    traffic_percent: int | None = None  # what it really gets, while two revisions share the traffic


class RevisionRecord(Wire, frozen=True):
    revision: int
    digest: str = ""
    image: str = ""
    image_digest: str = ""  # as in `stable`; it stays when the pods are gone
    other_image_digests: tuple[str, ...] = ()  # of pods that run another image by the same name: the tag moved
    model: RevisionModel | None = None
    commit: str = ""
    config_maps: tuple[RevisionConfigMap, ...] = ()
    secrets: tuple[str, ...] = ()
    state: Literal["Stable", "Candidate", "Retired", "Failed"] = "Candidate"
    reason: str = ""
    retire_at: datetime | None = None  # the old revision serves open connections until then


class RolloutApproval(Wire, frozen=True):
    """A person's word on one step of one revision; `tandem.dev/approved: REVISION/STEP` gives it."""

    revision: int
    step: str  # "2", the second of rollout.steps; "promotion": before it takes all the traffic
    state: Literal["Awaiting", "Approved"]
    last_transition_time: datetime | None = None  # waits since, or seen to be approved
    by: str = ""


DecisionVerb: TypeAlias = Literal["Approved", "Promoted", "Paused", "Resumed", "Aborted", "Retried"]


class Decision(Wire, frozen=True):
    """What a person said about a revision: who and why as annotations say, when the operator saw it."""

    verb: DecisionVerb
    revision: int
    step: str = ""  # of Approved, as in ``approval``
    by: str = ""
    why: str = ""
    time: datetime | None = None  # None: it was there when the status was lost


class SeenAnnotations(Wire, frozen=True):
    """As they were at the operator's last look: a word that comes without a name of its own is nobody's."""

    decided: str = ""
    decided_by: str = ""
    requested: str = ""
    requested_at: str = ""
    requested_by: str = ""


class DeliveryEvent(Wire, frozen=True):
    """``seconds``: the lead time of what was promoted, how long it took to restore; None where nobody knows."""

    time: datetime
    type: Literal["Promoted", "Failed", "Restored"]
    revision: int
    seconds: int | None = None


class DeliveryStatus(Wire, frozen=True):
    """The four DORA figures over 30 days, and the events that they are made of, the latest first."""

    deployments_30d: int = msgspec.field(default=0, name="deployments30d")
    lead_time_p50_seconds: int | None = None
    change_failure_rate: str = ""  # 0.250
    time_to_restore_p50_seconds: int | None = None
    complete_since: datetime | None = (
        None  # there were more events than are kept: the figures are of the time since then
    )
    pending_commit_time: datetime | None = None  # of the oldest commit that is not live yet
    degraded_since: datetime | None = None
    history: tuple[DeliveryEvent, ...] = ()


# What status.phase may say.
PHASES: Final = frozenset({"Progressing", "Healthy", "Degraded", "Paused"})


class AppDeploymentStatus(Wire, frozen=True):
    observed_generation: int = -1
    phase: str = ""
    conditions: tuple[Condition, ...] = ()
    stable: RevisionStatus | None = None
    candidate: RevisionStatus | None = None
    approval: RolloutApproval | None = None
    decisions: tuple[Decision, ...] = ()  # latest first
    seen: SeenAnnotations | None = None
    revisions: tuple[RevisionRecord, ...] = ()
    delivery: DeliveryStatus | None = None
    url: str = ""
    preview_url: str = ""  # where the candidate answers, before it has any traffic
    analysis: AnalysisStatus | None = None
    explain: str = ""  # what a rollout waits for, since when, and what moves it
    waiting_since: datetime | None = None  # Ready is not True, for the reason that it has now
    replicas: int = 0  # of the stable revision: what /scale reports
    selector: str = ""
