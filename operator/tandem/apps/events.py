"""One Event for each thing that has happened since the status was last written.

They are found by comparing with the stored status, so a plan that is made twice tells nothing twice, and a resource
whose status was lost tells nothing that is long past.
"""

from __future__ import annotations

from tandem.api.appdeployment_status import AppDeploymentStatus, RevisionRecord
from tandem.api.conditions import READY
from tandem.api.meta import condition_of
from tandem.api.plan import Emit
from tandem.apps import credit
from tandem.apps.case import Case
from tandem.apps.decisions import announced
from tandem.apps.promotion import MOVING_ALIAS, PROMOTED


def events(case: Case, status: AppDeploymentStatus) -> list[Emit]:
    before = {record.revision: record for record in case.stored.revisions}
    held = case.spec.rollback.to_revision if case.spec.rollback else None
    told = [
        event for now in status.revisions if (event := _of_revision(case, status, before.get(now.revision), now, held))
    ]
    moved = [event for now in status.revisions if (event := _of_image(before.get(now.revision), now))]
    return announced(case, status) + told + moved + _promoted(case, status)


def _of_revision(
    case: Case, status: AppDeploymentStatus, before: RevisionRecord | None, now: RevisionRecord, held: int | None
) -> Emit | None:
    what, was = f"revision {now.revision} ({_shown(now)})", before.state if before else None
    event: Emit | None = None
    match now.state:
        case "Candidate" if was is None:
            event = Emit("Normal", "RevisionCreated", f"{what} starts")
        case "Candidate" if was != "Candidate":
            event = Emit("Normal", "RevisionRetried", f"{what} is tried again{credit.asked(case)}")
        case "Stable" if was not in {None, "Stable"} and now.revision == held:
            event = Emit("Normal", "RolledBack", f"{what} takes all the traffic again: spec.rollback asks for it")
        case "Stable" if was not in {None, "Stable"}:
            again = " again" if was in {"Retired", "Failed"} else ""
            event = Emit("Normal", "TrafficSwitched", f"{what} takes all the traffic{again}")
        case "Failed" if was not in {None, "Failed"}:
            ready = condition_of(status.conditions, READY)
            event = Emit("Warning", "RevisionFailed", ready.message if ready else f"{what} failed: {now.reason}")
        case "Retired" if before is not None and before.retire_at is not None and now.retire_at is None:
            event = Emit("Normal", "RevisionRetired", f"{what} has no pods any more")
    return event


def _of_image(before: RevisionRecord | None, now: RevisionRecord) -> Emit | None:
    """A pod came to a node that pulled the tag later than the others did."""
    others = [
        digest for digest in now.other_image_digests if before is None or digest not in before.other_image_digests
    ]
    if not others:
        return None
    told = f"pods of revision {now.revision} run {', '.join(others)} as image {now.image}, and it was rolled out with"
    advice = "the tag was moved: name each build by a tag of its own, or by digest"
    return Emit("Warning", "ImageDiffers", f"{told} {now.image_digest}: {advice}")


def _promoted(case: Case, status: AppDeploymentStatus) -> list[Emit]:
    before, now = case.told(PROMOTED), condition_of(status.conditions, PROMOTED)
    moved = before is not None and before.reason == MOVING_ALIAS and now is not None and now.status == "True"
    return [Emit("Normal", "AliasPromoted", now.message)] if moved and now is not None else []


def _shown(record: RevisionRecord) -> str:
    model = record.model
    return f"model {model.name} version {model.version}" if model else f"image {record.image}"
