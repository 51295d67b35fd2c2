"""When a new revision has failed, and what it takes to try it again.

The verdict is written on the revision's own Deployment: neither a lost status nor a restart, neither a poll of the
registry nor Git brings a failed revision back by itself. Another content does (it is another revision), a person who
asks for it, or more time than it was given.

A person's request is for one revision: the one that it names, or the one that the spec asks for at that moment. There
is one annotation for all of them, so each of the others writes down that this request was none of its own.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from tandem.api import names
from tandem.api.conditions import shortened
from tandem.api.containers import MAX_INT32
from tandem.apps.case import Case
from tandem.apps.failure import Cause, cause_of, pods_of
from tandem.apps.revision import Owned, Verdict

_MESSAGE_LIMIT: Final = 700
_SLOW: Final = Cause("ProgressDeadlineExceeded", "its pods did not become ready")


def standing(case: Case, owned: Owned) -> Verdict | None:
    """The verdict on this revision, unless it was lifted."""
    verdict = owned.verdict
    if verdict is None or verdict.deadline < case.spec.progress_deadline_seconds:
        return None
    asked = _token(case) not in {"", verdict.requested_at}
    return None if asked and asked_for(case) == owned.number else remembered(case, owned)


def remembered(case: Case, owned: Owned) -> Verdict | None:
    """The verdict as it is kept while nobody asks for this revision: a request that was for another was none for it."""
    verdict, token = owned.verdict, _token(case)
    others = asked_for(case) not in {None, owned.number}
    if verdict is None or not token or not others or _named(token) is not None:
        return verdict  # one that names a revision is nobody else's anyway
    return msgspec.structs.replace(verdict, requested_at=token)


def judge(case: Case, owned: Owned, started_at: datetime) -> Verdict | None:
    """The verdict, when its time is over."""
    deadline = case.spec.progress_deadline_seconds
    if not _overdue(case, owned, started_at):
        return None
    children = case.observed.children
    cause = cause_of(owned.deployment, pods_of(owned.deployment, children.replica_sets, children.pods)) or _SLOW
    told = f"revision {owned.number} was not ready within {deadline} seconds: {cause.message}"
    return Verdict(
        reason=cause.reason, message=shortened(told, _MESSAGE_LIMIT), deadline=deadline, requested_at=_token(case)
    )


def verdict_on(case: Case, reason: str, message: str) -> Verdict:
    """One that time does not lift: only a person who asks again, or another content."""
    return Verdict(
        reason=reason, message=shortened(message, _MESSAGE_LIMIT), deadline=MAX_INT32, requested_at=_token(case)
    )


def how_to_lift(case: Case) -> str:
    meta = case.app.metadata
    return (
        "Change the spec, or try the same again with: "
        f"kubectl -n {meta.namespace} annotate appdeployment {meta.name} --overwrite "
        f'{names.REQUESTED_AT_ANNOTATION}="$(date +%s)"'
    )


def _overdue(case: Case, owned: Owned, started_at: datetime) -> bool:
    progressing = next((c for c in owned.deployment.status.conditions if c.type == "Progressing"), None)
    if progressing is None or not owned.current:
        return False
    if progressing.status == "False" and progressing.reason == "ProgressDeadlineExceeded":
        # One from before it was tried again says nothing about this time.
        return progressing.last_transition_time is None or progressing.last_transition_time >= started_at
    if progressing.reason != "NewReplicaSetAvailable":
        return False
    # Kubernetes gives a deadline to a Deployment's first rollout, and none to a later scale-up: that one is ours.
    left = started_at + timedelta(seconds=case.spec.progress_deadline_seconds) - case.now
    if left > timedelta():
        case.draft.requeue(left)
    return left <= timedelta()


def asked_for(case: Case) -> int | None:
    """The revision that the request is for; None: a bare one, while it is not known what the spec asks for."""
    return _named(_token(case)) or case.wanted


def _named(token: str) -> int | None:
    """``5/TOKEN`` is for revision 5."""
    number, _, rest = token.partition("/")
    return int(number) if rest and "/" not in rest and number.isascii() and number.isdigit() else None


def _token(case: Case) -> str:
    return case.app.metadata.annotations.get(names.REQUESTED_AT_ANNOTATION, "")
