"""A new revision starts beside the one that serves, takes the traffic when all its pods are ready, or is set aside.

::

    (no Deployment) ──create──► Candidate ──steps, judged──► Stable ──another took over──► Retired
                                    │                          │ ▲                            │
                                    └──deadline, verdict──► Failed └──wanted again, pods ready─┘

What serves is never touched by any of this: it keeps the pods that the spec asks for until the Service selects another.
"""

from __future__ import annotations

from tandem.api.conditions import Failed, Outcome, Passed, Undecided, Working
from tandem.api.plan import Refusal
from tandem.apps import guard, route, traffic
from tandem.apps.bounds import noted
from tandem.apps.case import Case, refused
from tandem.apps.configuration import copy
from tandem.apps.pods import create, keep, progress
from tandem.apps.quarantine import standing
from tandem.apps.revision import Owned, Target, Verdict, number_in
from tandem.apps.setback import failing, fall_back, given_up, set_aside
from tandem.apps.steps import first, walk


def roll_out(case: Case, target: Target | None, instead: Outcome) -> Outcome:
    """One pass; ``target`` is None while it is not known what to serve, and ``instead`` says why."""
    fleet, failed = case.fleet, failing(case)
    if failed is not None:
        return fall_back(case, *failed)
    if target is not None and target.number == fleet.serving:
        return _settle(case, target)
    judged = guard.serving(case) if target is None else None
    refusal = _keep_serving(case, judged if isinstance(judged, Verdict) else None)
    if refusal is not None:
        return refused(refusal, f"revision {fleet.serving}, which serves, cannot be kept as the spec asks for")
    if target is None:
        return guard.trial(case, guard.candidate(case)) or guard.told(case, judged) or instead
    owned = fleet.owned.get(target.number)
    if _is_in_the_way(case, target, owned):
        # Also while it is suspended: nobody wants the candidate any more that has this share.
        refusal = traffic.take_back(case)
        waits = f"revision {target.number} ({target.shown}) waits until the traffic is back from the one before it"
        waits += case.meanwhile + route.silence(case, "TrafficReturns")
        return refused(refusal, waits) if refusal is not None else Working("TrafficReturns", waits)
    if case.spec.suspend:
        # A candidate stays where it is, unless it has failed: as what serves, it is judged also while nothing moves.
        failed_ = guard.trial(case, owned) if owned is not None and owned.replicas > 0 else None
        if failed_ is not None:
            return failed_
        waits = f"revision {target.number} ({target.shown}) waits: spec.suspend is true{case.meanwhile}"
        return Undecided("Suspended", waits) if fleet.stable else Working("Suspended", waits)
    return _advance(case, target, owned)


def _settle(case: Case, target: Target) -> Outcome:
    """The traffic is where it belongs."""
    owned, number, replicas = case.fleet.owned.get(target.number), target.number, case.spec.replicas
    judged = guard.serving(case)
    refusal = copy(case, target)
    if refusal is None and owned is None:
        refusal = create(case, target)
    elif refusal is None and owned is not None:
        verdict = judged if isinstance(judged, Verdict) else None
        refusal = keep(case, noted(case, owned, target), replicas, verdict=verdict)
    refusal = refusal or route.keep(case) or traffic.send(case, number) or traffic.hide(case)
    if refusal is not None:
        return refused(refusal, f"revision {number}, which serves, cannot be kept as the spec asks for")
    if owned is None:
        return Working("Recreated", f"the Deployment of revision {number} is gone; it is created again")
    told = guard.told(case, judged)
    if told is not None and (owned.ready(replicas) or isinstance(told, Failed)):
        return told
    if owned.ready(replicas):
        return _done(target)
    reason, message = progress(case, owned, replicas, "Scaling")
    return Working(reason, message)


def _done(target: Target) -> Passed:
    said = f"revision {target.number} ({target.shown}) takes all the traffic"
    if not target.held:
        return Passed("RolledOut", said)
    held = "spec.rollback holds it there: what the rest of the spec says is rolled out when that is removed"
    return Passed("RolledBack", f"{said}; {held}")


def _advance(case: Case, target: Target, owned: Owned | None) -> Outcome:
    revision = f"revision {target.number} ({target.shown})"
    refusal = copy(case, target)
    if refusal is not None:
        return refused(refusal, f"the configuration of {revision} cannot be copied{case.meanwhile}")
    at_once = _is_at_once(case, target, owned)
    if owned is None:
        place = first(case, at_once=at_once)
        refusal = create(case, target, place.pods, place.note)
        if refusal is not None:
            return refused(refusal, f"{revision} cannot be created{case.meanwhile}")
        return Working("RevisionCreated", f"{revision} starts{case.meanwhile}")
    verdict = given_up(case, owned)
    if verdict is not None:
        return set_aside(case, owned, verdict)
    refusal = None if at_once else traffic.show(case, owned.number)
    if refusal is not None:
        return refused(refusal, f"{revision} cannot have a Service of its own{case.meanwhile}")
    return walk(case, owned, revision, at_once=at_once)


def _is_at_once(case: Case, target: Target, owned: Owned | None) -> bool:
    """A rollback skips steps and judgement: to what spec.rollback names, or to what served just now and has pods."""
    known = case.fleet.traffic
    before = known.previous if known is not None else None
    return target.held or (owned is not None and owned.number == before and owned.replicas > 0)


def _is_in_the_way(case: Case, target: Target, owned: Owned | None) -> bool:
    """Whether another candidate has some of the traffic, or this one from before it was taken back."""
    if case.fleet.stable is None or not (traffic.shares(case) or not route.is_settled(case)):
        return False
    preview = traffic.preview_of(case)
    shown = number_in(preview.spec.selector) if preview is not None else target.number
    begun = owned is not None and (owned.note is not None or owned.verdict is not None)
    return not begun or shown != target.number


def _keep_serving(case: Case, verdict: Verdict | None) -> Refusal | None:
    stable = case.fleet.stable
    if stable is None:
        return None
    refusal = keep(case, stable, case.spec.replicas, verdict=verdict or standing(case, stable))
    return refusal or (None if case.fleet.shared else traffic.send(case, stable.number))
