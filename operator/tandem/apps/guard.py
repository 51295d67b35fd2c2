"""What has traffic is judged also while nothing may advance: no registry that is away keeps users on what has failed.

Which revision is meant may not be known (MLflow or a ConfigMap is away, an alias was deleted, nobody has answered yet),
and then nothing begins and nothing goes on. But what is there has failed or not, whatever is meant: so the candidate is
found by what it has left in the cluster, and both are judged as ever.
"""

from __future__ import annotations

from tandem.api.conditions import Failed, Outcome
from tandem.apps.case import Case
from tandem.apps.pods import keep
from tandem.apps.quarantine import how_to_lift, standing
from tandem.apps.revision import Owned, Verdict, number_in
from tandem.apps.setback import failing, fall_back, given_up, is_held, judge_serving, set_aside, watch_of
from tandem.apps.steps import failed
from tandem.apps.traffic import preview_of


def guard(case: Case) -> None:
    """Before it is known what to run, and so before anything may be told: verdicts are written, and acted on."""
    failing_ = failing(case)
    if failing_ is not None:
        fall_back(case, *failing_)
        return
    stable, judged = case.fleet.stable, serving(case)
    if stable is not None and isinstance(judged, Verdict) and stable.verdict != judged:
        keep(case, stable, stable.replicas, verdict=judged)
    trial(case, candidate(case))


def serving(case: Case) -> Verdict | Outcome | None:
    """What serves, after it has taken the traffic: failed, watched, or None, which is the rule."""
    stable = case.fleet.stable
    if stable is None or is_held(case, stable.number):  # a rollback is not rolled back
        return None
    known, watch = standing(case, stable), watch_of(case)
    if known is not None or watch is None:
        return known
    judged = judge_serving(case, watch, stable)
    if not isinstance(judged, Verdict) or case.spec.rollout.auto_rollback:
        return judged
    stays = f"{judged.message}; it keeps the traffic, because spec.rollout.autoRollback is false"
    back = f"revision {watch.previous.number} takes it back with: spec.rollback.toRevision: {watch.previous.number}"
    return Failed(judged.reason, f"{stays}; {back}", final=False)


def told(case: Case, judged: Verdict | Outcome | None) -> Outcome | None:
    """What is said of it."""
    return Failed(judged.reason, f"{judged.message}. {how_to_lift(case)}") if isinstance(judged, Verdict) else judged


def trial(case: Case, owned: Owned | None) -> Outcome | None:
    """A candidate that has failed, or that a person has given up, is set aside; None: it stays where it is."""
    verdict = (given_up(case, owned) or failed(case, owned)) if owned is not None else None
    return set_aside(case, owned, verdict) if owned is not None and verdict is not None else None


def candidate(case: Case) -> Owned | None:
    """The one with an address of its own, or that the status names; else what has a note, a share, or failed pods."""
    fleet, preview, stored = case.fleet, preview_of(case), case.stored.candidate
    others = {number: owned for number, owned in fleet.owned.items() if number != fleet.serving}
    for number in (number_in(preview.spec.selector) if preview else None, stored.revision if stored else None):
        if number in others:
            return others[number]
    left = [owned for _, owned in sorted(others.items()) if owned.replicas > 0]
    tried = (o for o in reversed(left) if fleet.shared or o.note is not None or standing(case, o) is not None)
    return next(tried, None)
