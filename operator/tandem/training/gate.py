"""Step: the gate. A model passes when every rule says yes; anything that is not a clear yes is a no.

A gate without thresholds has no verdict, and nothing is promoted (tfx#5148: users forget them); nor has one that asks
for changes only, while there is no baseline. The verdicts are written to the MLflow run before anything follows them.
"""

from __future__ import annotations

from dataclasses import replace

import msgspec

from tandem.api import names
from tandem.api.conditions import Failed, Outcome, Passed, Undecided
from tandem.api.facts import TrackedRun, Unavailable
from tandem.api.plan import EndRun, TagRun
from tandem.api.trainingjob_status import GateVerdict
from tandem.training import attempts
from tandem.training.baseline import baseline_of, changes, moved
from tandem.training.case import PROMOTED, Case, refused, unavailable
from tandem.training.change import FAILED, PASSED, SKIPPED, UNKNOWN, BaselineFound, OwnVersion
from tandem.training.findings import Findings
from tandem.training.numbers import number
from tandem.training.provenance import lineage_tags, with_recorded_data
from tandem.training.rules import metrics_of, rules_of, verdicts
from tandem.training.track import tracked_run

BLESSED = "Blessed"

# A script may log thousands; MLflow keeps them all.
METRICS_LIMIT = 100
_TEXT_LIMIT = 5000  # of the tag that is for people; MLflow takes 8,000 characters


def judge(case: Case, found: Findings) -> tuple[Outcome | None, Findings]:
    recorded = case.recorded(BLESSED, found.run)
    kept = recorded is not None and not rules_differ(case)
    if recorded and kept and (not changes(case) or case.recorded(PROMOTED, found.run)):
        return Passed(recorded.reason, recorded.message), found
    tracked = logged(case, found)
    if not isinstance(tracked, TrackedRun):
        return tracked, found
    found = replace(with_recorded_data(found, case.spec, tracked), tracked=tracked)
    mine = judged(case, found, tracked)
    if not isinstance(mine, TrackedRun):
        return mine, found
    baseline = baseline_of(case, found)
    match baseline:
        case None:
            return None, found
        case Unavailable():
            return unavailable(baseline, "the gate needs the metrics of the version that serves"), found
    if recorded and kept and not moved(found.gate, baseline):
        return Passed(recorded.reason, recorded.message), found
    found = replace(found, metrics=_shown(case, mine), gate=_given(case, mine, baseline))
    tags = {**lineage_tags(found), **gate_tags(found.gate), **attempts.tags(found.run), names.TAG_TRAINED: "true"}
    missing = {name: value for name, value in tags.items() if tracked.tags.get(name) != value}
    if missing:
        refusal = case.draft.act(TagRun(tracked.run_id, missing))
        return (refused(refusal, "the run's lineage could not be written to MLflow") if refusal else None), found
    return outcome(found.gate, mine), found


def logged(case: Case, found: Findings) -> TrackedRun | Outcome | None:
    """The run as it ended, with all that it logged; or what is in the way."""
    tracked = tracked_run(case, found.run, "trained")
    match tracked:
        case None:
            return None
        case Unavailable():
            return unavailable(tracked, "the gate needs the run's metrics")
    if tracked.status == "DELETED":
        told = f"MLflow run {found.run.mlflow_run_id} was deleted: there is nothing to judge; ask for another run"
        return Failed("RunDeleted", told)
    if tracked.status in {"FAILED", "KILLED"} and attempts.ended_by_it(found.run, tracked):
        told = (
            f"every step exited 0, and yet MLflow run {tracked.run_id} is {tracked.status}: an error, or sys.exit(), "
            "left `with mlflow.start_run()`; let errors end the script, call sys.exit() outside, ask for another run"
        )
        return Failed("RunFailed", told)
    if tracked.status == "RUNNING":  # the script left it open; MLflow lists its models when it is closed
        refusal = case.draft.act(EndRun(tracked.run_id, "FINISHED"))
        return refused(refusal, "the run could not be closed in MLflow") if refusal else None
    return tracked


def judged(case: Case, found: Findings, tracked: TrackedRun) -> TrackedRun | Outcome | None:
    """The run with the metrics and models of the attempt that succeeded alone."""
    question = attempts.question(found.run, tracked, metrics_of(case.spec.gate))
    if question is None:
        return attempts.own(found.run, tracked)
    since = case.draft.read(question)
    if isinstance(since, Unavailable):
        return unavailable(since, "the gate needs the metrics of the last attempt")
    return None if since is None else attempts.own(found.run, tracked, since)


def rules_differ(case: Case) -> bool:
    """Whether the recorded verdicts were given by other rules than the gate has now."""
    return {(verdict.metric, verdict.rule) for verdict in case.status.gate} != rules_of(case.spec.gate)


def outcome(given: tuple[GateVerdict, ...], tracked: TrackedRun) -> Outcome:
    if not given:
        return Undecided("NoThresholds", "spec.gate.metrics is empty: there is no verdict, and nothing is promoted")
    failures = [verdict for verdict in given if verdict.result == FAILED]
    open_ = [verdict for verdict in given if verdict.result == UNKNOWN]
    told = "; ".join(verdict.message for verdict in (*failures, *open_))
    if any(not verdict.value for verdict in failures):
        logged = ", ".join(sorted(tracked.metrics)) or "none"
        advice = "log it, or change spec.gate, which judges this run again"
        return Failed("MetricNotFound", f"{told}; metrics that the run logged: {logged}; {advice}")
    if failures:
        return Failed("ThresholdNotMet", told)
    if open_:
        return Failed("VerdictUnknown", f"{told}; what nobody can say is not promoted")
    if not any(verdict.passed for verdict in given):
        advice = "add a min or a max, by which a first model can be judged, or set the alias by hand"
        return Undecided("NoBaseline", f"{given[0].message}: there is no verdict, and nothing is promoted; {advice}")
    return Passed("ThresholdsMet", "; ".join(_told(verdict) for verdict in given))


def gate_tags(given: tuple[GateVerdict, ...]) -> dict[str, str]:
    """The verdicts as tags of a run and of the version made from it: each rule's by itself, as the status has it."""
    results = {verdict.result for verdict in given} or {UNKNOWN}
    decisive = next(result for result in (FAILED, UNKNOWN, PASSED, SKIPPED) if result in results)
    text = "; ".join(_told(verdict) for verdict in given) or "no thresholds"
    return {
        names.TAG_GATE: text[:_TEXT_LIMIT],
        names.TAG_GATE_RESULT: UNKNOWN if decisive == SKIPPED else decisive,
        names.TAG_GATE_RULES: str(len(given)),
        **{
            f"{names.TAG_GATE}.{place:02d}": msgspec.json.encode(verdict).decode()
            for place, verdict in enumerate(given, start=1)
        },
    }


def _given(case: Case, tracked: TrackedRun, baseline: BaselineFound) -> tuple[GateVerdict, ...]:
    """The verdicts; those that the run carries, if it was promoted by them and is now the baseline itself."""
    if isinstance(baseline, OwnVersion):
        before = _verdicts_in(tracked)
        if {(verdict.metric, verdict.rule) for verdict in before} == rules_of(case.spec.gate):
            return before
    return verdicts(case.spec.gate, tracked.metrics, baseline)


def _verdicts_in(tracked: TrackedRun) -> tuple[GateVerdict, ...]:
    count = tracked.tags.get(names.TAG_GATE_RULES, "")
    texts = [
        tracked.tags.get(f"{names.TAG_GATE}.{n + 1:02d}", "") for n in range(int(count) if count.isdecimal() else 0)
    ]
    try:
        return tuple(msgspec.json.decode(text, type=GateVerdict) for text in texts)
    except msgspec.DecodeError:
        return ()


def _told(verdict: GateVerdict) -> str:
    return f"{verdict.metric} {verdict.value} {verdict.rule}" + (
        f" (baseline {verdict.baseline})" if verdict.baseline else ""
    )


def _shown(case: Case, tracked: TrackedRun) -> tuple[tuple[str, str], ...]:
    """What the status shows of the metrics: those of the gate, and as many others as keep it small."""
    asked = sorted(metric for metric, _ in rules_of(case.spec.gate) if metric in tracked.metrics)
    chosen = list(dict.fromkeys([*asked, *sorted(tracked.metrics)]))[:METRICS_LIMIT]
    return tuple((name, number(tracked.metrics[name])) for name in sorted(chosen))
