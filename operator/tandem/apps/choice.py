"""Which revision is meant: the one that the spec describes, or an earlier one that ``spec.rollback`` names."""

from __future__ import annotations

from dataclasses import dataclass, field

from tandem.api.conditions import Failed, Outcome, Passed, Working
from tandem.api.facts import ModelNamed
from tandem.apps.case import Case
from tandem.apps.configuration import Configuration, configure, lost
from tandem.apps.model import Resolution, resolve
from tandem.apps.revision import Owned, Target, content_of, digest_of, number_of, shown_of


@dataclass(frozen=True)
class Choice:
    """``target`` is None while it cannot be said what to run; ``instead`` is what is told of the rollout then."""

    target: Target | None
    instead: Outcome
    resolution: Resolution = field(default_factory=Resolution)
    configuration: Configuration = field(default_factory=Configuration)


def choose(case: Case) -> Choice | None:
    """None: somebody was asked for the first time and has not answered yet."""
    invalid = _invalid(case)
    if invalid is not None:
        return Choice(None, invalid)
    if case.spec.rollback is not None:
        return _roll_back(case, case.spec.rollback.to_revision)
    resolution, configuration = resolve(case), configure(case)
    if resolution is None or configuration is None:
        return None
    nothing = "nothing is rolled out until the {} is resolved" + case.meanwhile
    if not resolution.complete:
        return Choice(None, Working("WaitsForModel", nothing.format("model")), resolution, configuration)
    waits = Working("WaitsForConfiguration", nothing.format("configuration"))
    if not configuration.complete:
        return Choice(None, waits, resolution, configuration)
    settings, spec = case.settings, case.spec
    content = content_of(spec, resolution.model, settings.runtime_image, settings.mlflow_uri, configuration.digests)
    digest = digest_of(content)
    number = number_of(digest, case.fleet, case.stored)
    shown = shown_of(case.app.metadata.name, number, spec, content, configuration.digests)
    return Choice(Target(number, digest, shown, content), waits, resolution, configuration)


def _roll_back(case: Case, number: int) -> Choice | None:
    """A revision is its Deployment: image, model version and configuration come back with it, and nothing is asked."""
    owned = case.fleet.owned.get(number)
    if owned is None:
        return Choice(None, _unknown(case, number))
    gone = lost(case, owned.shown.config_maps)
    if gone and number != case.fleet.serving:
        said = f"revision {number} cannot come back: {', '.join(gone)}, its copy of a ConfigMap, was deleted"
        return Choice(None, Failed("ConfigurationGone", f"{said}; name another revision{case.meanwhile}"))
    resolution = _model_of(case, owned)
    if resolution is None:
        return None
    target = Target(number, owned.digest, owned.shown, content=None, held=True)
    return Choice(target, Passed("RolledBack", ""), resolution)


def _unknown(case: Case, number: int) -> Failed:
    kept = ", ".join(str(known) for known in sorted(case.fleet.owned)) or "none"
    return Failed(
        "RevisionNotFound",
        f"spec.rollback.toRevision is {number}, which is not kept (kept: {kept}; spec.revisionHistoryLimit is "
        f"{case.spec.revision_history_limit}); name one that is, or remove spec.rollback{case.meanwhile}",
    )


def _model_of(case: Case, owned: Owned) -> Resolution | None:
    """The registry is only asked where the alias has to follow what serves; a rollback does not wait for it."""
    model, wanted = owned.shown.model, case.spec.model
    if model is None or wanted is None:
        return Resolution()
    told = Passed("Resolved", f"revision {owned.number} has version {model.version} of model {model.name!r}")
    if wanted.promote_to is None:
        return Resolution(told, model)
    registered = case.draft.read(ModelNamed(model.name))
    return Resolution(told, model, registered) if registered is not None else None


def _invalid(case: Case) -> Failed | None:
    """What the CRD refuses; a resource from before it did is told so too."""
    spec = case.spec
    if spec.image is None and spec.model is None:
        return Failed("InvalidSpec", "give spec.image (an app), spec.model (a model server) or both")
    if spec.model is not None and (spec.model.alias is None) == (spec.model.version is None):
        return Failed("InvalidSpec", "spec.model needs exactly one of alias (followed) and version (pinned)")
    return None
