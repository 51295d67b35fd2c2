"""The status of an AppDeployment: what serves, what is about to, what did, and what a person has to know."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

import msgspec

from tandem.api.appdeployment_status import AppDeploymentStatus, RevisionRecord, RevisionStatus
from tandem.api.conditions import Awaiting, Failed, Outcome, Passed, Undecided, summarise, waiting_since
from tandem.apps import credit
from tandem.apps.analysis import analysis_status
from tandem.apps.case import Case
from tandem.apps.decisions import decided
from tandem.apps.delivery import delivered
from tandem.apps.image import image_digest, other_digests
from tandem.apps.manifest import selector
from tandem.apps.pods import record_of
from tandem.apps.quarantine import standing
from tandem.apps.revision import Owned, Shown, Target
from tandem.apps.steps import approval_of
from tandem.apps.traffic import percent_of, preview_of

ROLLED_OUT: Final = "RolledOut"
AVAILABLE: Final = "Available"

# What a rollout may wait for other than pods: each message says since when, and what moves it.
WAITS: Final = frozenset(
    {"AwaitingApproval", "Paused", "StepPaused", "Frozen", "AnalysisRunning", "AnalysisInconclusive", "Watching"}
)

RECORDS: Final = 64  # as many as the CRD takes


def available(case: Case) -> Outcome:
    """Whether users are served, by whatever good revision."""
    stable = case.fleet.stable
    if stable is None:
        return Failed("NothingServes", "no revision has taken the traffic yet")
    if case.spec.replicas == 0:
        return Passed("ScaledToZero", "spec.replicas is 0: nothing is meant to serve")
    if stable.available > 0:
        return Passed("Serving", f"revision {stable.number} ({stable.shown}) serves")
    return Failed("NoPodAvailable", f"revision {stable.number} has the traffic, and none of its pods is available")


def status_of(
    case: Case, target: Target | None, leaving: Mapping[int, datetime], outcomes: Mapping[str, Outcome]
) -> AppDeploymentStatus:
    meta, fleet, stable = case.app.metadata, case.fleet, case.fleet.stable
    told = AppDeploymentStatus(
        observed_generation=meta.generation,
        phase=_phase(case, outcomes),
        conditions=summarise(outcomes, case.stored.conditions, meta.generation, case.now, _settled(case, outcomes)),
        stable=_stable(case, target),
        candidate=_candidate(case, target),
        approval=approval_of(case, fleet.owned.get(target.number) if target else None, outcomes[ROLLED_OUT]),
        revisions=_records(case, target, leaving),
        url=f"http://{meta.name}.{meta.namespace}.svc.{case.settings.domain}" if fleet.service else "",
        preview_url=_preview_url(case),
        analysis=analysis_status(case),
        explain=_explained(outcomes[ROLLED_OUT]),
        replicas=stable.deployment.status.replicas if stable else 0,
        selector=_text(selector(case, fleet.serving)) if fleet.serving is not None else "",
    )
    return msgspec.structs.replace(
        told,
        delivery=delivered(case, told),
        decisions=decided(case, told),
        seen=credit.seen(case),
        waiting_since=waiting_since(case.stored.conditions, case.stored.waiting_since, told.conditions, case.now),
    )


def _preview_url(case: Case) -> str:
    preview, domain = preview_of(case), case.settings.domain
    return f"http://{preview.metadata.name}.{preview.metadata.namespace}.svc.{domain}" if preview else ""


def _explained(rolled_out: Outcome) -> str:
    """What a rollout waits for, where it waits for a person or the clock."""
    return rolled_out.message if rolled_out.reason in WAITS else ""


def _settled(case: Case, outcomes: Mapping[str, Outcome]) -> Passed:
    """What Ready says when no step stands in its way."""
    rolled_out = outcomes[ROLLED_OUT]
    if isinstance(rolled_out, Undecided) or rolled_out.reason == "RolledBack":
        return Passed(rolled_out.reason, rolled_out.message)
    return Passed("Serving", rolled_out.message)


def _phase(case: Case, outcomes: Mapping[str, Outcome]) -> Literal["Paused", "Degraded", "Progressing", "Healthy"]:
    """Argo Rollouts' words."""
    failed = any(isinstance(outcome, Failed) for name, outcome in outcomes.items() if name != AVAILABLE)
    down = case.fleet.stable is not None and isinstance(outcomes[AVAILABLE], Failed)
    if case.spec.suspend or isinstance(outcomes[ROLLED_OUT], Awaiting):
        return "Paused"
    if failed or down:
        return "Degraded"
    settled = all(isinstance(outcome, (Passed, Undecided)) for outcome in outcomes.values())
    return "Healthy" if settled else "Progressing"


def _stable(case: Case, target: Target | None) -> RevisionStatus | None:
    stable = case.fleet.stable
    if stable is not None:
        return _told(case, stable.number, stable.digest, stable.shown, stable)
    if target is not None and target.number == case.fleet.serving:  # its Deployment is created again
        return _told(case, target.number, target.digest, target.shown, None)
    return None


def _candidate(case: Case, target: Target | None) -> RevisionStatus | None:
    """What is being tried; a revision that failed is no candidate any more."""
    if target is None:
        before = case.stored.candidate
        owned = case.fleet.owned.get(before.revision) if before is not None else None
        kept = owned is not None and owned.number != case.fleet.serving and standing(case, owned) is None
        return before if kept else None
    if target.number == case.fleet.serving:
        return None
    owned = case.fleet.owned.get(target.number)
    if owned is None and case.spec.suspend:
        return None
    if owned is not None and standing(case, owned) is not None:
        return None
    told = _told(case, target.number, target.digest, target.shown, owned)
    percent = percent_of(case, owned) if owned is not None else None
    return told if percent is None else msgspec.structs.replace(told, traffic_percent=percent)


def _told(case: Case, number: int, digest: str, shown: Shown, owned: Owned | None) -> RevisionStatus:
    return RevisionStatus(
        revision=number,
        digest=digest,
        image=shown.image,
        image_digest=image_digest(case, number, digest, owned),
        model=shown.model,
        commit=shown.commit,
        config_maps=shown.config_maps,
        secrets=shown.secrets,
    )


def _records(case: Case, target: Target | None, leaving: Mapping[int, datetime]) -> tuple[RevisionRecord, ...]:
    shown = {number: (owned.digest, owned.shown) for number, owned in case.fleet.owned.items()}
    starts = target is not None and (not case.spec.suspend or target.number == case.fleet.serving)
    if target is not None and starts:
        shown.setdefault(target.number, (target.digest, target.shown))
    records = [_record(case, target, leaving, number, *of) for number, of in sorted(shown.items(), reverse=True)]
    return tuple(records[:RECORDS])


def _record(
    case: Case, target: Target | None, leaving: Mapping[int, datetime], number: int, digest: str, shown: Shown
) -> RevisionRecord:
    state, reason = _state(case, target, number)
    owned = case.fleet.owned.get(number)
    ran = image_digest(case, number, digest, owned)
    return RevisionRecord(
        revision=number,
        digest=digest,
        image=shown.image,
        image_digest=ran,
        other_image_digests=other_digests(case, owned, ran) if owned is not None else (),
        model=shown.model,
        commit=shown.commit,
        config_maps=shown.config_maps,
        secrets=shown.secrets,
        state=state,
        reason=reason,
        retire_at=leaving.get(number) if state in {"Retired", "Failed"} else None,
    )


def _state(
    case: Case, target: Target | None, number: int
) -> tuple[Literal["Stable", "Candidate", "Retired", "Failed"], str]:
    if number == case.fleet.serving:
        return "Stable", ""
    owned = case.fleet.owned.get(number)
    wanted = target is not None and target.number == number
    verdict = owned.verdict if owned else None
    if owned is not None and wanted:
        verdict = standing(case, owned)
    if verdict is not None:
        return "Failed", verdict.reason
    before = record_of(case, number)
    held = target is None and before is not None and before.state == "Candidate"
    return ("Candidate" if wanted or held else "Retired"), ""


def _text(labels: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))
