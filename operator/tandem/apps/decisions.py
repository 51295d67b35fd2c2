"""What people have said about revisions, as the operator has seen it: who, when, why. Latest first.

It is found by comparing with the stored status, as Events are: a word that stands is told once. After a status was lost
what stands is told again, without a time: nobody knows it any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias, get_args

from tandem.api.appdeployment_status import AppDeploymentStatus, Decision, DecisionVerb
from tandem.api.meta import condition_of
from tandem.api.plan import Emit
from tandem.apps import credit, people
from tandem.apps.case import Case
from tandem.apps.pods import record_of
from tandem.apps.quarantine import asked_for, standing

KEPT: Final = 10
_ROLLED_OUT: Final = "RolledOut"
_ABORTED: Final = "Aborted"

_Word: TypeAlias = tuple[DecisionVerb, int, str]  # and a step, where it is about one


def decided(case: Case, status: AppDeploymentStatus) -> tuple[Decision, ...]:
    """``status``: all else that is told."""
    lost = case.stored.observed_generation < 0
    news: list[Decision] = []
    for verb, revision, step in _new_words(case, status):
        said = credit.speaker(case, verb, revision, step)
        time = None if lost else case.second
        news.append(Decision(verb=verb, revision=revision, step=step, by=said.who, why=said.why, time=time))
    return (*reversed(news), *case.stored.decisions)[:KEPT]


def announced(case: Case, status: AppDeploymentStatus) -> list[Emit]:
    """An Event for each that is new."""
    count = len(status.decisions)
    fresh = next((n for n in range(count) if status.decisions[n:] == case.stored.decisions[: count - n]), count)
    news = [one for one in reversed(status.decisions[:fresh]) if one.time is not None]
    return [_event(one) for one in news if one.verb != "Retried" or not _has_failed(case, one.revision)]


def _new_words(case: Case, status: AppDeploymentStatus) -> Iterator[_Word]:
    before, now = case.stored.approval, status.approval
    was = (before.revision, before.step, before.state) if before is not None else None
    if now is not None and now.state == "Approved" and was != (now.revision, now.step, now.state):
        yield "Approved", now.revision, now.step
    retried = _retried(case, status)
    if retried is not None:
        yield "Retried", retried, ""
    if status.candidate is not None:
        number = status.candidate.revision
        is_paused = _latest(case, number, "Paused", "Resumed") == "Paused"
        if people.wants_pause(case, number) != is_paused:
            yield "Resumed" if is_paused else "Paused", number, ""
    tried = status.candidate or case.stored.candidate  # it may have got through before the status could be written
    said = tried is not None and people.wants_promotion(case, tried.revision)
    if tried is not None and said and not _is_told_promoted(case, tried.revision):
        yield "Promoted", tried.revision, ""
    rolled_out, told = condition_of(status.conditions, _ROLLED_OUT), case.told(_ROLLED_OUT)
    if rolled_out is not None and rolled_out.reason == _ABORTED and (told is None or told.reason != _ABORTED):
        given_up = people.aborted(case)
        # An older view, after a restart, shows for a moment what was before; that was told then.
        if given_up is not None and _latest(case, given_up, *get_args(DecisionVerb)) != _ABORTED:
            yield _ABORTED, given_up, ""


def _retried(case: Case, status: AppDeploymentStatus) -> int | None:
    """The revision that is tried, or judged, once more because a person has asked for it just now."""
    number = case.wanted
    if number is None or not credit.is_asked_anew(case):
        return None
    owned, told = case.fleet.owned.get(number), case.told(_ROLLED_OUT)
    if owned is not None and owned.verdict is not None and standing(case, owned) is None:
        return number
    is_tried = status.candidate is not None and status.candidate.revision == number
    undecided = told is not None and told.reason == "AnalysisInconclusive" and asked_for(case) == number
    return number if is_tried and (undecided or _has_failed(case, number)) else None


def _has_failed(case: Case, number: int) -> bool:
    """When the status was written last."""
    record = record_of(case, number)
    return record is not None and record.state == "Failed"


def _is_told_promoted(case: Case, number: int) -> bool:
    """In the attempt that goes on; the one before it is another decision."""
    last = next((one for one in case.stored.decisions if one.revision == number and one.verb == "Promoted"), None)
    if last is None:
        return False
    owned = case.fleet.owned.get(number)
    since = owned.started_at if owned is not None else None
    return last.time is None or since is None or last.time >= since


def _latest(case: Case, number: int, *verbs: DecisionVerb) -> str | None:
    return next((one.verb for one in case.stored.decisions if one.revision == number and one.verb in verbs), None)


def _event(one: Decision) -> Emit:
    by = (f" by {one.by}" if one.by else "") + (f": {one.why}" if one.why else "")
    revision = f"revision {one.revision}"
    match one.verb:
        case "Approved":
            what = "the promotion" if one.step == "promotion" else f"step {one.step}"
            return Emit("Normal", "StepApproved", f"{what} of {revision} was approved{by}")
        case "Promoted":
            return Emit("Normal", "RolloutPromoted", f"{revision} was promoted{by}")
        case "Paused":
            return Emit("Normal", "RolloutPaused", f"{revision} was paused{by}")
        case "Resumed":
            return Emit("Normal", "RolloutResumed", f"{revision} was let go on{by}")
        case "Aborted":
            return Emit("Normal", "RolloutAborted", f"{revision} was aborted{by}")
        case "Retried":
            return Emit("Normal", "RolloutRetried", f"another judgement of {revision} was asked for{by}")
