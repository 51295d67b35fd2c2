"""What goes into a run is read from its pods, strictly."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tandem.api import names
from tandem.api.children import Pod
from tandem.api.facts import TrackedRun
from tandem.api.trainingjob import TrainingJobSpec
from tandem.api.trainingjob_status import DataStatus, RunStatus, SourceStatus, Trigger
from tandem.training.findings import Findings
from tandem.training.provenance import lineage_tags, with_provenance, with_recorded_data

COMMIT = "a" * 40
DIGEST = "sha256:" + "b" * 64
IMAGES = {"a": "registry.example/a:1"}
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
    assert with_provenance(FOUND, IMAGES, (pod(report(**said)),)).source == source


@pytest.mark.parametrize(
    ("said", "data"),
    [
        ({}, DataStatus(name="iris", digest=DIGEST)),
        ({"bytes": 5, "rows": 0}, DataStatus(name="iris", digest=DIGEST, bytes=5, rows=0)),
        ({"bytes": 5, "rows": 3, "files": 2}, DataStatus(name="iris", digest=DIGEST, bytes=5, rows=3, files=2)),
    ],
)
def test_data_are_told_with_what_was_counted(said: dict[str, Any], data: DataStatus) -> None:
    told = report(data=[{"name": "iris", "digest": DIGEST, **said}])
    assert with_provenance(FOUND, IMAGES, (pod(told),)).data == (data,)


@pytest.mark.parametrize(
    ("tag", "data"),
    [
        (DIGEST, (DataStatus(name="iris", digest=DIGEST, version="etag:1"),)),
        ("sha256:short", ()),
        ("", ()),
    ],
)
def test_data_that_no_pod_tells_of_any_more_are_known_from_the_tags_of_the_run(
    tag: str, data: tuple[DataStatus, ...]
) -> None:
    tracked = TrackedRun(
        "r",
        "1",
        1,
        "FINISHED",
        datetime(2026, 1, 1, tzinfo=UTC),
        tags={"tandem.dev/data.iris": tag, "tandem.dev/data-version.iris": "etag:1"},
    )
    spec = msgspec.convert(
        {"steps": [{"name": "a", "command": ["x"]}], "data": [{"name": "iris", "storageUri": "s3://b/iris.csv"}]},
        TrainingJobSpec,
    )
    assert with_recorded_data(FOUND, spec, tracked).data == data


@pytest.mark.parametrize(("message", "exit_code"), [("no JSON", 0), (report(commit=COMMIT), 3)])
def test_a_report_that_is_none_or_of_a_step_that_failed_is_not_believed(message: str, exit_code: int) -> None:
    assert with_provenance(FOUND, IMAGES, (pod(message, exit_code),)).source == KNOWN


@pytest.mark.parametrize(
    ("said", "tags"),
    [({"commit": COMMIT}, {names.TAG_COMMIT: COMMIT}), ({"files": DIGEST}, {names.TAG_SOURCE_DIGEST: DIGEST})],
)
def test_the_run_is_tagged_with_what_its_code_was(said: dict[str, Any], tags: dict[str, str]) -> None:
    assert lineage_tags(with_provenance(FOUND, IMAGES, (pod(report(**said)),))) == tags
