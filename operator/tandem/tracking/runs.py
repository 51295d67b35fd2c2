"""MLflow's runs and the models they logged, in the words of :mod:`tandem.api.facts`."""

from __future__ import annotations

from collections.abc import Sequence

from tandem.api import facts, names
from tandem.tracking import wire


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
