"""What goes into a run is read from its pods, strictly."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tandem.api import names
from tandem.api.children import Pod
from tandem.api.trainingjob import RunStatus, SourceStatus, Trigger
from tandem.training.findings import Findings
from tandem.training.provenance import lineage_tags, with_provenance

COMMIT = "a" * 40
DIGEST = "sha256:" + "b" * 64
KNOWN = SourceStatus(commit="c" * 40)
FOUND = Findings(run=RunStatus(number=1, trigger=Trigger(type="Created"), spec_digest="d"), source=KNOWN)


def pod(message: str, exit_code: int = 0) -> Pod:
    fetch = {"name": "fetch", "state": {"terminated": {"exitCode": exit_code, "message": message}}}
    return msgspec.convert({"metadata": {"name": "p"}, "status": {"initContainerStatuses": [fetch]}}, Pod)


def report(**said: Any) -> str:
    return json.dumps({"commit": None, "data": [], **said})


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ({"commit": COMMIT}, SourceStatus(commit=COMMIT)),
        ({"files": DIGEST}, SourceStatus(digest=DIGEST)),
        ({}, KNOWN),
        ({"commit": "main"}, KNOWN),
        ({"files": "sha256:short"}, KNOWN),
        ({"commit": COMMIT, "data": "many"}, KNOWN),
    ],
)
def test_code_is_a_commit_or_a_digest_and_another_shape_is_as_good_as_none(
    said: dict[str, Any], source: SourceStatus
) -> None:
    assert with_provenance(FOUND, (pod(report(**said)),)).source == source


@pytest.mark.parametrize(("message", "exit_code"), [("no JSON", 0), (report(commit=COMMIT), 3)])
def test_a_report_that_is_none_or_of_a_step_that_failed_is_not_believed(message: str, exit_code: int) -> None:
    assert with_provenance(FOUND, (pod(message, exit_code),)).source == KNOWN


@pytest.mark.parametrize(
    ("said", "tags"),
    [({"commit": COMMIT}, {names.TAG_COMMIT: COMMIT}), ({"files": DIGEST}, {names.TAG_SOURCE_DIGEST: DIGEST})],
)
def test_the_run_is_tagged_with_what_its_code_was(said: dict[str, Any], tags: dict[str, str]) -> None:
    assert lineage_tags(with_provenance(FOUND, (pod(report(**said)),))) == tags
