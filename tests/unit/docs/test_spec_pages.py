"""The page of each kind says everything that the kind can say: every field, every reason."""

from __future__ import annotations

import re

import pytest

from tests.crds import KINDS, ROOT, nodes, schema
from tests.reasons import refusals_of_mlflow, said_by

PAGES = {"TrainingJob": ROOT / "docs/spec/trainingjob.md", "AppDeployment": ROOT / "docs/spec/appdeployment.md"}
WORDS = {kind: set(re.findall(r"[A-Za-z0-9_]+", page.read_text())) for kind, page in PAGES.items()}
# What the page says of these is that they are those of autoscaling/v2, whose reference describes them.
AUTOSCALING_V2 = re.compile(r"^\.?spec\.autoscaling\.(metrics|behavior)\W")


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_on_the_page(kind: str) -> None:
    paths = [path for path, _ in nodes(schema(kind)) if "." in path and not AUTOSCALING_V2.match(path)]
    fields = {path.rpartition(".")[2].rstrip("[]{}") for path in paths}
    # A condition has the fields of every condition in Kubernetes.
    fields -= {"type", "lastTransitionTime", "conditions", "id", "requestedAt"}
    fields -= {"lastStep", "baseline", "alarmStep"}  # the model-drift controller's memory, on its own page

    assert fields - WORDS[kind] == set()


@pytest.mark.parametrize("kind", KINDS)
def test_every_reason_is_on_the_page(kind: str) -> None:
    """A person who reads a reason in a condition finds it by searching the page."""
    packages = {"TrainingJob": ("training", "drift"), "AppDeployment": ("apps",)}[kind]

    assert said_by(*packages) - WORDS[kind] == set()


def test_every_refusal_of_mlflow_is_on_the_page_of_a_kind() -> None:
    assert refusals_of_mlflow() - (WORDS["TrainingJob"] | WORDS["AppDeployment"]) == set()
