"""What people say about a rollout, by annotation: each names the revision that it means.

So a word that was meant for one revision never lets another through, GitOps does not undo it, and whether who writes
it may do so is the API server's to decide.
"""

from __future__ import annotations

from typing import Final

from tandem.api import names
from tandem.apps.case import Case
from tandem.apps.note import Spent
from tandem.apps.revision import Owned

# Words that end or shorten an attempt. (A pause holds for as long as it is there, in whatever attempt.)
_SPENDABLE: Final = (names.PROMOTE_ANNOTATION, names.ABORT_ANNOTATION, names.APPROVED_ANNOTATION)


def wants_promotion(case: Case, number: int) -> bool:
    return _says(case, names.PROMOTE_ANNOTATION, number)


def wants_abort(case: Case, number: int) -> bool:
    return _says(case, names.ABORT_ANNOTATION, number)


def wants_pause(case: Case, number: int) -> bool:
    return _says(case, names.PAUSE_ANNOTATION, number)


def approved(case: Case, number: int, step: str) -> bool:
    return _says(case, names.APPROVED_ANNOTATION, number, step)


def spent(case: Case, owned: Owned, *, over: bool) -> Spent:
    """What was said of this revision in an attempt that is over, as far as it stands still.

    ``over``: its present attempt is, too. A word that was taken away meanwhile, or was said again, is another one.
    """
    found: dict[str, str] = {}
    for annotation in _SPENDABLE:
        word = word_of(case, annotation)
        if word.partition("/")[0] != str(owned.number):
            continue
        if _is_spent(case, owned, annotation):
            found[short(annotation)] = owned.spent.words[short(annotation)]
        elif over:
            found[short(annotation)] = f"{word} {_said_at(case, annotation)}".strip()
    return Spent(words=found)


def aborted(case: Case) -> int | None:
    """The revision that is to be given up."""
    word = word_of(case, names.ABORT_ANNOTATION)
    return int(word) if word.isdecimal() else None


def command(case: Case, verb: str) -> str:
    """The command that says it."""
    meta = case.app.metadata
    return f"kubectl tandem {verb} {meta.name} -n {meta.namespace}"


def _says(case: Case, annotation: str, number: int, step: str = "") -> bool:
    owned = case.fleet.owned.get(number)
    if owned is not None and _is_spent(case, owned, annotation):
        return False
    return word_of(case, annotation) == (f"{number}/{step}" if step else str(number))


def _is_spent(case: Case, owned: Owned, annotation: str) -> bool:
    """Whether it is the word that stood when an earlier attempt was over."""
    word, _, before = owned.spent.words.get(short(annotation), "").partition(" ")
    return bool(word) and word == word_of(case, annotation) and _said_at(case, annotation) in {"", before}


def _said_at(case: Case, annotation: str) -> str:
    """When the word was said that stands there; '' where the latest decision is about another, or nobody says."""
    verb, word, when = [*word_of(case, names.DECIDED_ANNOTATION).split(" ", 2), "", ""][:3]
    return when if (verb, word) == (short(annotation), word_of(case, annotation)) else ""


def at_once(case: Case) -> str:
    """What moves a candidate that waits for the clock or for a judgement."""
    return f"all the traffic at once with: {command(case, 'promote')}"


def word_of(case: Case, annotation: str) -> str:
    return case.app.metadata.annotations.get(annotation, "").strip()


def short(annotation: str) -> str:
    return annotation.removeprefix(f"{names.GROUP}/")
