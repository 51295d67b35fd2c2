"""The whole controller of an AppDeployment, as one pure function: no client, no clock, no randomness."""

from __future__ import annotations

from datetime import datetime

from tandem.api.appdeployment import AppDeployment
from tandem.api.conditions import Failed, Outcome
from tandem.api.meta import to_json
from tandem.api.plan import Draft, Observed, Plan
from tandem.apps.case import AppChildren, AppSettings, Case
from tandem.apps.events import events
from tandem.apps.model import MODEL_RESOLVED, Resolution, resolve
from tandem.apps.promotion import PROMOTED, promote
from tandem.apps.protection import PROTECTED, guard_from_drains, guard_network, protected
from tandem.apps.retirement import retire
from tandem.apps.revision import Target, content_of, target_of
from tandem.apps.rollout import roll_out
from tandem.apps.status import AVAILABLE, ROLLED_OUT, available, status_of

__all__ = ["AppChildren", "AppSettings", "plan"]


def plan(settings: AppSettings, observed: Observed[AppDeployment, AppChildren], now: datetime) -> Plan:
    """What is to be done about one AppDeployment now.

    A plan at rest has no actions, and its status is the stored one. ``Plan.status`` is None only while a fact is
    asked for that nobody has answered yet, and for a resource that is being deleted.
    """
    case = Case(settings, observed, now, Draft(observed.facts, observed.refusals, now))
    if case.app.metadata.deletion_timestamp is not None:
        return Plan()  # its children go with it: they carry its ownerReference
    invalid = _invalid(case)
    resolution = Resolution() if invalid else resolve(case)
    if resolution is None:
        return case.draft.finish(None)
    target = _target(case, resolution) if resolution.complete and not invalid else None
    # The order is that of the promises: what serves is kept, the new one takes over, the old one goes, the alias last.
    network = guard_network(case)
    rolled_out = invalid or roll_out(case, target)
    drains = guard_from_drains(case)
    leaving = retire(case, target)
    steps: dict[str, Outcome | None] = {
        MODEL_RESOLVED: resolution.outcome,
        ROLLED_OUT: rolled_out,
        AVAILABLE: available(case),
        PROTECTED: protected(case, network, drains),
        PROMOTED: promote(case, target, resolution),
    }
    status = status_of(case, target, leaving, {name: outcome for name, outcome in steps.items() if outcome is not None})
    case.draft.events.extend(events(case, status))
    return case.draft.finish(to_json(status))


def _target(case: Case, resolution: Resolution) -> Target:
    """The revision that the spec means."""
    content = content_of(case.spec, resolution.model, case.settings.runtime_image, case.settings.mlflow_uri)
    return target_of(content, case.fleet, case.stored)


def _invalid(case: Case) -> Failed | None:
    """What the CRD refuses; a resource from before it did is told so too."""
    spec = case.spec
    if spec.image is None and spec.model is None:
        return Failed("InvalidSpec", "give spec.image (an app), spec.model (a model server) or both")
    if spec.model is not None and (spec.model.alias is None) == (spec.model.version is None):
        return Failed("InvalidSpec", "spec.model needs exactly one of alias (followed) and version (pinned)")
    return None
