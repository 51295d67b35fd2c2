"""Writes to MLflow's model registry: a model belongs to the namespace that registered it first, and aliases move by
compare-and-set, which MLflow itself does not have (mlflow#2169).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from tandem.api import names
from tandem.api.plan import MoveAlias, Refused, RegisterVersion
from tandem.tracking import wire
from tandem.tracking.client import MlflowClient
from tandem.tracking.errors import ALREADY_EXISTS, NOT_FOUND, TrackingError

READY: Final = "READY"
_PENDING: Final = "PENDING_REGISTRATION"
_READY_CHECKS: Final = 10
_READY_EVERY: Final = 1.0  # seconds


class RegistryWrites:
    def __init__(self, client: MlflowClient, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._client = client
        self._sleep = sleep

    async def register(self, write: RegisterVersion) -> None:
        await self._own(write)
        found = await self._client.versions_from(write.name, write.run_id)
        if found:
            version = found[-1]
            present = wire.pairs(version.tags)
            for key, value in write.tags.items():
                if key not in present:
                    await self._client.tag_model_version(write.name, version.version, key, value)
        else:
            version = await self._create(write)
        await self._until_ready(version)

    async def move_alias(self, write: MoveAlias) -> None:
        model = await self._model(write)
        current = model.version_of(write.alias)
        if current == write.version:
            return
        if current != write.expected:
            raise _moved(
                write, f"it names {_version(current)}, not {_version(write.expected)} as when this was decided"
            )
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
            source=f"models:/{write.model_id}",
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
            f"run {hand_over}; or choose another name",
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
