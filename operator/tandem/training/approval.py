"""A person's word before an alias moves (``model.approval: Required``): an annotation that names the run.

It names the run by its MLflow id: an approval that was meant for one model never lets another one through, neither a
later run nor the first run of a resource made anew from the same manifest. Annotations are what GitOps tools either
leave alone or apply, so that a person with kubectl and a merged commit approve in the same way. Whether who writes the
annotation may do so is the API server's to decide: manifests/components/approval.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, Literal, TypeAlias

import msgspec

from tandem.api import names
from tandem.api.conditions import Awaiting, Failed, Outcome, shortened
from tandem.api.meta import condition_of
from tandem.api.plan import Emit
from tandem.api.trainingjob import ModelTarget
from tandem.api.trainingjob_status import ApprovalStatus, RunStatus
from tandem.training.case import PROMOTED, Case
from tandem.training.findings import Findings

AWAITING: Final = "AwaitingApproval"
REJECTED: Final = "ApprovalRejected"

_State: TypeAlias = Literal["Awaiting", "Approved", "Rejected"]
_NAME_LIMIT: Final = 253
_WHY_LIMIT: Final = 1024


def decide(case: Case, found: Findings, target: ModelTarget) -> tuple[Outcome | None, Findings]:
    """What holds the alias back, or None; and the decision, with the time in which the operator first saw it."""
    assert found.model is not None
    state = _state(case, found.run, target)
    if state is None:
        return None, replace(found, approval=None)
    by = "" if state == "Awaiting" else _annotation(case, names.DECIDED_BY_ANNOTATION)[:_NAME_LIMIT]
    why = "" if state == "Awaiting" else _annotation(case, names.DECIDED_BECAUSE_ANNOTATION)[:_WHY_LIMIT]
    decided = ApprovalStatus(
        model=found.model.name, alias=target.alias, mlflow_run_id=found.run.mlflow_run_id, state=state, by=by, why=why
    )
    known = found.approval is not None and decided == msgspec.structs.replace(found.approval, last_transition_time=None)
    since = found.approval.last_transition_time if found.approval and known else case.now.replace(microsecond=0)
    found = replace(found, approval=msgspec.structs.replace(decided, last_transition_time=since))
    match state:
        case "Approved":
            return None, found
        case "Rejected":
            who = (f" by {by}" if by else "") + (f" ({why})" if why else "")
            said = shortened(f"run {found.run.number} was rejected{who}: alias {target.alias} stays")
            return Failed(REJECTED, said), found
    return Awaiting(AWAITING, _question(case, found, target)), found


def announce(case: Case, before: Findings, after: Findings, held: Outcome) -> None:
    """An Event calls for the person, once. (What was rejected has failed, which has its own.)"""
    if isinstance(held, Awaiting) and before.approval != after.approval:
        case.draft.events.append(Emit("Normal", held.reason, shortened(held.message)))


def thank(case: Case, before: Findings, after: Findings) -> None:
    """Who has approved what was waited for, once."""
    was, now = before.approval, after.approval
    if was is not None and now is not None and (was.state, now.state) == ("Awaiting", "Approved"):
        by = (f" by {now.by}" if now.by else "") + (f": {now.why}" if now.why else "")
        said = f"run {after.run.number} was approved{by}; alias {now.alias} of {now.model} moves"
        case.draft.events.append(Emit("Normal", "PromotionApproved", shortened(said)))


def held(case: Case, run: RunStatus) -> bool:
    """Whether the status says that this run waits for a person, or was rejected by one."""
    stored, told = case.status.run, condition_of(case.status.conditions, PROMOTED)
    same = stored is not None and stored.number == run.number
    return same and told is not None and told.reason in {AWAITING, REJECTED}


def news(case: Case, run: RunStatus, target: ModelTarget) -> bool:
    """Whether something else holds now than what the status says of the decision."""
    told = case.status.approval
    state = _state(case, run, target)
    if told is None or state is None:
        return True
    return (told.model, told.alias, told.mlflow_run_id, told.state) != (
        target.name,
        target.alias,
        run.mlflow_run_id,
        state,
    )


def _state(case: Case, run: RunStatus, target: ModelTarget) -> _State | None:
    """None where nobody has to be asked. Of two words the careful one counts, and it counts in any case."""
    run_id = run.mlflow_run_id
    if run_id and _annotation(case, names.REJECTED_ANNOTATION) == run_id:
        return "Rejected"
    if target.approval == "Automatic":
        return None
    return "Approved" if run_id and _annotation(case, names.APPROVED_ANNOTATION) == run_id else "Awaiting"


def _annotation(case: Case, name: str) -> str:
    return case.resource.metadata.annotations.get(name, "")


def _question(case: Case, found: Findings, target: ModelTarget) -> str:
    meta, run = case.resource.metadata, found.run
    version = found.model.version if found.model else ""
    command = f"kubectl tandem approve tj/{meta.name} -n {meta.namespace}"
    # By that name, because Flux takes back what kubectl… has written (docs/gitops.md).
    by_hand = f"kubectl annotate trainingjob/{meta.name} -n {meta.namespace} --overwrite"
    other = _annotation(case, names.APPROVED_ANNOTATION)
    return (
        f"version {version} of run {run.number} passed the gate; alias {target.alias} moves when a person approves: "
        f"{command} (or reject); without it, {by_hand} {names.APPROVED_ANNOTATION}={run.mlflow_run_id} "
        f"(or {names.REJECTED_ANNOTATION}=…) --field-manager=tandem-cli"
        + (f"; what is approved now is another run, {other[:64]}" if other else "")
    )
