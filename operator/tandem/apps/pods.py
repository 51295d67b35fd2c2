"""The Deployment of a revision: made once, and kept at as many pods as its place in the rollout asks for."""

from __future__ import annotations

from datetime import datetime

from tandem.api.appdeployment_status import RevisionRecord
from tandem.api.plan import Apply, Create, Refusal
from tandem.apps import people
from tandem.apps.case import Case
from tandem.apps.failure import cause_of, pods_of
from tandem.apps.image import pinned, shown
from tandem.apps.manifest import mark_of
from tandem.apps.note import NOTE_ANNOTATION, Note, write
from tandem.apps.revision import Owned, Target, Verdict
from tandem.apps.workload import deployment_manifest, scale_manifest, with_note


def create(case: Case, target: Target, replicas: int | None = None, note: Note | None = None) -> Refusal | None:
    """``replicas``: as many as the spec asks for, unless it begins with fewer."""
    # Create, not apply: an apply would take over a Deployment of the same name that is somebody else's.
    # Counted: an older view that knows neither this revision nor its number would release the same once more.
    assert target.content is not None  # only what has a Deployment is rolled back to
    manifest = deployment_manifest(case, target.number, target.digest, target.shown, target.content, replicas, note)
    return case.draft.act(Create(manifest, fenced=True))


def keep(
    case: Case,
    owned: Owned,
    replicas: int,
    started_at: datetime | None = None,
    verdict: Verdict | None = None,
    note: Note | None = None,
    *,
    over: bool = False,
) -> Refusal | None:
    """The Deployment has that many pods and remembers that much; nothing is planned where it is so already.

    ``over``: nobody asks for the revision, and what was said of it is spent, as it is with a verdict. Whether it is
    one that serves, the Service says: an older view of that, or none, takes neither pods nor words away.
    """
    since, image = started_at or owned.started_at, pinned(case, owned, replicas)
    spent = people.spent(case, owned, over=over or verdict is not None)
    told = shown(case, owned, replicas)
    manifest = scale_manifest(case, owned.number, owned.digest, told, replicas, since, verdict, image, spent)
    if note is not None or NOTE_ANNOTATION in owned.deployment.metadata.annotations:
        # An apply that leaves it out would not take back what the Deployment was created with: nobody applied that.
        manifest = with_note(manifest, write(note) if note is not None else "")
    if owned.replicas == replicas and owned.applied == mark_of(manifest):
        return None
    takes = over or replicas < owned.replicas
    return case.draft.act(Apply(manifest, rests_on=case.app.metadata.name if takes else ""))


def progress(case: Case, owned: Owned, replicas: int, otherwise: str) -> tuple[str, str]:
    """How far it has come: a reason, in the cluster's own words where it has one, and a message."""
    children = case.observed.children
    cause = cause_of(owned.deployment, pods_of(owned.deployment, children.replica_sets, children.pods))
    counted = f"revision {owned.number}: {owned.available} of {replicas} pods are available"
    return (cause.reason, f"{counted}; {cause.message}") if cause else (otherwise, counted)


def record_of(case: Case, number: int) -> RevisionRecord | None:
    return next((record for record in case.stored.revisions if record.revision == number), None)
