"""What becomes of revisions that nobody asks for any more: first their pods go, in the end their Deployments."""

from __future__ import annotations

from datetime import datetime, timedelta

from tandem.api.plan import Delete
from tandem.apps.case import Case
from tandem.apps.configuration import prune as prune_copies
from tandem.apps.revision import Owned, Target
from tandem.apps.rollout import keep, record_of


def retire(case: Case, target: Target | None) -> dict[int, datetime]:
    """Scale down and delete; returns when the revisions that still have pods lose them, by number.

    Nothing is taken down while it is not known what to serve (a registry that is away changes no workload), nor
    while what serves has no pod that is available: the old one's pods are then the shortest way back.
    """
    settled = target is not None and _serves(case)
    leaving: dict[int, datetime] = {}
    for owned in _others(case, target):
        if owned.replicas == 0:
            continue
        leaves_at = _leaves_at(case, owned)
        leaving[owned.number] = leaves_at
        if not settled:
            continue
        if leaves_at <= case.now:
            keep(case, owned, 0, verdict=owned.verdict)
        else:
            case.draft.requeue(leaves_at - case.now)
    if settled:
        _prune(case, target)
    return leaving


def _prune(case: Case, target: Target | None) -> None:
    at_rest = [owned for owned in _others(case, target) if owned.replicas == 0]
    for owned in at_rest[case.spec.revision_history_limit :]:
        meta = owned.deployment.metadata
        case.draft.act(Delete("apps/v1", "Deployment", meta.namespace, meta.name, meta.uid))
    prune_copies(case, target)


def _leaves_at(case: Case, owned: Owned) -> datetime:
    """As the status remembers it; a lost status only delays."""
    record = record_of(case, owned.number)
    if record is not None and record.state in {"Retired", "Failed"} and record.retire_at is not None:
        return record.retire_at
    return case.second + timedelta(seconds=case.spec.scale_down_delay_seconds)


def _others(case: Case, target: Target | None) -> list[Owned]:
    """Latest first."""
    needed = {case.fleet.serving, target.number if target else None}
    return [owned for number, owned in sorted(case.fleet.owned.items(), reverse=True) if number not in needed]


def _serves(case: Case) -> bool:
    stable = case.fleet.stable
    return stable is not None and (stable.available > 0 or case.spec.replicas == 0)
