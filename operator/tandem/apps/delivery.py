"""The four DORA figures of an AppDeployment, from its own history (definitions after gitops-promoter#574).

- **Deployments**: a revision that takes the traffic for the first time. Coming back (a rollback, the old content given
  again) is none.
- **Lead time**: from the commit to that moment, where ``spec.commitTime`` tells the commit's time. It counts from the
  oldest commit that is not live yet: one whose revision was superseded, or failed, is carried to the next that gets
  through.
- **Change failure rate**: of the revisions that came to an end, those that failed, were aborted or were rolled back;
  each once, also when it fails while it is watched.
- **Time to restore**: from Degraded to Ready.

What has happened is found by comparing with the stored status, as Events are: a plan that is made twice counts nothing
twice, and a status that was lost takes its history with it (what is long past is not told as if it happened now).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import Final

from tandem.api.appdeployment_status import AppDeploymentStatus, DeliveryEvent, DeliveryStatus
from tandem.api.conditions import READY
from tandem.api.meta import condition_of
from tandem.apps.case import Case

WINDOW: Final = timedelta(days=30)
KEPT: Final = 128  # events, as many as the CRD takes: two deployments a day, each with a failure that is restored


def delivered(case: Case, status: AppDeploymentStatus) -> DeliveryStatus | None:
    """The figures as of now, ``status`` being all else that is told; None while there is nothing to tell."""
    before, now = case.stored.delivery or DeliveryStatus(), case.second
    pending = _oldest(before.pending_commit_time, _new_commit(case, status))
    news = list(_changes(case, status, pending))
    ready = condition_of(status.conditions, READY)
    is_ready = ready is not None and ready.status == "True"
    degraded_since = before.degraded_since or (now if status.phase == "Degraded" else None)
    if is_ready and degraded_since is not None:
        serving = status.stable.revision if status.stable else 0
        news.append(DeliveryEvent(time=now, type="Restored", revision=serving, seconds=_seconds(degraded_since, now)))
        degraded_since = None
    caught_up = is_ready and case.spec.rollback is None and status.candidate is None
    if caught_up or any(event.type == "Promoted" for event in news):
        pending = None
    events = [*reversed(news), *(event for event in before.history if now - event.time < WINDOW)]
    forgotten = events[KEPT].time if len(events) > KEPT else before.complete_since
    told = figures(events[:KEPT])
    told = DeliveryStatus(
        deployments_30d=told.deployments_30d,
        lead_time_p50_seconds=told.lead_time_p50_seconds,
        change_failure_rate=told.change_failure_rate,
        time_to_restore_p50_seconds=told.time_to_restore_p50_seconds,
        complete_since=forgotten if forgotten is not None and now - forgotten < WINDOW else None,
        pending_commit_time=pending,
        degraded_since=degraded_since,
        history=tuple(events[:KEPT]),
    )
    return None if told == DeliveryStatus() else told


def figures(events: Sequence[DeliveryEvent]) -> DeliveryStatus:
    """The four, of these events."""
    promoted = {event.revision for event in events if event.type == "Promoted"}
    failed = {event.revision for event in events if event.type == "Failed"}
    ended = promoted | failed
    return DeliveryStatus(
        deployments_30d=len(promoted),
        lead_time_p50_seconds=_median(events, "Promoted"),
        change_failure_rate=f"{len(failed) / len(ended):.3f}" if ended else "",
        time_to_restore_p50_seconds=_median(events, "Restored"),
    )


def _changes(case: Case, status: AppDeploymentStatus, pending: datetime | None) -> Iterator[DeliveryEvent]:
    """Revisions that have failed, or got through, since the status was last written."""
    before: dict[int, str] = {record.revision: record.state for record in case.stored.revisions}
    # One that is not in a status which is there came while the operator could not write: it was a candidate then.
    unknown = None if _lost(case) else "Candidate"
    told = {(event.type, event.revision) for event in (case.stored.delivery or DeliveryStatus()).history}
    former = case.stored.stable.revision if case.stored.stable else 0
    held = case.spec.rollback is not None
    for record in reversed(status.revisions):
        number, was = record.revision, before.get(record.revision, unknown)
        rolled_back = held and number == former and was == "Stable" and record.state != "Stable"
        if rolled_back or (record.state == "Failed" and was not in {None, "Failed"}):
            if ("Failed", number) not in told:
                yield DeliveryEvent(time=case.second, type="Failed", revision=number)
        elif record.state == "Stable" and was not in {None, "Stable"} and not held:
            # An older one has served before, unless it is told to have failed and nothing else.
            is_new = number > former or ("Failed", number) in told
            if is_new and ("Promoted", number) not in told:
                lead_time = _seconds(pending, case.second) if pending is not None else None
                yield DeliveryEvent(time=case.second, type="Promoted", revision=number, seconds=lead_time)


def _new_commit(case: Case, status: AppDeploymentStatus) -> datetime | None:
    """The time of the commit that a revision which has just appeared was made from."""
    known = {record.revision for record in case.stored.revisions}
    shown = {"Candidate"} if _lost(case) else {"Candidate", "Stable", "Failed"}
    appeared = any(record.state in shown and record.revision not in known for record in status.revisions)
    given = case.spec.commit_time
    return given if appeared and given is not None and given.tzinfo is not None else None


def _lost(case: Case) -> bool:
    return case.stored.observed_generation < 0


def _oldest(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)


def _seconds(since: datetime, until: datetime) -> int:
    """Never negative: the clock of whoever committed may be ahead."""
    return max(0, int((until - since).total_seconds()))


def _median(events: Sequence[DeliveryEvent], type_: str) -> int | None:
    found = [event.seconds for event in events if event.type == type_ and event.seconds is not None]
    return round(median(found)) if found else None
