"""The alias moves last: when the version has the traffic, the registry is told that it serves."""

from __future__ import annotations

from tandem.api import names
from tandem.api.appdeployment_status import RevisionModel
from tandem.api.conditions import Outcome, Passed, Retrying, Working
from tandem.api.facts import RegisteredModel, Unavailable
from tandem.api.plan import MoveAlias, PromotionRecord
from tandem.apps.case import Case, refused, stamp
from tandem.apps.model import Resolution
from tandem.apps.revision import Target

PROMOTED = "Promoted"
MOVING_ALIAS = "MovingAlias"


def promote(case: Case, target: Target | None, resolution: Resolution) -> Outcome | None:
    """None where no alias is to be moved."""
    wanted = case.spec.model
    if wanted is None or wanted.promote_to is None:
        return None
    model, alias = resolution.model, wanted.promote_to
    if model is None and target is not None and target.held:
        return None  # rolled back to an app without a model
    if model is None and case.fleet.stable is not None:
        return Working("WaitsForModel", f"alias {alias!r} stays where it is until the model is resolved")
    if model is None or target is None or case.fleet.serving != target.number or case.fleet.stable is None:
        back = _take_back(case, target, alias, resolution)
        if back is not None:
            return back
        version = f"version {model.version}" if model else "a version"
        return Working("WaitsForTraffic", f"alias {alias!r} moves when {version} takes the traffic")
    return _move(case, model, alias, resolution.registered, _record(case, target, model))


def _take_back(case: Case, target: Target | None, alias: str, resolution: Resolution) -> Outcome | None:
    """A revision that failed after it had taken the traffic leaves the alias to the one that serves again.

    Nothing else moves it here: what the alias names may be somebody else's choice.
    """
    stable, known = case.fleet.stable, resolution.registered
    owned = case.fleet.owned.get(target.number) if target is not None else None
    if stable is None or owned is None or owned.verdict is None or isinstance(known, Unavailable | None):
        return None
    failed, serves = owned.shown.model, stable.shown.model
    if failed is None or serves is None or failed.name != serves.name or known.aliases.get(alias) != failed.version:
        return None
    if failed.version == serves.version:
        return None
    return _move(case, serves, alias, known, _record_of(case, stable.number, serves, "took the traffic back"))


def _record(case: Case, target: Target, model: RevisionModel) -> PromotionRecord:
    return _record_of(case, target.number, model, "was rolled back to" if target.held else "took the traffic")


def _record_of(case: Case, number: int, model: RevisionModel, why: str) -> PromotionRecord:
    """What the promotion ledger says of it (docs/design/promotions.md)."""
    meta = case.app.metadata
    return PromotionRecord(
        actor=f"{names.APP_DEPLOYMENT} {meta.namespace}/{meta.name}",
        uid=meta.uid,
        number=number,
        reason=f"revision {number} with version {model.version} {why}",
    )


def _move(
    case: Case,
    model: RevisionModel,
    alias: str,
    known: RegisteredModel | Unavailable | None,
    record: PromotionRecord,
) -> Outcome:
    if known is None or isinstance(known, Unavailable):
        away = f"waiting for MLflow since {stamp(known.since)}: {known.message}" if known else "waiting for MLflow"
        return Retrying(known.reason if known else "TrackingUnavailable", f"alias {alias!r} cannot be moved; {away}")
    current = known.aliases.get(alias)
    if current == model.version:
        return Passed("AliasMoved", f"alias {alias!r} names version {model.version}, which serves")
    if case.spec.suspend:
        return Working("Suspended", f"alias {alias!r} moves to version {model.version} when spec.suspend is false")
    action = MoveAlias(case.app.metadata.namespace, model.name, alias, model.version, current, record)
    refusal = case.draft.act(action)
    if refusal is not None:
        return refused(refusal, f"alias {alias!r} cannot be moved to version {model.version}, which serves")
    return Working(MOVING_ALIAS, f"alias {alias!r} moves to version {model.version}")
