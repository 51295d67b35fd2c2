"""The bare client writes what Tandem writes: else the ratio between the two says nothing."""

from __future__ import annotations

import json

import pytest

from bench.workload import NAMESPACES, Workload

UID = "4f1b2c3d-0000-4000-8000-123456789abc"


@pytest.fixture
def workload() -> Workload:
    return Workload("r1", "http://mlflow:5000")


def test_resources_are_spread_over_the_namespaces_and_called_differently(workload: Workload) -> None:
    created = [json.loads(workload.resource(number))["metadata"] for number in range(16)]

    assert [meta["namespace"] for meta in created] == [*NAMESPACES, *NAMESPACES]
    assert len({meta["name"] for meta in created}) == 16


def test_the_job_is_the_one_of_the_plan_and_belongs_to_the_resource(workload: Workload) -> None:
    job = json.loads(workload.job(3, UID))

    assert job["metadata"]["name"] == f"{workload.name(3)}-1"
    assert job["metadata"]["namespace"] == workload.namespace(3)
    assert [(owner["name"], owner["uid"]) for owner in job["metadata"]["ownerReferences"]] == [(workload.name(3), UID)]
    assert job["spec"]["template"]["spec"]["containers"][0]["command"] == ["python", "train.py"]
    environment = {entry["name"]: entry["value"] for entry in job["spec"]["template"]["spec"]["containers"][0]["env"]}
    assert environment["MLFLOW_TRACKING_URI"] == "http://mlflow:5000"


def test_the_status_is_the_one_of_the_plan_and_names_the_job(workload: Workload) -> None:
    patch = json.loads(workload.status(3, UID))

    assert patch["metadata"] == {"uid": UID}
    assert patch["status"]["run"]["jobName"] == f"{workload.name(3)}-1"
    assert {condition["type"] for condition in patch["status"]["conditions"]} >= {"Ready", "Trained"}


def test_nothing_of_the_template_is_left(workload: Workload) -> None:
    sent = workload.resource(3) + workload.job(3, UID) + workload.status(3, UID)

    assert b"-of-it" not in sent
    assert b"00000000-aaaa" not in sent
