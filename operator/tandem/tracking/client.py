"""A typed, asynchronous client of the MLflow REST endpoints that Tandem needs, and of no others.

MLflow has no asynchronous client of its own (mlflow#25577), and importing mlflow-skinny costs 68 MiB; kopf brings
aiohttp already. Values that come from users or from the cluster travel in query parameters and JSON bodies; those that
enter MLflow's filter language pass :func:`literal` first.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Protocol, Self, TypeVar

import msgspec

from tandem.tracking import wire
from tandem.tracking.errors import NOT_FOUND, TrackingError, TrackingUnavailable
from tandem.tracking.transport import TIMEOUT, Body, Count, HttpTransport, Method, Parameters, Transport

# What the server takes in one request (3.17: mlflow/utils/validation.py, mlflow/store/model_registry/__init__.py).
PAIRS_PER_BATCH: Final = 100
MODELS_PER_PAGE: Final = 1000
RUNS_PER_HISTORY: Final = 100
POINTS_PER_RUN: Final = 2500
# Ours: a page of 5,000 monitoring runs is some 12 MB.
RUNS_PER_PAGE: Final = 5000
POINTS_PER_PAGE: Final = 5000
_LOGGED_MODELS_PER_PAGE: Final = 100

_LITERAL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class _Page(Protocol):
    @property
    def next_page_token(self) -> str: ...


PageT = TypeVar("PageT", bound=_Page)
WireT = TypeVar("WireT", bound=wire.Wire)


def literal(value: str) -> str:
    """``value`` as a string of MLflow's filter language, which has no escapes: so uids and ids only.

    Raises:
        TrackingError: it holds anything but letters, digits, dot, dash and underscore.
    """
    if not _LITERAL.fullmatch(value):
        raise TrackingError("INVALID_PARAMETER_VALUE", f"{value!r} is not an id that MLflow can be asked for")
    return f"'{value}'"


class MlflowClient:
    """``base_url``, credentials and ``timeout``: see :class:`HttpTransport`; every method raises its failures."""

    def __init__(
        self,
        base_url: str,
        *,
        token_file: Path | None = None,
        username: str | None = None,
        password: str | None = None,
        timeout: timedelta = TIMEOUT,
        environ: Mapping[str, str] = os.environ,
        count: Count = lambda *_: None,
        may_write: Callable[[], bool] = lambda: True,
        transport: Transport | None = None,
    ) -> None:
        self._transport = transport or HttpTransport(
            base_url,
            token_file=token_file,
            username=username,
            password=password,
            timeout=timeout,
            environ=environ,
            count=count,
            may_write=may_write,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._transport.close()

    # --- experiments and runs ----------------------------------------------------------------------------------------

    async def experiment_named(self, name: str) -> wire.Experiment | None:
        """The experiment, deleted ones too; None when there is none."""
        answer = await self._get_or_none("experiments/get-by-name", wire.ExperimentAnswer, ("experiment_name", name))
        return answer.experiment if answer else None

    async def create_experiment(self, name: str) -> str:
        """Its id; TrackingError RESOURCE_ALREADY_EXISTS when the name is taken, by a deleted experiment too."""
        return (await self._post("experiments/create", wire.ExperimentCreated, {"name": name})).experiment_id

    async def search_runs(
        self, experiment_id: str, filter_: str, *, deleted: bool = False, latest: int | None = None
    ) -> list[wire.Run]:
        """The runs of one experiment that match; those that were deleted too, or only the latest few, if asked for."""
        body: dict[str, object] = {
            "experiment_ids": [experiment_id],
            "filter": filter_,
            "run_view_type": "ALL" if deleted else "ACTIVE_ONLY",
            "max_results": RUNS_PER_PAGE,
        }
        if latest is not None:
            body |= {"max_results": latest, "order_by": ["attributes.start_time DESC"]}
            return list((await self._post("runs/search", wire.RunsPage, body)).runs)
        return [run async for page in self._pages("POST", "runs/search", wire.RunsPage, body) for run in page.runs]

    async def run(self, run_id: str) -> wire.Run | None:
        answer = await self._get_or_none("runs/get", wire.RunAnswer, ("run_id", run_id))
        return answer.run if answer else None

    async def create_run(self, experiment_id: str, name: str, tags: Mapping[str, str], start_time: int) -> wire.Run:
        """A running run, together with its tags: the server makes both in one transaction."""
        body = {"experiment_id": experiment_id, "run_name": name, "start_time": start_time, "tags": _pairs(tags)}
        return (await self._post("runs/create", wire.RunAnswer, body)).run

    async def log_batch(
        self, run_id: str, *, parameters: Mapping[str, str] | None = None, tags: Mapping[str, str] | None = None
    ) -> None:
        """At most 100 of each."""
        body = {"run_id": run_id, "params": _pairs(parameters or {}), "tags": _pairs(tags or {})}
        await self._transport.send("POST", "runs/log-batch", body=body)

    async def end_run(self, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"], end_time: int) -> None:
        body = {"run_id": run_id, "status": status, "end_time": end_time}
        await self._transport.send("POST", "runs/update", body=body)

    async def metric_history(
        self, run_ids: Sequence[str], metric: str, *, start_step: int, end_step: int
    ) -> list[wire.Metric]:
        """The points of one metric of at most 100 runs, between two steps (both included), lowest step first.

        A run that has more than 2,500 points there is thinned out by the server: see POINTS_PER_RUN. Without the
        steps the same request takes 7 to 10 times as long (measured on SQLite).
        """
        query = [
            *(("run_ids", run_id) for run_id in run_ids),
            ("metric_key", metric),
            ("start_step", str(start_step)),
            ("end_step", str(end_step)),
            ("max_results", str(POINTS_PER_RUN)),
        ]
        answer = await self._get("metrics/get-history-bulk-interval", wire.HistoryAnswer, *query)
        return list(answer.metrics)

    async def points_since(self, run_id: str, metric: str, since: int) -> list[wire.Metric]:
        """All points of one metric of one run that are dated ``since`` or later; none is thinned out."""
        body = {"run_id": run_id, "metric_key": metric, "max_results": str(POINTS_PER_PAGE)}
        pages = self._pages("GET", "metrics/get-history", wire.HistoryAnswer, body)
        return [point async for page in pages for point in page.metrics if point.timestamp >= since]

    # --- logged models -----------------------------------------------------------------------------------------------

    async def logged_models(self, experiment_id: str, run_id: str) -> list[wire.LoggedModel]:
        """The models that a run of this experiment logged, oldest first."""
        body = {
            "experiment_ids": [experiment_id],
            "filter": f"source_run_id = {literal(run_id)}",
            "max_results": _LOGGED_MODELS_PER_PAGE,
        }
        pages = self._pages("POST", "logged-models/search", wire.LoggedModelsPage, body)
        models = [model async for page in pages for model in page.models]
        return sorted(models, key=lambda model: (model.info.creation_timestamp_ms, model.info.model_id))

    async def logged_model(self, model_id: str) -> wire.LoggedModel | None:
        literal(model_id)  # the one endpoint that takes an id in its path
        answer = await self._get_or_none(f"logged-models/{model_id}", wire.LoggedModelAnswer)
        return answer.model if answer else None

    # --- model registry ----------------------------------------------------------------------------------------------

    async def registered_model(self, name: str) -> wire.RegisteredModel | None:
        answer = await self._get_or_none("registered-models/get", wire.RegisteredModelAnswer, ("name", name))
        return answer.registered_model if answer else None

    async def registered_models(self) -> AsyncIterator[wire.RegisteredModelsPage]:
        """All registered models with their aliases, a thousand a page; the search cannot filter by alias."""
        body = {"max_results": str(MODELS_PER_PAGE)}
        async for page in self._pages("GET", "registered-models/search", wire.RegisteredModelsPage, body):
            yield page

    async def create_registered_model(self, name: str, tags: Mapping[str, str]) -> wire.RegisteredModel:
        """TrackingError RESOURCE_ALREADY_EXISTS when the name is taken."""
        body = {"name": name, "tags": _pairs(tags)}
        return (await self._post("registered-models/create", wire.RegisteredModelAnswer, body)).registered_model

    async def model_version(self, name: str, version: str) -> wire.ModelVersion | None:
        query = (("name", name), ("version", version))
        answer = await self._get_or_none("model-versions/get", wire.ModelVersionAnswer, *query)
        return answer.model_version if answer else None

    async def versions_from(self, name: str, run_id: str) -> list[wire.ModelVersion]:
        """The versions of ``name`` that were made from the run, lowest number first."""
        # The name is compared here: it may hold quotes, for which MLflow's filter language has no escape.
        body = {"filter": f"run_id = {literal(run_id)}", "max_results": str(MODELS_PER_PAGE)}
        pages = self._pages("GET", "model-versions/search", wire.ModelVersionsPage, body)
        versions = [version async for page in pages for version in page.model_versions if version.name == name]
        return sorted(versions, key=lambda version: int(version.version))

    async def create_model_version(
        self, name: str, *, source: str, run_id: str, model_id: str, tags: Mapping[str, str]
    ) -> wire.ModelVersion:
        body = {"name": name, "source": source, "run_id": run_id, "model_id": model_id, "tags": _pairs(tags)}
        return (await self._post("model-versions/create", wire.ModelVersionAnswer, body)).model_version

    async def tag_model_version(self, name: str, version: str, key: str, value: str) -> None:
        body = {"name": name, "version": version, "key": key, "value": value}
        await self._transport.send("POST", "model-versions/set-tag", body=body)

    async def set_alias(self, name: str, alias: str, version: str) -> None:
        """An upsert: MLflow has no compare-and-set (mlflow#2169)."""
        body = {"name": name, "alias": alias, "version": version}
        await self._transport.send("POST", "registered-models/alias", body=body)

    # --- one request -------------------------------------------------------------------------------------------------

    async def _get(self, path: str, type_: type[WireT], *query: tuple[str, str]) -> WireT:
        return _decoded(await self._transport.send("GET", path, query=query), type_)

    async def _get_or_none(self, path: str, type_: type[WireT], *query: tuple[str, str]) -> WireT | None:
        try:
            return await self._get(path, type_, *query)
        except TrackingError as error:
            if error.error_code == NOT_FOUND:
                return None
            raise

    async def _post(self, path: str, type_: type[WireT], body: Body) -> WireT:
        return _decoded(await self._transport.send("POST", path, body=body), type_)

    async def _pages(
        self, method: Method, path: str, type_: type[PageT], body: Mapping[str, object]
    ) -> AsyncIterator[PageT]:
        token = ""
        while True:
            asked = {**body, "page_token": token} if token else body
            query: Parameters = [(key, str(value)) for key, value in asked.items()] if method == "GET" else ()
            sent = await self._transport.send(method, path, query=query, body=None if method == "GET" else asked)
            page = _decoded(sent, type_)
            yield page
            if not page.next_page_token:
                return
            if page.next_page_token == token:  # seen in MLflow 3.10: an endless token
                message = f"MLflow answers {path} with one page for ever: use MLflow 3.14 or newer"
                raise TrackingUnavailable(message, answered=True)
            token = page.next_page_token


def _pairs(mapping: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in mapping.items()]


DecodedT = TypeVar("DecodedT")


def _decoded(text: bytes, type_: type[DecodedT]) -> DecodedT:
    try:
        return msgspec.json.decode(text, type=type_, strict=False)
    except msgspec.DecodeError as error:
        message = f"the answer is not MLflow's ({error}): is this the address of MLflow?"
        raise TrackingUnavailable(message, answered=True) from error
