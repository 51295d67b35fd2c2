"""The promotion ledger: one MLflow run for each move of an alias, in the experiment ``tandem-promotions``.

Its parameters are what happened: MLflow changes no parameter once it is logged, so an entry can be added to and thrown
away, not rewritten. Its tags are what it is found by. An entry is RUNNING from before its alias moves until the move
was seen to be done (FINISHED) or did not come about (KILLED); why this order: docs/design/promotions.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Final, Literal

from tandem.api import facts, names
from tandem.api.facts import PromotionsOf
from tandem.api.plan import MoveAlias, PromotionRecord
from tandem.tracking import wire
from tandem.tracking.client import PAIRS_PER_BATCH, MlflowClient, literal
from tandem.tracking.experiments import Experiments

LATEST: Final = 20
_PARAMETER_LIMIT: Final = 6000  # characters that MLflow takes (3.17)
_LEDGER: Final = names.PROMOTIONS_EXPERIMENT
_PREVIOUS: Final = "from"
_REASON: Final = "reason"
_NOTHING: Final = "nothing"
_STATES: Final[Mapping[str, Literal["Open", "Done"]]] = {"RUNNING": "Open", "FINISHED": "Done"}


class Ledger:
    """``milliseconds`` since the epoch date the entries."""

    def __init__(self, client: MlflowClient, experiments: Experiments, milliseconds: Callable[[], int]) -> None:
        self._client = client
        self._experiments = experiments
        self._milliseconds = milliseconds

    async def answer(self, query: PromotionsOf) -> tuple[facts.Promotion, ...]:
        """The latest entries of a model, and all of one run of one resource; latest first."""
        model = f"tags.`{names.TAG_MODEL_KEY}` = '{_key(query.model)}'"
        latest = await self._search(model, LATEST)
        mine = await self._search(f"{model} AND {_by(query.uid, query.number)}") if len(latest) >= LATEST else []
        entries = {entry.info.run_id: entry for entry in (*latest, *mine)}
        ordered = sorted(entries.values(), key=lambda entry: entry.age, reverse=True)
        return tuple(_promotion(entry) for entry in ordered)

    async def open_entries(self, write: MoveAlias) -> list[wire.Run]:
        """The entries of this alias that were written ahead of a move and not closed, oldest first."""
        return await self._search(f"{_of(write)} AND status = 'RUNNING'")

    async def is_told(self, write: MoveAlias, record: PromotionRecord) -> bool:
        """Whether there is a closed entry of this very promotion."""
        mine = f"{_of(write)} AND {_by(record.uid, record.number)} AND status = 'FINISHED'"
        return any(entry.tags.get(names.TAG_MODEL_VERSION) == write.version for entry in await self._search(mine))

    async def begin(self, write: MoveAlias, record: PromotionRecord, previous: str, known: wire.Run | None) -> str:
        """The id of an open entry of this promotion, complete; ``known``: one that may be left half-written.

        Raises:
            Refused: the ledger was deleted. No alias moves without an entry.
        """
        return await self._experiments.trusted(_LEDGER, lambda: self._begin(write, record, previous, known))

    async def close(self, entry_id: str, *, done: bool) -> None:
        await self._client.end_run(entry_id, "FINISHED" if done else "KILLED", self._milliseconds())

    async def _begin(self, write: MoveAlias, record: PromotionRecord, previous: str, known: wire.Run | None) -> str:
        entry = known
        if entry is None:
            experiment = await self._experiments.ensure(_LEDGER)
            name = f"{write.name}@{write.alias} → {write.version}"
            entry = await self._client.create_run(experiment.id, name, _tags(write, record), self._milliseconds())
        told = wire.pairs(entry.data.params)
        missing = [(key, value) for key, value in _parameters(write, record, previous).items() if key not in told]
        for start in range(0, len(missing), PAIRS_PER_BATCH):
            some = dict(missing[start : start + PAIRS_PER_BATCH])
            await self._client.log_batch(entry.info.run_id, parameters=some)
        return entry.info.run_id

    async def _search(self, filter_: str, latest: int | None = None) -> list[wire.Run]:
        """Oldest first; only the latest so many, if asked."""
        return await self._experiments.trusted(_LEDGER, lambda: self._search_once(filter_, latest))

    async def _search_once(self, filter_: str, latest: int | None) -> list[wire.Run]:
        experiment_id = await self._experiments.active(_LEDGER)
        if experiment_id is None:
            return []
        found = await self._client.search_runs(experiment_id, filter_, latest=latest)
        return sorted(found, key=lambda entry: entry.age)


def is_of(entry: wire.Run, write: MoveAlias, record: PromotionRecord) -> bool:
    """Whether the entry is one of this promotion: by whom, and to which version."""
    wanted = (record.uid, str(record.number), write.version)
    tags = entry.tags
    return wanted == tuple(
        tags.get(name) for name in (names.TAG_PROMOTED_BY, names.TAG_PROMOTED_BY_RUN, names.TAG_MODEL_VERSION)
    )


def previous_of(entry: wire.Run) -> str | None:
    """The version that the alias named when the entry was written; None if it was left half-written."""
    return wire.pairs(entry.data.params).get(_PREVIOUS)


def _tags(write: MoveAlias, record: PromotionRecord) -> dict[str, str]:
    return {
        "mlflow.user": names.MANAGED_BY,
        names.TAG_ROLE: names.ROLE_PROMOTION,
        names.TAG_MODEL: write.name,
        names.TAG_MODEL_KEY: _key(write.name),
        names.TAG_MODEL_VERSION: write.version,
        names.TAG_ALIAS: write.alias,
        names.TAG_RESOURCE: record.actor,
        names.TAG_PROMOTED_BY: record.uid,
        names.TAG_PROMOTED_BY_RUN: str(record.number),
    }


def _parameters(write: MoveAlias, record: PromotionRecord, previous: str) -> dict[str, str]:
    told = {
        **record.details,
        "model": write.name,
        "alias": write.alias,
        _PREVIOUS: previous or _NOTHING,
        "to": write.version,
        "actor": record.actor,
        _REASON: record.reason,
    }
    return {key: value[:_PARAMETER_LIMIT] for key, value in told.items()}


def _promotion(entry: wire.Run) -> facts.Promotion:
    tags, told = entry.tags, wire.pairs(entry.data.params)
    number = tags.get(names.TAG_PROMOTED_BY_RUN, "")
    previous = told.get(_PREVIOUS, "")
    return facts.Promotion(
        entry_id=entry.info.run_id,
        model=tags.get(names.TAG_MODEL, ""),
        alias=tags.get(names.TAG_ALIAS, ""),
        previous=previous if previous.isdecimal() else "",
        version=tags.get(names.TAG_MODEL_VERSION, ""),
        at=wire.moment(entry.info.start_time),
        actor=tags.get(names.TAG_RESOURCE, ""),
        uid=tags.get(names.TAG_PROMOTED_BY, ""),
        number=int(number) if number.isdecimal() else 0,
        state=_STATES.get(entry.info.status, "Abandoned"),
        reason=told.get(_REASON, ""),
        approved_by=told.get(names.PROMOTION_APPROVED_BY, ""),
    )


def _of(write: MoveAlias) -> str:
    model = f"tags.`{names.TAG_MODEL_KEY}` = '{_key(write.name)}'"
    return f"{model} AND tags.`{names.TAG_ALIAS}` = {literal(write.alias)}"


def _by(uid: str, number: int) -> str:
    return f"tags.`{names.TAG_PROMOTED_BY}` = {literal(uid)} AND tags.`{names.TAG_PROMOTED_BY_RUN}` = '{number:d}'"


def _key(model: str) -> str:
    """MLflow's filters cannot quote a name that holds a quote."""
    return hashlib.sha256(model.encode()).hexdigest()[:32]
