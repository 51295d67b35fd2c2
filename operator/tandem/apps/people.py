"""What people say about a rollout, by annotation: each names the revision that it means.

So a word that was meant for one revision never lets another through, GitOps does not undo it, and whether who writes
it may do so is the API server's to decide.
"""

from __future__ import annotations

from tandem.api import names
from tandem.apps.case import Case

_NAME_LIMIT = 253
_WHY_LIMIT = 1024


def wants_promotion(case: Case, number: int) -> bool:
    return _says(case, names.PROMOTE_ANNOTATION, str(number))


def wants_abort(case: Case, number: int) -> bool:
    return _says(case, names.ABORT_ANNOTATION, str(number))


def wants_pause(case: Case, number: int) -> bool:
    return _says(case, names.PAUSE_ANNOTATION, str(number))


def approved(case: Case, number: int, step: str) -> bool:
    return _says(case, names.APPROVED_ANNOTATION, f"{number}/{step}")


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


def _says(case: Case, annotation: str, word: str) -> bool:
    return case.app.metadata.annotations.get(annotation, "").strip() == word
