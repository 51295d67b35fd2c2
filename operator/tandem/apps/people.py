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
_NAME_LIMIT = 253
_WHY_LIMIT = 1024


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
        word = _word(case, annotation)
        if word.partition("/")[0] != str(owned.number):
            continue
        if _is_spent(case, owned, annotation):
            found[_short(annotation)] = owned.spent.words[_short(annotation)]
        elif over:
            found[_short(annotation)] = f"{word} {_said_at(case, annotation)}".strip()
    return Spent(words=found)


def who(case: Case) -> str:
    """'' where nobody has said who it was."""
    return case.app.metadata.annotations.get(names.DECIDED_BY_ANNOTATION, "").strip()[:_NAME_LIMIT]


def why(case: Case) -> str:
    """'' where nobody has said."""
    return case.app.metadata.annotations.get(names.DECIDED_BECAUSE_ANNOTATION, "").strip()[:_WHY_LIMIT]


def aborted(case: Case) -> int | None:
    """The revision that is to be given up."""
    word = case.app.metadata.annotations.get(names.ABORT_ANNOTATION, "").strip()
    return int(word) if word.isdecimal() else None


def asked(case: Case) -> str:
    """Who asked for another try, and why."""
    notes = case.app.metadata.annotations
    who = notes.get(names.REQUESTED_BY_ANNOTATION, "").strip()[:_NAME_LIMIT]
    because = notes.get(names.REQUESTED_BECAUSE_ANNOTATION, "").strip()[:_WHY_LIMIT]
    return (f" for {who}" if who else "") + (f": {because}" if because else "")


def by(case: Case) -> str:
    return f" by {who(case)}" if who(case) else ""


def command(case: Case, verb: str) -> str:
    """The command that says it."""
    meta = case.app.metadata
    return f"kubectl tandem {verb} {meta.name} -n {meta.namespace}"


def _says(case: Case, annotation: str, number: int, step: str = "") -> bool:
    owned = case.fleet.owned.get(number)
    if owned is not None and _is_spent(case, owned, annotation):
        return False
    return _word(case, annotation) == (f"{number}/{step}" if step else str(number))


def _is_spent(case: Case, owned: Owned, annotation: str) -> bool:
    """Whether it is the word that stood when an earlier attempt was over."""
    word, _, before = owned.spent.words.get(_short(annotation), "").partition(" ")
    return bool(word) and word == _word(case, annotation) and _said_at(case, annotation) in {"", before}


def _said_at(case: Case, annotation: str) -> str:
    """When the word was said that stands there; '' where the latest decision is about another, or nobody says."""
    verb, word, when = [*_word(case, names.DECIDED_ANNOTATION).split(" ", 2), "", ""][:3]
    return when if (verb, word) == (_short(annotation), _word(case, annotation)) else ""


def _word(case: Case, annotation: str) -> str:
    return case.app.metadata.annotations.get(annotation, "").strip()


def _short(annotation: str) -> str:
    return annotation.removeprefix(f"{names.GROUP}/")
