"""The page of each kind says everything that the kind can say: every field, every reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.crds import KINDS, ROOT, nodes, schema

PAGES = {"TrainingJob": ROOT / "docs/spec/trainingjob.md", "AppDeployment": ROOT / "docs/spec/appdeployment.md"}
PACKAGES = {"TrainingJob": ["training", "drift"], "AppDeployment": ["apps"]}
WORDS = {kind: set(re.findall(r"[A-Za-z0-9_]+", page.read_text())) for kind, page in PAGES.items()}

# An outcome, a refusal or an Event with its reason as a literal; and reasons that are named first.
SAID = re.compile(r'\b(?:Passed|Failed|Working|Undecided|Retrying|Obstacle|Cause|Emit|_waiting)\([^()"]*"([A-Z]\w+)"')
NAMED = re.compile(r'^[A-Z_]+(?:: Final)? = "([A-Z][a-z]+[A-Z]\w+)"', re.MULTILINE)
REFUSED = re.compile(r'\b(?:Refused|_refused|TrackingFailure)\(\s*"([A-Z]\w+)"')

# Not reasons: conditions, Event types, what a caller replaces.
OTHERS = {"Normal", "Warning", "ModelResolved", "RolledOut"}


def reasons_in(folder: Path, *patterns: re.Pattern[str]) -> set[str]:
    return {
        reason
        for path in sorted(folder.glob("*.py"))
        for pattern in patterns
        for reason in pattern.findall(path.read_text())
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_on_the_page(kind: str) -> None:
    fields = {path.rpartition(".")[2].rstrip("[]{}") for path, _ in nodes(schema(kind)) if "." in path}
    # A condition has the fields of every condition in Kubernetes.
    fields -= {"type", "lastTransitionTime", "conditions", "id", "requestedAt"}
    fields -= {"lastStep", "baseline", "alarmStep"}  # the model-drift controller's memory, on its own page

    assert fields - WORDS[kind] == set()


@pytest.mark.parametrize("kind", KINDS)
def test_every_reason_is_on_the_page(kind: str) -> None:
    """A person who reads a reason in a condition finds it by searching the page."""
    packages = [ROOT / "operator" / "tandem" / package for package in PACKAGES[kind]]
    reasons = set().union(*(reasons_in(package, SAID, NAMED) for package in packages)) - OTHERS

    assert len(reasons) > 10, "the pattern finds nothing any more"
    assert reasons - WORDS[kind] == set()


def test_every_refusal_of_mlflow_is_on_the_page_of_a_kind() -> None:
    reasons = reasons_in(ROOT / "operator" / "tandem" / "tracking", REFUSED)

    assert len(reasons) > 5, "the pattern finds nothing any more"
    assert reasons - (WORDS["TrainingJob"] | WORDS["AppDeployment"]) == set()
