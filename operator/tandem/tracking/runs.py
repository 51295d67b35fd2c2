"""MLflow's runs and the models they logged, in the words of :mod:`tandem.api.facts`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from tandem.api import facts, names
from tandem.tracking import wire
from tandem.tracking.client import literal


def those_of(uid: str, number: int | None = None) -> str:
    """The filter that finds a TrainingJob's runs, or those of one number."""
    mine = f"tags.`{names.TAG_RESOURCE_UID}` = {literal(uid)}"
    return mine if number is None else f"{mine} AND tags.`{names.TAG_RUN}` = '{number:d}'"


def one_of_each(found: Sequence[wire.Run]) -> list[wire.Run]:
    """Those that have a number, lowest first; the oldest of each."""
    numbered = sorted(filter(number_of, found), key=lambda run: (number_of(run), run.age))
    return [next(runs) for _, runs in groupby(numbered, key=number_of)]


def number_of(run: wire.Run) -> int:
    """The number of the TrainingJob's run; 0 for a run that carries none (not made by Tandem)."""
    number = run.tags.get(names.TAG_RUN, "")
    return int(number) if number.isdecimal() else 0


def tracked(run: wire.Run, models: Sequence[wire.LoggedModel] = ()) -> facts.TrackedRun:
    return facts.TrackedRun(
        run_id=run.info.run_id,
        experiment_id=run.info.experiment_id,
        number=number_of(run),
        status=run.info.status,
        started_at=wire.moment(run.info.start_time),
        metrics=run.metrics,
        tags=run.tags,
        models=tuple(_logged_model(model) for model in models),
        metric_times={metric.key: metric.timestamp for metric in run.data.metrics},
        ended_at=wire.moment(run.info.end_time) if run.info.end_time else None,
    )


def _logged_model(model: wire.LoggedModel) -> facts.LoggedModel:
    info = model.info
    created_at = wire.moment(info.creation_timestamp_ms)
    return facts.LoggedModel(info.model_id, info.name, model.status, created_at, info.artifact_uri)
