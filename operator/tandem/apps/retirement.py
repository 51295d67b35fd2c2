"""What becomes of revisions that nobody asks for any more: first their pods go, in the end their Deployments."""

from __future__ import annotations

from datetime import datetime, timedelta

from tandem.api.conditions import Outcome
from tandem.api.plan import Delete
from tandem.apps import people
from tandem.apps.case import Case
from tandem.apps.configuration import prune as prune_copies
from tandem.apps.pods import keep, record_of
from tandem.apps.quarantine import remembered
from tandem.apps.revision import Owned, Target
from tandem.apps.setback import WATCHING, failing, watch_of


def retire(case: Case, target: Target | None, rolled_out: Outcome) -> dict[int, datetime]:
    """Scale down and delete; returns when the revisions that still have pods lose them, by number.

    Nothing is taken down while it is not known what to serve (a registry that is away changes no workload), nor
    while what serves has no pod that is available: the old one's pods are then the shortest way back.
    """
    settled = target is not None and _serves(case)
    needed = _takes_back(case, rolled_out)
    leaving: dict[int, datetime] = {}
    for owned in _others(case, target):
        _remember(case, target, owned, needed)
        if owned.replicas == 0:
            continue
        leaves_at = _leaves_at(case, owned)
        leaving[owned.number] = leaves_at
        if not settled or owned.number == needed:
            continue
        if leaves_at <= case.now:
            keep(case, owned, 0, verdict=remembered(case, owned), over=True)
            continue
        if owned.note is not None:  # it is a candidate no more: if it comes back it begins anew
            keep(case, owned, owned.replicas, verdict=remembered(case, owned), over=True)
        case.draft.requeue(leaves_at - case.now)
    if settled:
        _prune(case, target, needed)
    return leaving


def _remember(case: Case, target: Target | None, owned: Owned, needed: int | None) -> None:
    """What was said is over, or was said to another; what has no pods, or keeps them, is not written otherwise."""
    if target is None or owned.number == needed:
        return
    verdict, spent = remembered(case, owned), people.spent(case, owned, over=True)
    if (verdict, spent) != (owned.verdict, owned.spent):
        keep(case, owned, owned.replicas, verdict=verdict, over=True)


def _prune(case: Case, target: Target | None, needed: int | None) -> None:
    at_rest = [owned for owned in _others(case, target) if owned.replicas == 0 and owned.number != needed]
    for owned in at_rest[case.spec.revision_history_limit :]:
        meta = owned.deployment.metadata
        case.draft.act(Delete("apps/v1", "Deployment", meta.namespace, meta.name, meta.uid))
    prune_copies(case, target)


def _takes_back(case: Case, rolled_out: Outcome) -> int | None:
    """The revision whose pods have to stay: it gets the traffic back, or would."""
    failed = failing(case)
    if failed is not None:
        return failed[2].number
    watch = watch_of(case)
    return watch.previous.number if watch is not None and rolled_out.reason == WATCHING else None


def _leaves_at(case: Case, owned: Owned) -> datetime:
    """As the status remembers it; a lost status only delays. Never before the watch of the next one is over."""
    record, watch = record_of(case, owned.number), watch_of(case)
    leaves_at = case.second + timedelta(seconds=case.spec.scale_down_delay_seconds)
    if record is not None and record.state in {"Retired", "Failed"} and record.retire_at is not None:
        leaves_at = record.retire_at
    watched = watch is not None and watch.waited_for and watch.previous.number == owned.number
    return max(leaves_at, watch.ends) if watch is not None and watched else leaves_at


def _others(case: Case, target: Target | None) -> list[Owned]:
    """Latest first."""
    needed = {case.fleet.serving, target.number if target else None}
    return [owned for number, owned in sorted(case.fleet.owned.items(), reverse=True) if number not in needed]


def _serves(case: Case) -> bool:
    stable = case.fleet.stable
    return stable is not None and (stable.available > 0 or case.spec.replicas == 0)
