"""The step machine of a candidate, beside a revision that serves.

::

    Step 0 ──passed──► Step 1 ──► … ──► Promotion ──passed──► Switch ──all its pods ready──► it serves
      │                                     │                    ▲
      └───── failed, aborted ───────────────┴──► set aside       └── a person promotes it, from anywhere

At each place: pods, then the division of the traffic, then (``reached``) judgement, pause, approval, freeze. What is
reached is written on the candidate's Deployment in one write with its pods, so a crash finds the same place again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from tandem.api.appdeployment import RolloutStep
from tandem.api.appdeployment_status import RolloutApproval
from tandem.api.conditions import Awaiting, Outcome, Working
from tandem.apps import credit, people, traffic
from tandem.apps.analysis import Judgement, analyse
from tandem.apps.case import Case, refused, stamp
from tandem.apps.freeze import freeze
from tandem.apps.health import crash, unready
from tandem.apps.note import Note
from tandem.apps.pods import keep, progress, record_of
from tandem.apps.quarantine import judge, verdict_on
from tandem.apps.revision import Owned, Verdict
from tandem.apps.route import by_weight, weight
from tandem.apps.setback import set_aside
from tandem.apps.strategy import pods_for, steps_of

AWAITING = "AwaitingApproval"


@dataclass(frozen=True)
class Place:
    """Where a candidate is. ``note`` is None where it takes everything at once and nothing holds it."""

    course: tuple[RolloutStep, ...]
    note: Note | None
    pods: int

    @property
    def step(self) -> RolloutStep | None:
        """The step whose share of the traffic it has."""
        if self.note is None or self.note.phase == "Switch" or not self.course:
            return None
        return self.course[self.note.step if self.note.phase == "Step" else -1]


def first(case: Case, *, at_once: bool) -> Place:
    """Where a new candidate begins; ``at_once``: a rollback, which skips all of it."""
    course = () if at_once else _course(case)
    return _place(case, course, Note(phase="Step", step=0, since=case.second) if course else None)


def walk(case: Case, owned: Owned, revision: str, *, at_once: bool) -> Outcome:
    place = _promoted(case, owned, _present(case, owned, at_once=at_once))
    sick = _ailing(case, owned, place.note)
    if sick is not None:
        return set_aside(case, owned, sick)
    if not owned.ready(place.pods):
        return _wait(case, owned, place)
    if place.note is None and not at_once and _is_held(case, owned.number):
        place = _place(case, place.course, Note(phase="Promotion", since=case.second))
    note = place.note
    if note is None or note.phase == "Switch":
        stays = _stays(case, owned, place, note, revision) if note is not None else None
        kept = (_kept(case, owned, place) or stays) if stays is not None else None
        return kept or _switch(case, owned, place, revision, undoable=not at_once)
    exposed = msgspec.structs.replace(note, exposed=_exposed(case, note) or case.second)
    waits = _divided(case, owned, place, revision)
    if waits is not None:
        begins = waits.reason == traffic.DIVIDING
        return _kept(case, owned, _place(case, place.course, exposed) if begins else place) or waits
    if note.reached is None:
        reached = _place(case, place.course, msgspec.structs.replace(exposed, reached=case.second))
        return _kept(case, owned, reached) or Working("StepReached", f"{_where(place)} of {revision} is reached")
    held = _held(case, owned, place, note, revision)
    if isinstance(held, Verdict):
        return set_aside(case, owned, held)
    if held is not None:
        return _kept(case, owned, place) or held
    return _go_on(case, owned, place, note, revision)


def failed(case: Case, owned: Owned) -> Verdict | None:
    """As ``walk`` would find it, where nothing may go on: what nobody can say fails nobody.

    Of one without traffic no time runs out meanwhile: it costs nobody anything, and may be wanted no more.
    """
    place, note = _present(case, owned, at_once=False), owned.note
    verdict = _ailing(case, owned, place.note)
    if verdict is None and traffic.shares(case) and not owned.ready(owned.replicas):  # it gets no others now
        verdict = _late(case, owned, place.note)
    if verdict is not None or note is None or note.reached is None:
        return verdict
    judged = _judgement(case, owned, note)
    return _judged_bad(case, owned, place, judged) if judged.phase == "Failed" else None


def approval_of(case: Case, owned: Owned | None, rolled_out: Outcome) -> RolloutApproval | None:
    """The step that a person has to approve, or has approved last."""
    before = case.stored.approval
    if owned is not None and owned.note is not None and rolled_out.reason == AWAITING:
        asked = RolloutApproval(revision=owned.number, step=owned.note.name, state="Awaiting")
        same = before is not None and before == msgspec.structs.replace(
            asked, last_transition_time=before.last_transition_time
        )
        return before if same else msgspec.structs.replace(asked, last_transition_time=case.second)
    told = (before.revision, before.step, before.state) if before is not None else None
    step = _approved_here(case, owned)
    if owned is not None and step and told != (owned.number, step, "Approved"):
        return _approval(case, owned.number, step)
    if before is None or record_of(case, before.revision) is None:
        return None
    if before.state == "Awaiting" and people.approved(case, before.revision, before.step):
        return _approval(case, before.revision, before.step)
    return before if before.state == "Approved" else None


def _approval(case: Case, number: int, step: str) -> RolloutApproval:
    by = credit.speaker(case, "Approved", number, step).who
    return RolloutApproval(revision=number, step=step, state="Approved", last_transition_time=case.second, by=by)


def _approved_here(case: Case, owned: Owned | None) -> str:
    """The step that it is at, if a person has to approve it and has: maybe before it came to wait for that."""
    place = _present(case, owned, at_once=False) if owned is not None else None
    if owned is None or place is None or place.note is None or place.note.reached is None:
        return ""
    name = place.note.name
    return name if _asks(case, place, place.note) and people.approved(case, owned.number, name) else ""


def _course(case: Case) -> tuple[RolloutStep, ...]:
    """Without anything that serves there is nothing to share, and no pods have no share."""
    return steps_of(case.spec.rollout) if case.fleet.stable is not None and case.spec.replicas > 0 else ()


def _place(case: Case, course: tuple[RolloutStep, ...], note: Note | None) -> Place:
    place = Place(course, note, case.spec.replicas)
    if place.step is None:
        return place
    pods = pods_for(place.step.traffic_percent, case.spec.replicas, by_weight=by_weight(case))
    return Place(course, note, pods)


def _present(case: Case, owned: Owned, *, at_once: bool) -> Place:
    """Where its note says that it is, as far as there is such a place in the spec as it is now."""
    place, note = first(case, at_once=at_once), owned.note
    if at_once or note is None:
        return place
    if note.phase == "Step" and note.step >= len(place.course):
        note = Note(phase="Promotion", since=note.since, exposed=_exposed(case, note))
    return _place(case, place.course, note)


def _promoted(case: Case, owned: Owned, place: Place) -> Place:
    note = place.note
    if note is not None and note.phase != "Switch" and people.wants_promotion(case, owned.number):
        return _place(case, place.course, Note(phase="Switch", since=case.second, exposed=_exposed(case, note)))
    return place


def _is_held(case: Case, number: int) -> bool:
    """Whether anything can stand between pods that are ready and all of the traffic."""
    rollout = case.spec.rollout
    if people.wants_promotion(case, number):
        return False
    held = rollout.approval == "Required" or bool(rollout.analysis) or people.wants_pause(case, number)
    return held or freeze(case, "it") is not None


def _divided(case: Case, owned: Owned, place: Place, revision: str) -> Outcome | None:
    """None: the traffic is divided as the place asks for."""
    if place.step is None:
        # Held before a switch: testers may come by their header.
        testers = by_weight(case) and case.spec.rollout.test_header is not None and case.fleet.stable is not None
        return traffic.divide(case, owned, 0) if testers else None
    percent = place.step.traffic_percent
    frozen = freeze(case, revision) if percent and not _begun(case, owned, percent) else None
    return frozen or traffic.divide(case, owned, percent)


def _begun(case: Case, owned: Owned, percent: int) -> bool:
    """Whether it has this share of the traffic already: what is there stays, also in a freeze."""
    has_it = weight(case) >= percent if by_weight(case) else case.fleet.shared
    return has_it or (owned.note is not None and owned.note.reached is not None)


def _exposed(case: Case, note: Note) -> datetime | None:
    """Also of a note from before it was written down: from the second step on a candidate has had traffic all along."""
    had_share = (note.phase != "Step" or note.step > 0) and traffic.shares(case)
    return note.exposed or note.reached or (note.since if had_share else None)


def _ailing(case: Case, owned: Owned, note: Note | None) -> Verdict | None:
    """Whether it goes on, grows or takes everything next: no step forgives what a candidate did to requests before."""
    since = _exposed(case, note) if note is not None else None
    sick = crash(case, owned, since) if since is not None else None
    return _sick(case, owned, sick.reason, sick.message) if sick is not None else None


def _wait(case: Case, owned: Owned, place: Place) -> Outcome:
    verdict = _late(case, owned, place.note)
    if verdict is not None:
        return set_aside(case, owned, verdict)
    refusal = keep(case, owned, place.pods, _started_at(case, owned), note=place.note)
    if refusal is not None:
        return refused(refusal, f"revision {owned.number} cannot be scaled{case.meanwhile}")
    reason, message = progress(case, owned, place.pods, "Progressing")
    patience = f"it is set aside after {case.spec.progress_deadline_seconds} seconds without progress"
    return Working(reason, f"{message}{case.meanwhile}; {patience}")


def _late(case: Case, owned: Owned, note: Note | None) -> Verdict | None:
    """Of one whose pods are not ready: its time is over."""
    if note is None or note.reached is None:
        return judge(case, owned, note.since if note is not None else _started_at(case, owned))
    # It was ready: what counts is how long a pod has not been by now, not how long ago the step was entered.
    sick = unready(case, owned)
    return _sick(case, owned, sick.reason, sick.message) if sick else None


def _switch(case: Case, owned: Owned, place: Place, revision: str, *, undoable: bool) -> Outcome:
    """``undoable``: what serves now takes it back if this one fails. (A rollback is not rolled back.)"""
    before = case.fleet.serving if undoable else None
    refusal = keep(case, owned, place.pods, note=place.note) or traffic.send(case, owned.number, before)
    if refusal is not None:
        return refused(refusal, f"{revision} is ready, and the Service cannot be switched to it{case.meanwhile}")
    return Working("SwitchingTraffic", f"{revision} is ready; the Service switches to it")


def _held(case: Case, owned: Owned, place: Place, note: Note, revision: str) -> Verdict | Outcome | None:
    """What holds it at a place that it has reached; None: nothing."""
    assert note.reached is not None
    where, since = _where(place), f"since {stamp(note.reached)}"
    paused = _held_by_a_person(case, owned, place, note, revision)
    if paused is not None:
        return paused
    judged = _judgement(case, owned, note)
    match judged.phase:
        case "Failed":
            return _judged_bad(case, owned, place, judged)
        case "Running":
            said = f"{where} of {revision} is judged {since}: {judged.message}{case.meanwhile}"
            return Working("AnalysisRunning", f"{said}; {people.at_once(case)}")
        case "Inconclusive":
            said = f"{where} of {revision}, {since}: no verdict: {judged.message}{case.meanwhile}"
            on = f"it goes on with {people.command(case, 'promote')}, ends with {people.command(case, 'abort')}"
            return Awaiting(
                "AnalysisInconclusive", f"{said}; {on}, is judged again with {people.command(case, 'retry')}"
            )
        case "Successful":
            return _paused(case, owned, place, note, revision)


def _judgement(case: Case, owned: Owned, note: Note) -> Judgement:
    assert note.reached is not None
    return analyse(case, owned, f"step-{note.name}" if note.phase == "Step" else "promotion", note.reached)


def _judged_bad(case: Case, owned: Owned, place: Place, judged: Judgement) -> Verdict:
    return verdict_on(case, "AnalysisFailed", f"{_where(place)} of revision {owned.number}: {judged.message}")


def _stays(case: Case, owned: Owned, place: Place, note: Note, revision: str) -> Outcome | None:
    """What began while it grew for the switch; who promotes it passes both."""
    if people.wants_promotion(case, owned.number):
        return None
    return _held_by_a_person(case, owned, place, note, revision) or freeze(case, revision)


def _held_by_a_person(case: Case, owned: Owned, place: Place, note: Note, revision: str) -> Outcome | None:
    if not people.wants_pause(case, owned.number):
        return None
    since = f"since {stamp(note.reached or note.since)}"
    said = f"{_where(place)} of {revision} is held{credit.by(case, 'Paused', owned.number)} {since}{case.meanwhile}"
    return Awaiting("Paused", f"{said}. It goes on with: {people.command(case, 'resume')}")


def _paused(case: Case, owned: Owned, place: Place, note: Note, revision: str) -> Outcome | None:
    assert note.reached is not None
    pause = place.step.pause if note.phase == "Step" and place.step is not None else None
    where = _where(place)
    if pause is not None and pause.duration_seconds is not None:
        until = note.reached + timedelta(seconds=pause.duration_seconds)
        if until > case.now:
            case.draft.requeue(until - case.now)
            said = f"{where} of {revision} since {stamp(note.reached)} until {stamp(until)}{case.meanwhile}"
            return Working("StepPaused", f"{said}; {people.at_once(case)}")
    if _asks(case, place, note) and not people.approved(case, owned.number, note.name):
        waits = f"{where} of {revision} waits for a person since {stamp(note.reached)}{case.meanwhile}"
        return Awaiting(AWAITING, f"{waits}: {people.command(case, 'approve')} (or abort)")
    return freeze(case, revision)


def _asks(case: Case, place: Place, note: Note) -> bool:
    """Whether a person has to approve what is reached."""
    if note.phase == "Promotion":
        return case.spec.rollout.approval == "Required"
    pause = place.step.pause if note.phase == "Step" and place.step is not None else None
    return pause is not None and pause.duration_seconds is None


def _go_on(case: Case, owned: Owned, place: Place, note: Note, revision: str) -> Outcome:
    exposed = _exposed(case, note)
    following = Note(phase="Switch", since=case.second, exposed=exposed)
    if note.phase == "Step" and note.step + 1 < len(place.course):
        following = Note(phase="Step", step=note.step + 1, since=case.second, exposed=exposed)
    elif note.phase == "Step" and _is_held(case, owned.number):
        following = Note(phase="Promotion", since=case.second, exposed=exposed)
    further = _place(case, place.course, following)
    return _kept(case, owned, further) or Working("StepPassed", f"{_where(place)} of {revision} is passed")


def _kept(case: Case, owned: Owned, place: Place) -> Outcome | None:
    refusal = keep(case, owned, place.pods, note=place.note)
    return refused(refusal, f"revision {owned.number} cannot be scaled{case.meanwhile}") if refusal else None


def _sick(case: Case, owned: Owned, reason: str, message: str) -> Verdict:
    return verdict_on(case, reason, f"revision {owned.number} failed after it had been ready: {message}")


def _where(place: Place) -> str:
    note = place.note
    if note is None or note.phase != "Step" or place.step is None:
        return "the promotion"
    return f"step {note.step + 1} of {len(place.course)} ({place.step.traffic_percent} %)"


def _started_at(case: Case, owned: Owned) -> datetime:
    """Since when it has had the time that a rollout gets; it starts anew for one that is tried again."""
    record = record_of(case, owned.number)
    tried_again = (owned.replicas == 0 and case.spec.replicas > 0) or (
        record is not None and record.state != "Candidate"
    )
    return case.second if tried_again or owned.started_at is None else owned.started_at
