"""Writes to MLflow's model registry: a model belongs to the namespace that registered it first, and aliases move by
compare-and-set, which MLflow itself does not have (mlflow#2169).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from tandem.api import names
from tandem.api.plan import MoveAlias, PromotionRecord, Refused, RegisterVersion, TagVersion
from tandem.tracking import wire
from tandem.tracking.client import MlflowClient
from tandem.tracking.errors import ALREADY_EXISTS, NOT_FOUND, TrackingError
from tandem.tracking.promotions import Ledger, is_of, previous_of

READY: Final = "READY"
_PENDING: Final = "PENDING_REGISTRATION"
_READY_CHECKS: Final = 10
_READY_EVERY: Final = 1.0  # seconds
_UNKNOWN: Final = "unknown"


class RegistryWrites:
    def __init__(self, client: MlflowClient, ledger: Ledger, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._client = client
        self._ledger = ledger
        self._sleep = sleep

    async def register(self, write: RegisterVersion) -> None:
        await self._own(write)
        found = await self._client.versions_from(write.name, write.run_id)
        # A script may have registered other models of its run; of two versions of this one the older stays the one.
        version = next((version for version in found if version.source == write.source), None)
        if version is not None:
            present = wire.pairs(version.tags)
            for key, value in write.tags.items():
                if key not in present:
                    await self._client.tag_model_version(write.name, version.version, key, value)
        else:
            version = await self._create(write)
        await self._until_ready(version)

    async def tag_version(self, write: TagVersion) -> None:
        model = await self._client.registered_model(write.name)
        version = await self._client.model_version(write.name, write.version) if model else None
        if model is None or version is None:
            raise Refused("VersionMissing", f"MLflow has no version {write.version} of model {write.name} (any more)")
        _check_owner(model, write.namespace)
        present = wire.pairs(version.tags)
        for key, value in write.tags.items():
            if present.get(key) != value:
                await self._client.tag_model_version(write.name, write.version, key, value)

    async def move_alias(self, write: MoveAlias) -> None:
        model = await self._model(write)
        current = model.version_of(write.alias)
        if current not in {write.version, write.expected}:
            raise _moved(
                write, f"it names {_version(current)}, not {_version(write.expected)} as when this was decided"
            )
        if write.record is None:
            if current != write.version:
                await self._set(write)
        elif current == write.version:
            await self._note(write, write.record)
        else:
            await self._promote(write, write.record, current or "")

    async def _promote(self, write: MoveAlias, record: PromotionRecord, previous: str) -> None:
        """The entry of the ledger first: a crash leaves one that is open, never a move that nobody knows of."""
        left = await self._ledger.open_entries(write)
        mine = [entry for entry in left if is_of(entry, write, record) and previous_of(entry) in {None, previous}]
        entry_id = await self._ledger.begin(write, record, previous, mine[-1] if mine else None)
        try:
            await self._set(write)
        except Refused:
            await self._ledger.close(entry_id, done=False)
            raise
        await self._ledger.close(entry_id, done=True)
        await self._close(left, entry_id, serving=previous)

    async def _note(self, write: MoveAlias, record: PromotionRecord) -> None:
        """The alias is there already: by a try that died before it said so, or by hand."""
        left = await self._ledger.open_entries(write)
        mine = [entry for entry in left if is_of(entry, write, record)]
        if not mine and await self._ledger.is_told(write, record):
            return
        entry_id = await self._ledger.begin(write, record, _UNKNOWN, mine[-1] if mine else None)
        await self._ledger.close(entry_id, done=True)
        await self._close(left, entry_id, serving="")

    async def _close(self, left: Sequence[wire.Run], entry_id: str, serving: str) -> None:
        """What others left open: that of the version which the alias named last was done, the rest was not."""
        for entry in left:
            if entry.info.run_id != entry_id:
                version = entry.tags.get(names.TAG_MODEL_VERSION)
                await self._ledger.close(entry.info.run_id, done=bool(serving) and version == serving)

    async def _set(self, write: MoveAlias) -> None:
        try:
            await self._client.set_alias(write.name, write.alias, write.version)
        except TrackingError as error:
            if error.error_code != NOT_FOUND:
                raise
            raise Refused(
                "VersionMissing",
                f"alias {write.alias} stays: model {write.name} has no version {write.version} (any more)",
            ) from error
        current = (await self._model(write)).version_of(write.alias)
        if current != write.version:
            raise _moved(write, f"it names {_version(current)} right after it was set to version {write.version}")

    async def _model(self, write: MoveAlias) -> wire.RegisteredModel:
        model = await self._client.registered_model(write.name)
        if model is None:
            raise Refused("ModelMissing", f"MLflow has no registered model {write.name} (any more)")
        _check_owner(model, write.namespace)
        return model

    async def _own(self, write: RegisterVersion) -> None:
        model = await self._client.registered_model(write.name)
        if model is None:
            try:
                await self._client.create_registered_model(write.name, {names.TAG_NAMESPACE: write.namespace})
                return
            except TrackingError as error:
                if error.error_code != ALREADY_EXISTS:
                    raise
                model = await self._client.registered_model(write.name)  # somebody was faster
                if model is None:
                    raise
        _check_owner(model, write.namespace)

    async def _create(self, write: RegisterVersion) -> wire.ModelVersion:
        """What ``mlflow.register_model("models:/<model id>", …)`` sends in 3.17.2, and the run that it is found by.

        The server then notes the version on the logged model (tag ``mlflow.modelVersions``), so nothing else is due.
        """
        logged = await self._client.logged_model(write.model_id)
        if logged is None or logged.info.source_run_id != write.run_id:
            # Without this check the server would answer 500, which reads like an outage.
            raise Refused(
                "LoggedModelMissing", f"MLflow run {write.run_id} has no logged model {write.model_id} (any more)"
            )
        if logged.status != READY:
            raise Refused(
                "LoggedModelNotReady", f"logged model {write.model_id} is {logged.status}: it was not uploaded whole"
            )
        return await self._client.create_model_version(
            write.name,
            source=write.source,
            run_id=write.run_id,
            model_id=write.model_id,
            tags=write.tags,
        )

    async def _until_ready(self, version: wire.ModelVersion) -> None:
        name, number = version.name, version.version
        current: wire.ModelVersion | None = version
        for _ in range(_READY_CHECKS):
            if current is None:
                raise Refused("VersionMissing", f"model {name} version {number} was deleted while it was registered")
            if current.status == READY:
                return
            if current.status != _PENDING:
                why = current.status_message or "MLflow gives no reason"
                raise Refused(
                    "RegistrationFailed",
                    f"model {name} version {number} is {current.status} ({why}): delete it to have it registered again",
                )
            await self._sleep(_READY_EVERY)
            current = await self._client.model_version(name, number)
        raise Refused("RegistrationPending", f"model {name} version {number} is still {_PENDING}")


def _check_owner(model: wire.RegisteredModel, namespace: str) -> None:
    owner = wire.pairs(model.tags).get(names.TAG_NAMESPACE)
    if owner == namespace:
        return
    hand_over = (
        f'mlflow.MlflowClient().set_registered_model_tag("{model.name}", "{names.TAG_NAMESPACE}", "{namespace}")'
    )
    if owner is None:
        raise Refused(
            "ModelNotOwned",
            f"registered model {model.name} was not made by Tandem: to give it to namespace {namespace}, "
            f"run {hand_over}; or choose another name; a script that makes it (log_model(registered_model_name=…)) "
            f"leaves that out, for Tandem registers what passes",
        )
    raise Refused(
        "ModelOwnedElsewhere",
        f"registered model {model.name} belongs to namespace {owner}: to hand it over, whoever owns it there runs "
        f"{hand_over}; or choose another name",
    )


def _moved(write: MoveAlias, what: str) -> Refused:
    return Refused("AliasMoved", f"alias {write.alias} of model {write.name} was moved by somebody else: {what}")


def _version(version: str | None) -> str:
    return f"version {version}" if version else "nothing"
