"""What is done for a run that has ended: its Job goes when its time is over, the record stays.

The time to live is not handed to the Job: the operator removes the Job itself, after it has written down what came of
it (trainer#718, #2899; a TTL under the operator made jobs run again: trainer#2981, #3779).
"""

from __future__ import annotations

from datetime import timedelta

from tandem.api.trainingjob_status import RunStatus
from tandem.training.case import Case
from tandem.training.job import job_deletion
from tandem.training.run import number_of


def tidy(case: Case, run: RunStatus) -> None:
    """Plan the removal of Jobs whose time is over, and of those of runs that the history has forgotten."""
    oldest_kept = run.number - case.spec.history_limit
    for job in case.observed.children.jobs:
        if job.metadata.deletion_timestamp is not None:
            continue
        number = number_of(job)
        if 0 < number < oldest_kept or (0 < number <= run.number and _expired(case, run)):
            case.draft.act(job_deletion(job))


def _expired(case: Case, run: RunStatus) -> bool:
    ttl = case.spec.ttl_seconds_after_finished
    if ttl is None or run.completion_time is None:
        return False
    left = run.completion_time + timedelta(seconds=ttl) - case.now
    if left > timedelta(0):
        case.draft.requeue(left)
    return left <= timedelta(0)
