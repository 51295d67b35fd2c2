"""Writes to MLflow runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from tandem.api import names
from tandem.api.facts import RunNumbered, RunsOf, Told
from tandem.api.plan import EndRun, EnsureRun, Refused, TagRun
from tandem.tracking import wire
from tandem.tracking.client import PAIRS_PER_BATCH, MlflowClient
from tandem.tracking.errors import TrackingError
from tandem.tracking.experiments import Experiments
from tandem.tracking.runs import those_of, tracked

_RUN_NAME: Final = "mlflow.runName"


class RunWrites:
    def __init__(self, client: MlflowClient, experiments: Experiments, milliseconds: Callable[[], int]) -> None:
        self._client = client
        self._experiments = experiments
        self._milliseconds = milliseconds

    async def ensure(self, write: EnsureRun) -> Told:
        """Where there was no run before, what :class:`RunsOf` and :class:`RunNumbered` would be answered now."""
        return await self._experiments.trusted(write.experiment, lambda: self._ensure(write))

    async def _ensure(self, write: EnsureRun) -> Told:
        mine = those_of(write.uid, write.number)  # raises for what is no uid, before anything is made
        experiment = await self._experiments.ensure(write.experiment)
        tags = _tags(write)
        run = None if experiment.new else await self._find(mine, experiment.id)
        if run is None:
            run = await self._client.create_run(experiment.id, write.name, tags, self._milliseconds())
        # A crash may lie between the creation and this, so what is missing is logged for a run that was found, too.
        # What differs stays: parameters cannot change, and tags are the script's and people's to change.
        parameters = _missing(write.parameters, wire.pairs(run.data.params))
        tags = _missing(tags, run.tags)
        for some in _batches(parameters):
            await self._client.log_batch(run.info.run_id, parameters=some)
        for some in _batches(tags):
            await self._client.log_batch(run.info.run_id, tags=some)
        # Another one may have been made before it in an experiment that was there; then only a search can tell.
        if not experiment.new or tags:
            return {}
        only = (replace(tracked(run), made=True),)
        return {
            RunsOf(write.uid, write.experiment): only,
            RunNumbered(write.uid, write.experiment, write.number): only,
        }

    async def tag(self, write: TagRun) -> None:
        try:
            for some in _batches(write.tags):
                await self._client.log_batch(write.run_id, tags=some)
        except TrackingError as error:
            await self._explain(write.run_id, error)
            raise

    async def end(self, write: EndRun) -> None:
        run = await self._client.run(write.run_id)
        if run is None:
            raise _gone(write.run_id)
        if run.ended or run.deleted:
            return  # the script's own word stands; and what was deleted needs no end
        await self._client.end_run(write.run_id, write.status, self._milliseconds())

    async def _find(self, filter_: str, experiment_id: str) -> wire.Run | None:
        found = sorted(await self._client.search_runs(experiment_id, filter_, deleted=True), key=lambda run: run.age)
        active = [run for run in found if not run.deleted]
        if found and not active:
            raise _deleted(found[0].info.run_id)
        return active[0] if active else None

    async def _explain(self, run_id: str, error: TrackingError) -> None:
        """Raises what is behind ``error``, if the run itself is: the server says no more than a bad parameter."""
        run = await self._client.run(run_id)
        if run is None:
            raise _gone(run_id) from error
        if run.deleted:
            raise _deleted(run_id) from error


def _tags(write: EnsureRun) -> dict[str, str]:
    return {
        "mlflow.user": names.MANAGED_BY,
        "mlflow.source.type": "JOB",
        "mlflow.source.name": f"{names.TRAINING_JOB} {write.tags.get(names.TAG_RESOURCE, write.name)}",
        **write.tags,
        # The key by which the run is found again.
        names.TAG_RESOURCE_UID: write.uid,
        names.TAG_RUN: str(write.number),
        _RUN_NAME: write.name,
    }


def _missing(wanted: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if key not in present}


def _batches(pairs: Mapping[str, str]) -> Iterator[dict[str, str]]:
    entries = list(pairs.items())
    for start in range(0, len(entries), PAIRS_PER_BATCH):
        yield dict(entries[start : start + PAIRS_PER_BATCH])


def _deleted(run_id: str) -> Refused:
    return Refused(
        "RunDeleted",
        f"MLflow run {run_id} was deleted: restore it with `mlflow runs restore --run-id {run_id}`, "
        f"or ask for another run with the annotation {names.REQUESTED_AT_ANNOTATION}",
    )


def _gone(run_id: str) -> Refused:
    return Refused(
        "RunDeleted",
        f"MLflow does not know run {run_id} (any more): ask for another run with the annotation "
        f"{names.REQUESTED_AT_ANNOTATION}",
    )
