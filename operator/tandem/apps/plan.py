"""The whole controller of an AppDeployment, as one pure function: no client, no clock, no randomness."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from tandem.api.appdeployment import AppDeployment
from tandem.api.conditions import Outcome
from tandem.api.meta import to_json
from tandem.api.plan import Draft, Observed, Plan
from tandem.apps.analysis import tidy
from tandem.apps.bounds import bounded
from tandem.apps.case import AppChildren, AppSettings, Case
from tandem.apps.choice import choose
from tandem.apps.configuration import CONFIGURATION_RESOLVED
from tandem.apps.events import events
from tandem.apps.guard import guard
from tandem.apps.model import MODEL_RESOLVED
from tandem.apps.promotion import PROMOTED, promote
from tandem.apps.protection import PROTECTED, guard_from_drains, guard_network, protected
from tandem.apps.retirement import retire
from tandem.apps.rollout import roll_out
from tandem.apps.route import ROUTED, let_in
from tandem.apps.scaling import AUTOSCALED, autoscaled, scale
from tandem.apps.status import AVAILABLE, ROLLED_OUT, available, status_of

__all__ = ["AppChildren", "AppSettings", "plan"]


def plan(settings: AppSettings, observed: Observed[AppDeployment, AppChildren], now: datetime) -> Plan:
    """What is to be done about one AppDeployment now.

    A plan at rest has no actions, and its status is the stored one. ``Plan.status`` is None only while a fact is
    asked for that nobody has answered yet (what has failed loses its traffic all the same), and for a resource that is
    being deleted.
    """
    case = Case(settings, observed, now, Draft(observed.facts, observed.refusals, now))
    if case.app.metadata.deletion_timestamp is not None:
        return Plan()  # its children go with it: they carry its ownerReference
    choice = choose(case)
    if choice is None:
        guard(bounded(case, None))
        return case.draft.finish(None)
    target = choice.target
    case = bounded(replace(case, wanted=target.number if target is not None else None), target)
    # The order is that of the promises: what serves is kept, the new one takes over, the old one goes, the alias last.
    network = guard_network(case)
    rolled_out = roll_out(case, target, choice.instead)
    drains = guard_from_drains(case)
    scaled = scale(case, target)
    routed = let_in(case)
    leaving = retire(case, target, rolled_out)
    tidy(case, target)
    steps: dict[str, Outcome | None] = {
        MODEL_RESOLVED: choice.resolution.outcome,
        CONFIGURATION_RESOLVED: choice.configuration.outcome,
        ROLLED_OUT: rolled_out,
        AVAILABLE: available(case),
        PROTECTED: protected(case, network, drains),
        ROUTED: routed,
        AUTOSCALED: autoscaled(case, target, scaled),
        PROMOTED: promote(case, target, choice.resolution),
    }
    status = status_of(case, target, leaving, {name: outcome for name, outcome in steps.items() if outcome is not None})
    case.draft.events.extend(events(case, status))
    return case.draft.finish(to_json(status))
