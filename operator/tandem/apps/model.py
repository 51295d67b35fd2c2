"""Which version of which model the spec means now: an alias followed, or a version pinned.

The registry may be away; then nothing changes for what serves. It may answer that there is no such thing; then the
message says what is waited for and how to get it, because it is expected to come (a TrainingJob makes it).
"""

from __future__ import annotations

from dataclasses import dataclass

from tandem.api.appdeployment import ServedModel
from tandem.api.appdeployment_status import RevisionModel
from tandem.api.conditions import Failed, Outcome, Passed, Retrying, Working
from tandem.api.facts import ModelNamed, ModelVersion, RegisteredModel, Unavailable, VersionNumbered
from tandem.apps.case import Case, stamp

MODEL_RESOLVED = "ModelResolved"


@dataclass(frozen=True)
class Resolution:
    """``outcome`` is None where the spec names no model; ``model`` is None while it is not known which to serve."""

    outcome: Outcome | None = None
    model: RevisionModel | None = None
    registered: RegisteredModel | Unavailable | None = None

    @property
    def complete(self) -> bool:
        return self.outcome is None or self.model is not None


def resolve(case: Case) -> Resolution | None:
    """None: the registry was asked for the first time and has not answered yet."""
    wanted = case.spec.model
    if wanted is None:
        return Resolution()
    registered: RegisteredModel | Unavailable | None = None
    if wanted.alias or wanted.promote_to:
        registered = case.draft.read(ModelNamed(wanted.name))
        if registered is None:
            return None
    if wanted.alias is None:
        return _version(case, wanted, wanted.version or "", registered)
    assert registered is not None
    if isinstance(registered, Unavailable):
        return Resolution(_unavailable(case, registered), None, registered)
    version = registered.aliases.get(wanted.alias)
    if version is None:
        return Resolution(_missing_alias(case, wanted, wanted.alias, registered), None, registered)
    return _version(case, wanted, version, registered)


def _version(
    case: Case, wanted: ServedModel, version: str, registered: RegisteredModel | Unavailable | None
) -> Resolution | None:
    query = VersionNumbered(wanted.name, version)
    found = case.draft.read(query)
    if not case.observed.facts.answered(query):
        return None
    if isinstance(found, Unavailable):
        return Resolution(_unavailable(case, found), None, registered)
    outcome, model = _judged(case, wanted, version, found), None
    if found is not None and isinstance(outcome, Passed):
        model = RevisionModel(name=wanted.name, version=version, run_id=found.run_id)
    return Resolution(outcome, model, registered)


def _judged(case: Case, wanted: ServedModel, version: str, found: ModelVersion | None) -> Outcome:
    model = f"version {version} of model {wanted.name!r}"
    if found is None:
        return _waiting(case, "VersionNotFound", f"{model} is not in the registry", wanted)
    match found.status:
        case "READY":
            followed = f"alias {wanted.alias!r} names " if wanted.alias else ""
            return Passed("Resolved", f"{followed}{model}")
        case "FAILED_REGISTRATION":
            said = f"{model} failed to register; register it again, or name another version"
            return Failed("VersionFailed", said, final=False)
        case status:
            return Working("VersionPending", f"{model} is not ready to be loaded yet (MLflow says {status})")


def _missing_alias(case: Case, wanted: ServedModel, alias: str, registered: RegisteredModel) -> Outcome:
    if not registered.exists:
        return _waiting(case, "ModelNotFound", f"model {wanted.name!r} is not in the registry", wanted)
    known = ", ".join(f"{name} → {version}" for name, version in sorted(registered.aliases.items())) or "none"
    return _waiting(
        case, "AliasNotFound", f"model {wanted.name!r} has no alias {alias!r} (aliases it has: {known})", wanted
    )


def _waiting(case: Case, reason: str, what: str, wanted: ServedModel) -> Working:
    before = case.told(MODEL_RESOLVED)
    since = before.last_transition_time if before and before.status == "Unknown" else case.second
    how = f"a TrainingJob with spec.model.name {wanted.name!r}"
    if wanted.alias:
        how += f" and alias {wanted.alias!r}, or MlflowClient().set_registered_model_alias(), brings it"
    else:
        how += ", or mlflow.register_model(), brings it"
    return Working(reason, f"{what}; waiting since {stamp(since)}: {how}{case.meanwhile}")


def _unavailable(case: Case, fact: Unavailable) -> Retrying:
    said = f"waiting for MLflow since {stamp(fact.since)}: {fact.message}"
    return Retrying(fact.reason, f"which model version to serve is not known; {said}{case.meanwhile}")
