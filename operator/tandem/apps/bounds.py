"""Between which numbers an autoscaler may choose, and by what: the word of the revision that serves.

It is no part of what makes a revision: other bounds restart nothing, and are in force at once. But each revision
remembers what it served with last (in its Deployment's note), because a target per pod and a metric belong to the code:

- Changed together with the image, they come when the new revision serves. A candidate that fails takes nothing away
  from the one that goes on serving, and nobody scales that one by a metric which only the other has.
- ``spec.rollback`` brings them back with the revision.

Whoever changes ``spec.autoscaling`` after that, in the middle of an incident, is heard at once. That somebody has is
seen by what the candidate remembers, which is what the spec said when it was made, and of a rollback by a note on the
HorizontalPodAutoscaler.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec

from tandem.api import names
from tandem.api.autoscaling import Autoscaling
from tandem.api.children import HorizontalPodAutoscaler
from tandem.api.meta import to_json
from tandem.apps.case import Bounds, Case
from tandem.apps.revision import Owned, Target, hashed

RESTORED_ANNOTATION: Final = f"{names.GROUP}/autoscaling-restored"


def bounded(case: Case, target: Target | None) -> Case:
    """The same case, with ``spec.replicas`` within the bounds that are in force."""
    bounds = _bounds(case, target)
    return replace(case, bounds=bounds) if bounds != case.bounds else case


def noted(case: Case, owned: Owned, target: Target) -> Owned:
    """The revision that serves and that the spec asks for has what the spec says; any other one keeps what it had."""
    if target.held or owned.shown.autoscaling == case.spec.autoscaling:
        return owned
    return replace(owned, shown=msgspec.structs.replace(owned.shown, autoscaling=case.spec.autoscaling))


def autoscaler_of(case: Case) -> HorizontalPodAutoscaler | None:
    name = case.app.metadata.name
    found = (a for a in case.observed.children.autoscalers if a.metadata.name == name)
    return next((one for one in found if one.metadata.deletion_timestamp is None), None)


def _bounds(case: Case, target: Target | None) -> Bounds:
    wanted, stable = case.spec.autoscaling, case.fleet.stable
    if target is None or stable is None or case.spec.suspend:
        return Bounds(wanted)
    owned = case.fleet.owned.get(target.number)
    if target.held and owned is not None:
        return _restored(case, owned)
    if target.number == stable.number or stable.shown.autoscaling == wanted:
        return Bounds(wanted)
    if owned is not None and owned.shown.autoscaling != wanted:
        return Bounds(wanted)  # changed since the candidate was made
    waits = f"as revision {stable.number}, which serves, has it: what the spec says comes with revision {target.number}"
    return Bounds(stable.shown.autoscaling, because=waits)


def _restored(case: Case, owned: Owned) -> Bounds:
    wanted, kept = case.spec.autoscaling, owned.shown.autoscaling
    if kept is None:  # a rollback takes no autoscaler away
        return Bounds(wanted)
    asked, there = f"{owned.number} {_digest(wanted)}", autoscaler_of(case)
    note = there.metadata.annotations.get(RESTORED_ANNOTATION, "") if there else ""
    if not note.startswith(f"{owned.number} "):
        note = asked
    if note != asked or kept == wanted:
        return Bounds(wanted, note)
    brought = f"as revision {owned.number} had it: spec.rollback restores it, until spec.autoscaling is changed"
    return Bounds(kept, note, brought)


def _digest(autoscaling: Autoscaling | None) -> str:
    return hashed(to_json(autoscaling)) if autoscaling else "none"
