"""A new revision starts beside the one that serves, takes the traffic when all its pods are ready, or is set aside.

::

    (no Deployment) ──create──► Candidate ──all pods ready──► Stable ──another took over──► Retired
                                    │                            ▲                             │
                                    └──deadline passed──► Failed └──wanted again, pods ready───┘

What serves is never touched by any of this: it keeps the pods that the spec asks for until the Service selects another.
"""

from __future__ import annotations

from datetime import datetime

from tandem.api.appdeployment import RevisionRecord
from tandem.api.conditions import Failed, Outcome, Passed, Undecided, Working
from tandem.api.meta import Json
from tandem.api.plan import Apply, Create, Refusal
from tandem.apps.bounds import noted
from tandem.apps.case import Case, refused
from tandem.apps.configuration import copy
from tandem.apps.failure import cause_of, pods_of
from tandem.apps.image import pinned
from tandem.apps.manifest import is_applied, mark_of
from tandem.apps.quarantine import how_to_lift, judge, standing
from tandem.apps.revision import Owned, Target, Verdict
from tandem.apps.workload import deployment_manifest, scale_manifest, service_manifest


def roll_out(case: Case, target: Target | None, instead: Outcome) -> Outcome:
    """One pass; ``target`` is None while it is not known what to serve, and ``instead`` says why."""
    fleet = case.fleet
    if target is not None and target.number == fleet.serving:
        return _settle(case, target)
    refusal = _keep_serving(case)
    if refusal is not None:
        return refused(refusal, f"revision {fleet.serving}, which serves, cannot be kept as the spec asks for")
    if target is None:
        return instead
    if case.spec.suspend:
        waits = f"revision {target.number} ({target.shown}) waits: spec.suspend is true{case.meanwhile}"
        return Undecided("Suspended", waits) if fleet.stable else Working("Suspended", waits)
    return _advance(case, target, fleet.owned.get(target.number))


def keep(
    case: Case, owned: Owned, replicas: int, started_at: datetime | None = None, verdict: Verdict | None = None
) -> Refusal | None:
    """The Deployment has that many pods and remembers that much; nothing is planned where it is so already."""
    since, image = started_at or owned.started_at, pinned(case, owned, replicas)
    manifest = scale_manifest(case, owned.number, owned.digest, owned.shown, replicas, since, verdict, image)
    if owned.replicas == replicas and owned.applied == mark_of(manifest):
        return None
    return case.draft.act(Apply(manifest))


def record_of(case: Case, number: int) -> RevisionRecord | None:
    return next((record for record in case.stored.revisions if record.revision == number), None)


def _settle(case: Case, target: Target) -> Outcome:
    """The traffic is where it belongs."""
    owned, number, replicas = case.fleet.owned.get(target.number), target.number, case.spec.replicas
    refusal = copy(case, target)
    refusal = refusal or (_create(case, target) if owned is None else keep(case, noted(case, owned, target), replicas))
    refusal = refusal or _send_traffic(case, number)
    if refusal is not None:
        return refused(refusal, f"revision {number}, which serves, cannot be kept as the spec asks for")
    if owned is None:
        return Working("Recreated", f"the Deployment of revision {number} is gone; it is created again")
    if owned.ready(replicas):
        return _done(target)
    reason, message = _progress(case, owned, "Scaling")
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
    if owned is None:
        refusal = _create(case, target)
        if refusal is not None:
            return refused(refusal, f"{revision} cannot be created{case.meanwhile}")
        return Working("RevisionCreated", f"{revision} starts{case.meanwhile}")
    verdict = standing(case, owned)
    if verdict is not None:
        return _set_aside(case, owned, verdict)
    if owned.ready(case.spec.replicas):
        return _switch(case, owned, revision)
    started_at = _started_at(case, owned)
    verdict = judge(case, owned, started_at)
    return _set_aside(case, owned, verdict) if verdict else _wait(case, owned, started_at)


def _set_aside(case: Case, owned: Owned, verdict: Verdict) -> Outcome:
    refusal = keep(case, owned, 0, verdict=verdict)
    if refusal is not None:
        return refused(refusal, f"revision {owned.number} failed and cannot be scaled down{case.meanwhile}")
    return Failed(verdict.reason, f"{verdict.message}{case.meanwhile}. {how_to_lift(case)}")


def _wait(case: Case, owned: Owned, started_at: datetime) -> Outcome:
    refusal = keep(case, owned, case.spec.replicas, started_at)
    if refusal is not None:
        return refused(refusal, f"revision {owned.number} cannot be scaled{case.meanwhile}")
    reason, message = _progress(case, owned, "Progressing")
    patience = f"it is set aside after {case.spec.progress_deadline_seconds} seconds without progress"
    return Working(reason, f"{message}{case.meanwhile}; {patience}")


def _switch(case: Case, owned: Owned, revision: str) -> Outcome:
    refusal = keep(case, owned, case.spec.replicas) or _send_traffic(case, owned.number)
    if refusal is not None:
        return refused(refusal, f"{revision} is ready, and the Service cannot be switched to it{case.meanwhile}")
    return Working("SwitchingTraffic", f"{revision} is ready; the Service switches to it")


def _create(case: Case, target: Target) -> Refusal | None:
    # Create, not apply: an apply would take over a Deployment of the same name that is somebody else's.
    # Counted: an older view that knows neither this revision nor its number would release the same once more.
    assert target.content is not None  # only what has a Deployment is rolled back to
    manifest = deployment_manifest(case, target.number, target.digest, target.shown, target.content)
    return case.draft.act(Create(manifest, counted=True))


def _keep_serving(case: Case) -> Refusal | None:
    fleet = case.fleet
    if fleet.stable is None:
        return None
    return keep(case, fleet.stable, case.spec.replicas) or _send_traffic(case, fleet.stable.number)


def _send_traffic(case: Case, number: int) -> Refusal | None:
    manifest, service = service_manifest(case, number), case.fleet.service
    if service is None:
        return case.draft.act(Create(manifest))
    wanted: Json = manifest["spec"]["selector"]
    if service.spec.selector == wanted and is_applied(manifest, service.metadata):
        return None
    return case.draft.act(Apply(manifest))


def _started_at(case: Case, owned: Owned) -> datetime:
    """Since when it has had the time that a rollout gets; it starts anew for one that is tried again."""
    record = record_of(case, owned.number)
    tried_again = (owned.replicas == 0 and case.spec.replicas > 0) or (
        record is not None and record.state != "Candidate"
    )
    return case.second if tried_again or owned.started_at is None else owned.started_at


def _progress(case: Case, owned: Owned, otherwise: str) -> tuple[str, str]:
    children = case.observed.children
    cause = cause_of(owned.deployment, pods_of(owned.deployment, children.replica_sets, children.pods))
    counted = f"revision {owned.number}: {owned.available} of {case.spec.replicas} pods are available"
    return (cause.reason, f"{counted}; {cause.message}") if cause else (otherwise, counted)
