"""Which experiment has which id, remembered for a minute: each start would look it up three times.

What is remembered can be wrong: somebody deletes an experiment, or the server's database is another one after a
restore. So it is short-lived, gone with the first outage, and whoever is refused with a remembered id asks anew.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from tandem.api.plan import Refused
from tandem.tracking.client import MlflowClient
from tandem.tracking.errors import ALREADY_EXISTS, TrackingError, TrackingUnavailable

REMEMBERED: Final = 60.0  # seconds
# For which one that was not there is made without looking again: thousands of starts may stand in line between the two.
# Whoever was faster is found out by the refusal.
MISSED: Final = 60.0
_AT_MOST: Final = 50_000

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Found:
    """``new``: made by this very call, so it holds no run yet."""

    id: str
    new: bool = False


class Experiments:
    """``clock`` gives seconds that never go back."""

    def __init__(self, client: MlflowClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._clock = clock
        self._ids: dict[str, tuple[str, float]] = {}  # by name: id, and until when it is believed
        self._missed: dict[str, float] = {}  # by name, until when

    async def active(self, name: str) -> str | None:
        """Its id; None when there is none, or it was deleted."""
        if known := self._known(name):
            return known
        experiment = await self._client.experiment_named(name)
        if experiment is None:
            self._miss(name)
            return None
        return None if experiment.deleted else self._remember(name, experiment.experiment_id)

    async def ensure(self, name: str) -> Found:
        """It is there, made if there was none.

        Raises:
            Refused: it was deleted; the message says how to restore it.
        """
        if known := self._known(name):
            return Found(known)
        missed = self._missed.pop(name, 0.0) > self._clock()
        experiment = None if missed else await self._client.experiment_named(name)
        if experiment is None:
            try:
                made = await self._client.create_experiment(name)
                return Found(self._remember(name, made), new=True)
            except TrackingError as error:
                if error.error_code != ALREADY_EXISTS:
                    raise
                experiment = await self._client.experiment_named(name)  # somebody was faster
                if experiment is None:
                    raise
        if experiment.deleted:
            raise Refused(
                "ExperimentDeleted",
                f'MLflow experiment "{name}" was deleted: restore it with `mlflow experiments restore '
                f"--experiment-id {experiment.experiment_id}`, or name another one",
            )
        return Found(self._remember(name, experiment.experiment_id))

    async def trusted(self, name: str, work: Callable[[], Awaitable[ResultT]]) -> ResultT:
        """``work`` in this experiment; once more, after a fresh look-up, if it was refused with a remembered id."""
        remembered = self._known(name) is not None
        try:
            return await work()
        except TrackingUnavailable:
            self._ids.clear()
            raise
        except (TrackingError, Refused):
            if not remembered:
                raise
            self._ids.pop(name, None)
            return await work()

    def _known(self, name: str) -> str | None:
        id_, until = self._ids.get(name, ("", 0.0))
        return id_ if id_ and self._clock() < until else None

    def _miss(self, name: str) -> None:
        if len(self._missed) >= _AT_MOST:
            self._missed.clear()
        self._missed[name] = self._clock() + MISSED

    def _remember(self, name: str, id_: str) -> str:
        if len(self._ids) >= _AT_MOST:
            self._ids.clear()
        self._ids[name] = (id_, self._clock() + REMEMBERED)
        return id_
