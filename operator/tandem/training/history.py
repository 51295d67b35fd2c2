"""The finished runs that the status remembers; MLflow remembers them all."""

from __future__ import annotations

from typing import Final

from tandem.api import names
from tandem.api.facts import RunsOf, TrackedRun, Unavailable
from tandem.api.trainingjob_status import HistoryEntry, RunStatus
from tandem.training.case import Case
from tandem.training.triggers import parse_trigger

COMPLETE: Final = "Complete"


def entry_of(run: RunStatus, result: str, version: str = "", key_figure: str = "") -> HistoryEntry:
    """A run that has ended."""
    assert run.completion_time is not None
    return HistoryEntry(
        number=run.number,
        trigger=run.trigger,
        result=result,
        completion_time=run.completion_time,
        mlflow_run_id=run.mlflow_run_id,
        version=version,
        key_figure=key_figure,
    )


def known_history(case: Case, run: RunStatus) -> tuple[HistoryEntry, ...]:
    """The finished runs before this one; those that MLflow knows, where the status was lost.

    MLflow's answer is there already: without a status it was asked which run is the latest.
    """
    if case.status.run is not None:
        return case.status.history
    tracked = case.draft.read(RunsOf(case.resource.metadata.uid, case.experiment))
    if tracked is None or isinstance(tracked, Unavailable):
        return ()
    return tuple(_recovered(before) for before in reversed(tracked) if before.number < run.number)


def _recovered(run: TrackedRun) -> HistoryEntry:
    return HistoryEntry(
        number=run.number,
        trigger=parse_trigger(run.tags.get(names.TAG_TRIGGER, "")),
        result=COMPLETE if names.TAG_TRAINED in run.tags else "Unknown",
        completion_time=run.started_at,
        mlflow_run_id=run.run_id,
    )


def trimmed(case: Case, entries: tuple[HistoryEntry, ...]) -> tuple[HistoryEntry, ...]:
    """Newest first, one for each run, at most as many as the spec says (at least one).

    The entry that answers the open drift request stays in any case: without it the alarm would be answered twice.
    """
    limit = max(case.spec.history_limit, 1)
    newest: dict[int, HistoryEntry] = {}
    for entry in entries:  # a run that was judged again comes before its own older entry
        newest.setdefault(entry.number, entry)
    ordered = sorted(newest.values(), key=lambda entry: -entry.number)
    request = case.status.drift.retrain_request if case.status.drift else None
    answer = [entry for entry in ordered[limit:] if request and entry.trigger.id == request.id]
    return tuple(ordered[: max(1, limit - len(answer))] + answer)
