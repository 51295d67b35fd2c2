"""From the outcomes of a plan's steps to the conditions that kubectl wait, Flux, Argo CD and Helm read.

The contract is kstatus (fluxcd/cli-utils ``pkg/kstatus``), in four rules:

- ``Ready`` is always there: True, False (failed, or failing and retried) or Unknown (working).
- ``Reconciling`` and ``Stalled`` are there only while they are True, and never both.
- a failure that needs a person is Ready=False with Stalled=True, which ends a watcher's wait before its timeout.
- every condition carries the generation it speaks of (kubectl#1414 hangs for ever on one left behind).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from tandem.api.meta import Condition, ConditionStatus, condition_of
from tandem.api.plan import Emit

READY: Final = "Ready"
RECONCILING: Final = "Reconciling"
STALLED: Final = "Stalled"
PROGRESSING_WITH_RETRY: Final = "ProgressingWithRetry"

# A status must stay readable and small: etcd holds 10,000 of them.
MESSAGE_LIMIT: Final = 1024


@dataclass(frozen=True, slots=True)
class Passed:
    """The step is done."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Working:
    """The step goes on, or waits for something that is expected to come."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Retrying:
    """The step was refused and is tried again by itself."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The step will not pass until somebody changes something; the message says what.

    ``final``: nothing is tried any more. Otherwise it heals by itself as soon as the cause is gone (an image that is
    pushed, a model that is handed over), and until then it says that a person is needed.
    """

    reason: str
    message: str
    final: bool = True


@dataclass(frozen=True, slots=True)
class Undecided:
    """The step ended without a verdict, and nothing is left to wait for (no thresholds: nothing is promoted)."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Awaiting:
    """A person has to say how it goes on, whenever that may be: nothing reconciles, nothing is wrong."""

    reason: str
    message: str


Outcome: TypeAlias = Passed | Working | Retrying | Failed | Undecided | Awaiting

_STATUS: Final[dict[type[Outcome], ConditionStatus]] = {
    Passed: "True",
    Working: "Unknown",
    Retrying: "Unknown",
    Failed: "False",
    Undecided: "Unknown",
    Awaiting: "Unknown",
}


def summarise(
    steps: Mapping[str, Outcome], previous: tuple[Condition, ...], generation: int, now: datetime, settled: Passed
) -> tuple[Condition, ...]:
    """Fold the steps' outcomes, in order, into conditions.

    The first step that has not passed decides Ready; ``settled`` is what Ready says when all have.
    """
    decisive = next((outcome for outcome in steps.values() if not isinstance(outcome, (Passed, Undecided))), settled)
    wanted: dict[str, tuple[ConditionStatus, str, str]] = {}
    match decisive:
        case Passed(reason, message):
            wanted[READY] = ("True", reason, message)
        case Working(reason, message):
            wanted[READY] = ("Unknown", reason, message)
            wanted[RECONCILING] = ("True", reason, message)
        case Awaiting(reason, message):
            wanted[READY] = ("Unknown", reason, message)
        case Retrying(reason, message):
            wanted[READY] = ("False", reason, message)
            wanted[RECONCILING] = ("True", PROGRESSING_WITH_RETRY, message)
        case Failed(reason, message):
            wanted[READY] = ("False", reason, message)
            wanted[STALLED] = ("True", reason, message)
    for type_, outcome in steps.items():
        wanted[type_] = (_STATUS[type(outcome)], outcome.reason, outcome.message)
    return tuple(
        condition(type_, status, reason, message, previous, generation, now)
        for type_, (status, reason, message) in wanted.items()
    )


def waiting_since(
    previous: tuple[Condition, ...], since: datetime | None, told: tuple[Condition, ...], now: datetime
) -> datetime | None:
    """Since when Ready is not True for the reason that it has; None while it is True.

    A condition's own time is that of its status, which is Unknown from a rollout's or a run's first step to its last.
    ``since``: what was told before.
    """
    before, ready = condition_of(previous, READY), condition_of(told, READY)
    if ready is None or ready.status == "True":
        return None
    same = before is not None and (before.status, before.reason) == (ready.status, ready.reason)
    return (since if same else None) or now.replace(microsecond=0)


def condition(
    type_: str,
    status: ConditionStatus,
    reason: str,
    message: str,
    previous: tuple[Condition, ...],
    generation: int,
    now: datetime,
) -> Condition:
    """A condition that keeps its lastTransitionTime for as long as its status stays the same."""
    before = condition_of(previous, type_)
    unchanged = before is not None and before.status == status
    return Condition(
        type=type_,
        status=status,
        reason=reason,
        message=shortened(message),
        last_transition_time=before.last_transition_time if before and unchanged else now.replace(microsecond=0),
        observed_generation=generation,
    )


def shortened(message: str, limit: int = MESSAGE_LIMIT) -> str:
    return message if len(message) <= limit else message[: limit - 1] + "…"


def transitions(previous: tuple[Condition, ...], current: tuple[Condition, ...]) -> list[Emit]:
    """One Event for each condition that has become True or False since the status was last written."""
    events: list[Emit] = []
    for now in current:
        if now.type in _TOLD_ELSEWHERE or now.status == "Unknown":
            continue
        before = condition_of(previous, now.type)
        same = before is not None and (before.status, before.reason) == (now.status, now.reason)
        if not same:
            event = Emit("Warning" if _is_bad(now) else "Normal", now.reason, now.message)
            if event not in events:  # Trained=False and Failed=True say the same
                events.append(event)
    return events


# Three only repeat what the steps say; Drifted mirrors what the model-drift controller tells by Events of its own.
_TOLD_ELSEWHERE: Final = frozenset({READY, RECONCILING, STALLED, "Drifted"})
# Bad news when it is True; every other condition is bad news when it is False.
_ABNORMAL_TRUE: Final = frozenset({"Failed"})


def _is_bad(condition_: Condition) -> bool:
    return (condition_.status == "True") == (condition_.type in _ABNORMAL_TRUE)
