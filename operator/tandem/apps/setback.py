"""A revision that failed is taken out of the traffic, then its pods go; the one before comes back if need be.

The verdict is written down first. So wherever a crash leaves this, the next pass goes on with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from tandem.api.conditions import Failed, Outcome, Working
from tandem.apps import credit, people, route, traffic
from tandem.apps.analysis import analyse
from tandem.apps.case import Case, refused, stamp
from tandem.apps.health import crash, outage
from tandem.apps.pods import keep
from tandem.apps.quarantine import how_to_lift, standing, verdict_on
from tandem.apps.revision import Owned, Verdict

WATCHING = "Watching"


@dataclass(frozen=True)
class Watch:
    """After a revision has taken the traffic: until when it is judged, and what takes the traffic back.

    ``waited_for``: spec.rollout.watchSeconds asks for it. Otherwise nothing waits: pods are looked at for as long as
    those of the revision before are there anyway.
    """

    since: datetime
    ends: datetime
    previous: Owned
    waited_for: bool


def given_up(case: Case, owned: Owned) -> Verdict | None:
    """Of a candidate: a verdict that stands, or the word of a person."""
    verdict = standing(case, owned)
    if verdict is None and people.wants_abort(case, owned.number):
        return verdict_on(
            case, "Aborted", f"revision {owned.number} was aborted{credit.by(case, 'Aborted', owned.number)}"
        )
    return verdict


def set_aside(case: Case, owned: Owned, verdict: Verdict) -> Outcome:
    """Of a candidate."""
    waits = route.silence(case, verdict.reason)
    told = Failed(verdict.reason, f"{verdict.message}{case.meanwhile}{waits}. {how_to_lift(case)}")
    if case.fleet.stable is not None and (traffic.shares(case) or not route.is_settled(case)):
        refusal = keep(case, owned, owned.replicas, verdict=verdict) or traffic.take_back(case)
        return told if refusal is None else refused(refusal, f"revision {owned.number} failed and still has traffic")
    refusal = keep(case, owned, 0, verdict=verdict) or traffic.hide(case)
    if refusal is not None:
        return refused(refusal, f"revision {owned.number} failed and cannot be scaled down{case.meanwhile}")
    return told


def watch_of(case: Case) -> Watch | None:
    """None: nothing could take the traffic back, or it is not wanted."""
    fleet, known, wanted = case.fleet, case.fleet.traffic, case.spec.rollout.watch_seconds
    if known is None or known.previous is None or known.since is None or fleet.stable is None or fleet.shared:
        return None
    previous = fleet.owned.get(known.previous)
    if previous is None or previous.replicas == 0 or previous.verdict is not None:
        return None
    seconds = case.spec.scale_down_delay_seconds if wanted is None else wanted
    ends = known.since + timedelta(seconds=seconds)
    return Watch(known.since, ends, previous, waited_for=wanted is not None) if seconds else None


def judge_serving(case: Case, watch: Watch, stable: Owned) -> Verdict | Outcome | None:
    """A verdict: it has failed. An outcome: it is watched. None: it is not any more, or nothing waits for it."""
    over = watch.ends <= case.now
    if not over and people.wants_abort(case, stable.number):
        return verdict_on(
            case, "Aborted", f"revision {stable.number} was aborted{credit.by(case, 'Aborted', stable.number)}"
        )
    cause = None if over else crash(case, stable, watch.since) or outage(case, stable)
    if cause is not None:
        took = f"revision {stable.number} failed after it had taken the traffic"
        return verdict_on(case, cause.reason, f"{took}: {cause.message}")
    if not watch.waited_for:
        return None
    judged = analyse(case, stable, "watch", watch.since)
    if judged.phase == "Failed":
        took = f"revision {stable.number} was judged to have failed after it had taken the traffic"
        return verdict_on(case, "AnalysisFailed", f"{took}: {judged.message}")
    if over and judged.phase != "Running":
        return None
    case.draft.requeue(max(watch.ends - case.now, timedelta()) or timedelta(seconds=30))
    back = f"revision {watch.previous.number} takes the traffic back if it fails"
    told = f"; {judged.message}" if judged.phase != "Successful" else ""
    until = f"it is watched until {stamp(watch.ends)}: {back}{told}; at once with: {people.command(case, 'abort')}"
    return Working(WATCHING, f"revision {stable.number} has all the traffic since {stamp(watch.since)}; {until}")


def is_held(case: Case, number: int) -> bool:
    """Whether a person insists on it by ``spec.rollback``; that is known also while nothing else is."""
    return case.spec.rollback is not None and case.spec.rollback.to_revision == number


def failing(case: Case) -> tuple[Owned, Verdict, Owned] | None:
    """What serves and has failed, why, and the revision that takes the traffic back."""
    stable = case.fleet.stable
    if stable is None or not case.spec.rollout.auto_rollback:
        return None
    previous, verdict = _before(case, stable), standing(case, stable)
    if previous is None or verdict is None or standing(case, previous) is not None:
        return None
    return None if is_held(case, stable.number) else (stable, verdict, previous)


def _before(case: Case, stable: Owned) -> Owned | None:
    """As the Service remembers it; where it cannot (it was deleted, or edited by hand), what still has pods."""
    known, owned = case.fleet.traffic, case.fleet.owned
    if known is not None:
        return owned.get(known.previous) if known.previous is not None else None
    there = [other for number, other in owned.items() if number < stable.number and other.replicas > 0]
    return max(there, key=lambda other: other.number, default=None)


def fall_back(case: Case, stable: Owned, verdict: Verdict, previous: Owned) -> Outcome:
    """Of what serves: the one before gets its pods, then the traffic; until then this one keeps it."""
    replicas = case.spec.replicas
    refusal = keep(case, stable, replicas, verdict=verdict) or keep(case, previous, replicas)
    if refusal is None and previous.ready(replicas):
        refusal = traffic.send(case, previous.number)
    if refusal is not None:
        return refused(refusal, f"{verdict.message}; the traffic cannot go back to revision {previous.number}")
    back = f"the traffic goes back to revision {previous.number}"
    return Failed(verdict.reason, f"{verdict.message}; {back}. {how_to_lift(case)}")
