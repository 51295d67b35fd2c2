"""Every reason that the code can give, found in its source: what pages and recordings are held complete by."""

from __future__ import annotations

import re

from tests.crds import ROOT

# An outcome, a refusal or an Event with its reason as a literal; and reasons that are named first.
_OUTCOMES = r"Passed|Failed|Working|Undecided|Awaiting|Retrying|Obstacle|Cause|_waiting"
_OUTCOME = re.compile(rf'\b(?:{_OUTCOMES})\([^()"]*"([A-Z]\w+)"')
_EVENT = re.compile(r'\bEmit\([^()"]*"([A-Z]\w+)"')
_NAMED = re.compile(r'^[A-Z_]+(?:: Final)? = "([A-Z][a-z]+[A-Z]\w+)"', re.MULTILINE)
_REFUSED = re.compile(r'\b(?:Refused|_refused|TrackingFailure)\(\s*"([A-Z]\w+)"')

# Not reasons: conditions, Event types, triggers, kinds, what a caller replaces.
_OTHERS = {
    *("Normal", "Warning", "DataChange", "HorizontalPodAutoscaler"),
    *("ModelResolved", "ConfigurationResolved", "RolledOut", "DataValidated", "DataPolled"),
}


def told_in_conditions(*packages: str) -> set[str]:
    """By these packages of tandem, in conditions."""
    return _found(packages, _OUTCOME, _NAMED) - _OTHERS


def said_by(*packages: str) -> set[str]:
    """By these packages of tandem, in conditions or Events."""
    return _found(packages, _OUTCOME, _EVENT, _NAMED) - _OTHERS


def refusals_of_mlflow() -> set[str]:
    return _found(("tracking",), _REFUSED)


def _found(packages: tuple[str, ...], *patterns: re.Pattern[str]) -> set[str]:
    files = [file for package in packages for file in sorted((ROOT / "operator/tandem" / package).glob("*.py"))]
    found = {reason for file in files for pattern in patterns for reason in pattern.findall(file.read_text())}
    assert len(found) > 5, "the pattern finds nothing any more"
    return found
