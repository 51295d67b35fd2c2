"""Step, the last of all: the alias moves to the version that passed, and the promotion ledger says why.

The ledger (docs/design/promotions.md) is what knows whether a run was promoted: its entry is written before the alias
moves and closed afterwards. So a crash leaves no move untold, and an alias that somebody moved on later stays there,
also when the status was lost.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from tandem.api import names
from tandem.api.conditions import Outcome, Passed, Undecided
from tandem.api.facts import ModelNamed, ModelVersion, Promotion, PromotionsOf, Unavailable, VersionNumbered
from tandem.api.plan import MoveAlias, PromotionRecord, Refusal, TagVersion
from tandem.api.trainingjob import ModelTarget
from tandem.api.trainingjob_status import PromotionStatus
from tandem.training.approval import announce, decide, thank
from tandem.training.case import PROMOTED, Case, refused, unavailable
from tandem.training.findings import Findings
from tandem.training.gate import gate_tags
from tandem.training.provenance import lineage_tags

# Of the ledger's entries on this model, so many are shown; MLflow keeps all.
SHOWN = 10
_REASON_LIMIT = 500


def promote(case: Case, found: Findings, target: ModelTarget) -> tuple[Outcome | None, Findings]:
    registered = found.model
    assert registered is not None
    if not any(verdict.passed for verdict in found.gate):
        reason, why = ("NoBaseline", "compares with nothing") if found.gate else ("NoThresholds", "has no thresholds")
        return Undecided(reason, f"alias {target.alias} stays: the gate {why}"), found
    recorded = case.recorded(PROMOTED, found.run)
    if recorded and (registered.name, registered.alias) == (target.name, target.alias):
        return Passed(recorded.reason, recorded.message), found
    meta, version = case.resource.metadata, registered.version
    model = case.draft.read(ModelNamed(target.name))
    ledger = case.draft.read(PromotionsOf(target.name, meta.uid, found.run.number))
    query = VersionNumbered(target.name, version)
    tagged = case.draft.read(query)
    for fact in (model, ledger, tagged):
        if isinstance(fact, Unavailable):
            return unavailable(fact, f"alias {target.alias} moves when MLflow answers"), found
    if model is None or ledger is None or not case.observed.facts.answered(query):
        return None, found
    assert not isinstance(model, Unavailable)
    assert not isinstance(ledger, Unavailable)
    current = model.aliases.get(target.alias)
    done = _promoted(case, found, target, ledger)
    held, decided = decide(case, found, target)
    if held is None:
        thank(case, found, decided)
        found = decided
    if done:
        found = replace(
            found,
            model=msgspec.structs.replace(registered, alias=target.alias),
            promotions=tuple(_shown(entry) for entry in ledger if entry.state == "Done")[:SHOWN],
        )
        return Passed("AliasMoved", _told(target, version)), found
    if held is not None and current != version:  # what a person has moved there by hand needs no further word
        announce(case, found, decided, held)
        return held, decided
    refusal = _tag(case, found, tagged) if isinstance(tagged, ModelVersion) else None
    if refusal is not None:
        return refused(refusal, f"version {version} could not be tagged with the gate's verdicts"), found
    refusal = case.draft.act(
        MoveAlias(meta.namespace, target.name, target.alias, version, expected=current, record=_record(case, found))
    )
    return (refused(refusal, f"alias {target.alias} could not be moved") if refusal else None), found


def _promoted(case: Case, found: Findings, target: ModelTarget, ledger: tuple[Promotion, ...]) -> bool:
    """Whether the ledger says that this run was promoted to this alias."""
    assert found.model is not None
    mine = (case.resource.metadata.uid, found.run.number, target.alias, found.model.version, "Done")
    return any((e.uid, e.number, e.alias, e.version, e.state) == mine for e in ledger)


def _told(target: ModelTarget, version: str) -> str:
    """What happened, not what is: where the alias is by now may have been read before the ledger was."""
    return f"models:/{target.name}@{target.alias} was moved to version {version}"


def _tag(case: Case, found: Findings, version: ModelVersion) -> Refusal | None:
    """The version may have been registered before these verdicts were given: by a gate that had no thresholds."""
    tags = gate_tags(found.gate)
    text = tags.pop(names.TAG_GATE)
    stale = {name: value for name, value in tags.items() if version.tags.get(name) != value}
    if not stale:
        return None
    namespace = case.resource.metadata.namespace
    return case.draft.act(TagVersion(namespace, version.name, version.version, {**stale, names.TAG_GATE: text}))


def _record(case: Case, found: Findings) -> PromotionRecord:
    meta, run, approval = case.resource.metadata, found.run, found.approval
    why = f"run {run.number} ({run.trigger.type}: {run.trigger.message}) passed the gate"
    details = {names.TAG_RUN_ID: run.mlflow_run_id, **gate_tags(found.gate), **lineage_tags(found)}
    if approval is not None and approval.state == "Approved" and approval.last_transition_time:
        details[names.PROMOTION_APPROVED_BY] = approval.by or "not told"
        details[names.PROMOTION_APPROVED_AT] = approval.last_transition_time.isoformat()
    return PromotionRecord(
        actor=f"{names.TRAINING_JOB} {meta.namespace}/{meta.name}",
        uid=meta.uid,
        number=run.number,
        reason=why[:_REASON_LIMIT],
        details=details,
    )


def _shown(entry: Promotion) -> PromotionStatus:
    return PromotionStatus(
        alias=entry.alias,
        version=entry.version,
        promotion_time=entry.at.replace(microsecond=0),
        previous_version=entry.previous,
        actor=entry.actor,
        reason=entry.reason,
        approved_by=entry.approved_by,
        mlflow_run_id=entry.entry_id,
    )
