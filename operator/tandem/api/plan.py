"""The words a Plan is made of: what to create, apply, delete, tell and ask; nothing here does it.

A plan is a value. ``plan(observed, now)`` makes it and has no effect; the engine carries it out, in order, and stops
at the first action that fails. An action that was refused comes back to the next plan as a :class:`Refusal`: failing
is an observation too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Generic, Literal, TypeAlias, TypeVar

from tandem.api.facts import Answer, Facts, Query, Unavailable
from tandem.api.meta import Json


@dataclass(frozen=True, slots=True)
class Create:
    """POST an object that has a deterministic name. Already there, with the same controller uid: done.

    Jobs are created, never applied: an apply is an upsert, and a stale view would train a second time
    (argo-workflows#16294, #13986).

    ``fenced``: it is created for the present version of the resource only (one more read), as its name does not keep an
    older view from creating it wrongly: the name counts on from what was seen, or what bore it may be gone.
    """

    manifest: Json
    fenced: bool = False

    @property
    def id(self) -> str:
        return f"create {_name_of(self.manifest)}"


@dataclass(frozen=True, slots=True)
class Apply:
    """Server-side apply of an object that Tandem owns, with one field manager.

    ``rests_on``: the name of a Service whose selector the plan went by. It is asked for first: one that is not as the
    plan saw it, or that it did not see, makes a new plan. (An older view takes pods for spare that have got the
    traffic since.)
    ``without``: the name of a Deployment that the plan took for gone, asked for first as well. (Watches keep no order:
    what a Service selects may be seen after the Service.)
    """

    manifest: Json
    rests_on: str = ""
    without: str = ""

    @property
    def id(self) -> str:
        return f"apply {_name_of(self.manifest)}"


@dataclass(frozen=True, slots=True)
class CopyConfigMap:
    """There is an immutable copy of a ConfigMap as it was when the plan was made, in the same namespace.

    ``manifest`` is the copy without its content: plans and facts never carry that. What ``source`` holds is read when
    the copy is made; when its digest is another one by then, nothing is made, and there is a new plan.
    """

    manifest: Json
    source: str
    digest: str

    @property
    def id(self) -> str:
        return f"copy {_name_of(self.manifest)}"


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete an object, by uid; it is done when the object is gone already.

    ``rests_on``: the name of a Deployment that the object would still be needed by. It is asked for first: one that
    the plan has not seen, or saw as another one, makes a new plan.
    """

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    rests_on: str = ""

    @property
    def id(self) -> str:
        return f"delete {self.kind}/{self.name}"


@dataclass(frozen=True, slots=True)
class Emit:
    """A Kubernetes Event on the resource; plans emit one per transition."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str

    @property
    def id(self) -> str:
        return f"event {self.reason}"


# --- Writes outside the cluster: each idempotent by a key that survives a crash --------------------------------------


@dataclass(frozen=True, slots=True)
class EnsureRun:
    """There is an MLflow run with these tags; found again by uid and run number before one is created."""

    uid: str
    number: int
    experiment: str
    name: str
    tags: Mapping[str, str]
    parameters: Mapping[str, str]

    @property
    def id(self) -> str:
        return f"mlflow run {self.uid}/{self.number}"


@dataclass(frozen=True, slots=True)
class TagRun:
    run_id: str
    tags: Mapping[str, str]

    @property
    def id(self) -> str:
        return f"mlflow tags {self.run_id}"


@dataclass(frozen=True, slots=True)
class EndRun:
    """Close an MLflow run that its script left open (killed, evicted, out of memory)."""

    run_id: str
    status: Literal["FINISHED", "FAILED", "KILLED"]

    @property
    def id(self) -> str:
        return f"mlflow end {self.run_id}"


@dataclass(frozen=True, slots=True)
class RegisterVersion:
    """There is a version of ``name`` made from this model of ``run_id``, and it has tags of all these names.

    The registered model belongs to ``namespace``, or to nobody yet.
    """

    namespace: str
    name: str
    run_id: str
    model_id: str
    tags: Mapping[str, str]

    @property
    def id(self) -> str:
        return f"mlflow version {self.name} of {self.run_id}"

    @property
    def source(self) -> str:
        """That of the version: as MLflow's own client writes it, also for ``log_model(registered_model_name=…)``."""
        return f"models:/{self.model_id}"


@dataclass(frozen=True, slots=True)
class PromotionRecord:
    """What the promotion ledger says about a move of an alias beside what moved; append-only, in MLflow."""

    actor: str  # who moved it: TrainingJob ml/iris
    uid: str  # of that resource
    number: int  # of its run, or of its revision
    reason: str
    details: Mapping[str, str] = field(default_factory=dict)  # verdicts of the gate, digests, who approved and when


@dataclass(frozen=True, slots=True)
class MoveAlias:
    """Read, check that the alias still points at ``expected`` (or nowhere), set, read again.

    With a ``record`` the ledger has an entry before the alias moves, which is closed when it has moved: a crash
    between any two requests leaves an entry that the next try finds by uid, number and version.
    """

    namespace: str
    name: str
    alias: str
    version: str
    expected: str | None
    record: PromotionRecord | None = None

    @property
    def id(self) -> str:
        return f"mlflow alias {self.name}@{self.alias}"


@dataclass(frozen=True, slots=True)
class TagVersion:
    """These tags stand on a version of a registered model."""

    namespace: str
    name: str
    version: str
    tags: Mapping[str, str]

    @property
    def id(self) -> str:
        return f"mlflow tags {self.name} version {self.version}"


# What has the name belongs to a resource of the same name that was deleted: it goes, and then there is a new try.
PREDECESSOR_REMAINS: Final = "PredecessorRemains"


class Refused(Exception):
    """Whoever carries out an action raises this when it was refused; the engine turns it into a :class:`Refusal`."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


Outside: TypeAlias = EnsureRun | TagRun | EndRun | RegisterVersion | TagVersion | MoveAlias
Action: TypeAlias = Create | CopyConfigMap | Apply | Delete | Emit | Outside


@dataclass(frozen=True, slots=True)
class Refusal:
    """An action was refused; by whom, why, and when it may be tried again."""

    reason: str  # CamelCase: Forbidden, Invalid, TrackingUnavailable, ModelOwnedElsewhere …
    message: str
    since: datetime
    retry_at: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done now.

    ``status`` is the whole status that this controller owns (None: say nothing yet); the engine writes the
    difference, after the actions, or nothing. ``reads`` are the facts it was made from or waits for. ``without`` are
    Jobs, by name, that are taken for gone and must be: they are asked for before anything is done or told. (Watches
    keep no order: whoever takes over may know of a Job by a status before the Job itself is seen.)
    """

    actions: tuple[Action, ...] = ()
    status: Json | None = None
    events: tuple[Emit, ...] = ()  # emitted after the status was written, so that a repeated plan repeats no Event
    reads: tuple[Query[object], ...] = ()
    without: tuple[str, ...] = ()
    requeue_after: timedelta | None = None


Resource = TypeVar("Resource", covariant=True)
Children = TypeVar("Children", covariant=True)


@dataclass(frozen=True)
class Observed(Generic[Resource, Children]):
    """Everything a plan may know: the resource, its children (trusted by controller uid), facts and refusals."""

    resource: Resource
    children: Children
    facts: Facts = field(default_factory=Facts)
    refusals: Mapping[str, Refusal] = field(default_factory=dict)


class Draft:
    """What one pass has gathered so far; lives and dies inside one call of ``plan``."""

    def __init__(self, facts: Facts, refusals: Mapping[str, Refusal], now: datetime) -> None:
        self._facts = facts
        self._refusals = refusals
        self._now = now
        self._actions: list[Action] = []
        self._reads: dict[Query[object], None] = {}
        self._without: dict[str, None] = {}
        self._requeue_after: timedelta | None = None
        self.events: list[Emit] = []

    def read(self, query: Query[Answer]) -> Answer | Unavailable | None:
        self._reads[query] = None
        return self._facts.read(query)

    def act(self, action: Action) -> Refusal | None:
        """Plan this action, unless it was refused and its time has not come yet: then say how it was refused.

        An action whose time has come is planned again *and* its refusal is returned: until it succeeds, the
        status goes on telling what is wrong.
        """
        refusal = self._refusals.get(action.id)
        if refusal is None or refusal.retry_at <= self._now:
            if action not in self._actions:  # two steps may both find the same thing missing
                self._actions.append(action)
        else:
            self.requeue(refusal.retry_at - self._now)
        return refusal

    def without(self, job: str) -> None:
        """What is planned goes by it that there is no Job of this name."""
        self._without[job] = None

    def requeue(self, after: timedelta) -> None:
        self._requeue_after = after if self._requeue_after is None else min(after, self._requeue_after)

    def finish(self, status: Json | None) -> Plan:
        return Plan(
            actions=tuple(self._actions),
            status=status,
            events=tuple(self.events),
            reads=tuple(self._reads),
            without=tuple(self._without),
            requeue_after=self._requeue_after,
        )


def _name_of(manifest: Json) -> str:
    return f"{manifest['kind']}/{manifest['metadata']['name']}"
