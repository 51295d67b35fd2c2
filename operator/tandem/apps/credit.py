"""Whose word it is: who said it and why, where that is known.

The API server tells no controller who wrote an annotation, and names stay where words go: one that stood there is not
that of whoever writes the next word. ``tandem.dev/decided`` tells which word the name is about; the commands and
the buttons write it. Without it, the name has to have come in the same moment as the word. Else nobody is named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tandem.api import names
from tandem.api.appdeployment_status import DecisionVerb, SeenAnnotations
from tandem.apps import people
from tandem.apps.case import Case

_NAME_LIMIT: Final = 253
_WHY_LIMIT: Final = 1024
_SEEN_LIMIT: Final = 1024

_WRITTEN: Final[Mapping[DecisionVerb, str]] = {
    "Approved": names.APPROVED_ANNOTATION,
    "Promoted": names.PROMOTE_ANNOTATION,
    "Paused": names.PAUSE_ANNOTATION,
    "Resumed": names.PAUSE_ANNOTATION,
    "Aborted": names.ABORT_ANNOTATION,
}
_TAKEN_AWAY: Final = "none"  # what `decided` says of a word that is not there any more


@dataclass(frozen=True)
class Speaker:
    """'': nobody has said."""

    who: str = ""
    why: str = ""


NOBODY: Final = Speaker()


def speaker(case: Case, verb: DecisionVerb, number: int, step: str = "") -> Speaker:
    """Of a word that the operator sees now and has not told yet."""
    if verb == "Retried":
        return _requester(case)
    annotation, word = _WRITTEN[verb], f"{number}/{step}" if step else str(number)
    word = _TAKEN_AWAY if verb == "Resumed" else word
    seen, decided = case.stored.seen, people.word_of(case, names.DECIDED_ANNOTATION)
    is_about_it = decided.split(" ", 2)[:2] == [people.short(annotation), word]
    told = any((d.verb, d.revision, d.step) == (verb, number, step) for d in case.stored.decisions)
    if seen is None or decided[:_SEEN_LIMIT] != seen.decided or (is_about_it and not told):
        believed = is_about_it
    else:
        believed = people.word_of(case, names.DECIDED_BY_ANNOTATION)[:_NAME_LIMIT] != seen.decided_by
    return _speaker(case, names.DECIDED_BY_ANNOTATION, names.DECIDED_BECAUSE_ANNOTATION) if believed else NOBODY


def seen(case: Case) -> SeenAnnotations:
    """What the next look is compared with."""
    return SeenAnnotations(
        decided=people.word_of(case, names.DECIDED_ANNOTATION)[:_SEEN_LIMIT],
        decided_by=people.word_of(case, names.DECIDED_BY_ANNOTATION)[:_NAME_LIMIT],
        requested=people.word_of(case, names.REQUESTED_ANNOTATION)[:_SEEN_LIMIT],
        requested_at=people.word_of(case, names.REQUESTED_AT_ANNOTATION)[:_SEEN_LIMIT],
        requested_by=people.word_of(case, names.REQUESTED_BY_ANNOTATION)[:_NAME_LIMIT],
    )


def is_asked_anew(case: Case) -> bool:
    """Whether somebody has asked for another try since the operator looked last."""
    token, before = people.word_of(case, names.REQUESTED_AT_ANNOTATION)[:_SEEN_LIMIT], case.stored.seen
    return bool(token) and before is not None and token != before.requested_at


def asked(case: Case) -> str:
    """Who asked for another try, and why; '' where nobody has asked just now."""
    one = _requester(case) if is_asked_anew(case) else NOBODY
    return (f" for {one.who}" if one.who else "") + (f": {one.why}" if one.why else "")


def by(case: Case, verb: DecisionVerb, number: int) -> str:
    """Whose word it is that stands, as it was told when it was new."""
    of = [one for one in case.stored.decisions if one.revision == number and one.verb in {"Paused", "Resumed"}]
    who = of[0].by if verb == "Paused" and of and of[0].verb == verb else speaker(case, verb, number).who
    return f" by {who}" if who else ""


def _requester(case: Case) -> Speaker:
    token, before = people.word_of(case, names.REQUESTED_AT_ANNOTATION), case.stored.seen
    about, who = people.word_of(case, names.REQUESTED_ANNOTATION), people.word_of(case, names.REQUESTED_BY_ANNOTATION)
    if before is not None and about[:_SEEN_LIMIT] == before.requested:
        believed = who[:_NAME_LIMIT] != before.requested_by
    else:
        believed = about == token
    return _speaker(case, names.REQUESTED_BY_ANNOTATION, names.REQUESTED_BECAUSE_ANNOTATION) if believed else NOBODY


def _speaker(case: Case, who: str, why: str) -> Speaker:
    return Speaker(people.word_of(case, who)[:_NAME_LIMIT], people.word_of(case, why)[:_WHY_LIMIT])
