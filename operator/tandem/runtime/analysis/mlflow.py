"""A metric in MLflow: of the run that made a model version, or of the run that monitors that version.

Three REST endpoints, without MLflow's own client: that takes two seconds and 200 MB to import.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypeVar

import aiohttp
import msgspec

from tandem.api import names
from tandem.runtime.analysis.asking import NotMeasured, NotThere, ask
from tandem.runtime.analysis.verdict import NoData, Reading, Value

_API: Final = "/api/2.0/mlflow"

Answer = TypeVar("Answer")


class Logged(msgspec.Struct, frozen=True):
    key: str
    value: float | str  # NaN is a string in MLflow's JSON
    timestamp: int = 0  # milliseconds


class _Data(msgspec.Struct, frozen=True):
    metrics: tuple[Logged, ...] = ()


class _Run(msgspec.Struct, frozen=True):
    data: _Data = _Data()


class _OneRun(msgspec.Struct):
    run: _Run


class _Experiment(msgspec.Struct):
    experiment_id: str


class _OneExperiment(msgspec.Struct):
    experiment: _Experiment


class _Runs(msgspec.Struct):
    runs: tuple[_Run, ...] = ()


class Training:
    """The latest value that the run has, whenever it was logged."""

    def __init__(self, session: aiohttp.ClientSession, uri: str, run_id: str, metric: str) -> None:
        self._session, self._uri, self._run_id, self._metric = session, uri.rstrip("/"), run_id, metric

    async def measure(self) -> Reading:
        answer = await ask(self._session, f"{self._uri}{_API}/runs/get", query={"run_id": self._run_id})
        return reading(_read(answer, _OneRun).run.data.metrics, self._metric, since=None)


class Monitoring:
    """The latest value that was logged after ``since``: what is older says nothing about this moment."""

    def __init__(
        self, session: aiohttp.ClientSession, uri: str, model: str, version: str, metric: str, since: datetime
    ) -> None:
        self._session, self._uri = session, uri.rstrip("/")
        self._model, self._version, self._metric, self._since = model, version, metric, since

    async def measure(self) -> Reading:
        named = {"experiment_name": names.MONITORING_EXPERIMENT}
        try:
            answer = await ask(self._session, f"{self._uri}{_API}/experiments/get-by-name", query=named)
        except NotThere:
            return NoData(f"the server has no experiment {names.MONITORING_EXPERIMENT}")
        run = await self._run(_read(answer, _OneExperiment).experiment.experiment_id)
        if run is None:
            return NoData(f"nothing monitors version {self._version} of model {self._model!r}")
        return reading(run.data.metrics, self._metric, self._since)

    async def _run(self, experiment_id: str) -> _Run | None:
        """Of two with the same tags the older one counts (docs/design/monitoring-runs.md)."""
        tags = {
            names.TAG_ROLE: names.ROLE_MONITOR,
            names.TAG_MODEL: self._model,  # no name of a model that the operator takes has a quote in it
            names.TAG_MODEL_VERSION: self._version,
        }
        search = {
            "experiment_ids": [experiment_id],
            "filter": " AND ".join(f"tags.`{tag}` = '{value}'" for tag, value in tags.items()),
            "order_by": ["attributes.start_time ASC"],
            "max_results": 1,
        }
        answer = await ask(self._session, f"{self._uri}{_API}/runs/search", body=search)
        return next(iter(_read(answer, _Runs).runs), None)


def reading(logged: tuple[Logged, ...], metric: str, since: datetime | None) -> Reading:
    found = next((one for one in logged if one.key == metric), None)
    if found is None:
        return NoData(f"the run has no metric {metric!r}")
    if since is not None and found.timestamp < since.timestamp() * 1000:
        return NoData(f"{metric!r} was not logged since {since:%Y-%m-%d %H:%M:%S}Z")
    try:
        return Value(float(found.value))
    except ValueError:
        raise NotMeasured(f"{metric!r} is {str(found.value)[:64]!r}, which is no number") from None


def _read(body: bytes, type_: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(body, type=type_, strict=False)  # its JSON has 64-bit numbers as strings
    except msgspec.DecodeError as error:
        raise NotMeasured(f"the answer is not one of an MLflow server: {error}") from None
