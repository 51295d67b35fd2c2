"""What the soak calls broken: each rule, broken once and kept once."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, cast

import pytest

from tests.soak.client import Client
from tests.soak.invariants import Invariants, broken_in_mlflow, complaints, unsettled

Json = dict[str, Any]


@pytest.fixture
def invariants() -> Invariants:
    return Invariants(cast(Client, None))  # it is shown events by hand


def job(name: str = "iris-1", uid: str = "a", owner: str = "o", *, ended: bool = False) -> Json:
    owners = [{"uid": owner, "controller": True}]
    conditions = [{"type": "Complete", "status": "True"}] if ended else []
    meta = {"name": name, "namespace": "team", "uid": uid, "ownerReferences": owners}
    return {"kind": "Job", "metadata": meta, "status": {"conditions": conditions}}


def training(run: int = 1, generation: int = 1, observed: int = 1, **conditions: str) -> Json:
    told = [{"type": type_, "status": status, "message": "because"} for type_, status in conditions.items()]
    status = {"observedGeneration": observed, "run": {"number": run}, "conditions": told}
    meta = {"name": "iris", "namespace": "team", "uid": "u", "generation": generation}
    return {"kind": "TrainingJob", "metadata": meta, "status": status}


def test_a_job_that_is_seen_again_is_the_same_one(invariants: Invariants) -> None:
    for type_ in ("ADDED", "MODIFIED", "ADDED"):
        invariants.look(type_, job())

    assert (invariants.broken, invariants.jobs_made) == ([], 1)


def test_a_job_that_is_made_again_for_the_same_run_is_told(invariants: Invariants) -> None:
    invariants.look("ADDED", job(uid="a"))
    invariants.look("DELETED", job(uid="a"))
    invariants.look("ADDED", job(uid="b"))

    assert invariants.broken == ["Job team/iris-1 was made 2 times for one resource"]


def test_a_job_of_a_resource_of_the_same_name_is_another_one(invariants: Invariants) -> None:
    invariants.look("ADDED", job(uid="a", owner="former"))
    invariants.look("ADDED", job(uid="b", owner="now"))

    assert invariants.broken == []


@pytest.mark.parametrize("ended", [True, False])
def test_two_jobs_of_one_resource_must_not_live_at_once(invariants: Invariants, ended: bool) -> None:
    invariants.look("ADDED", job("iris-1", "a"))
    invariants.look("MODIFIED", job("iris-1", "a", ended=ended))
    invariants.look("ADDED", job("iris-2", "b"))

    assert bool(invariants.broken) is not ended


def test_a_run_never_counts_backwards(invariants: Invariants) -> None:
    for run in (1, 2, 1):
        invariants.look("MODIFIED", training(run, Ready="True"))

    assert invariants.broken == ["TrainingJob team/iris: from run 2 back to run 1"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (training(Ready="True"), []),
        (training(Ready="False", Stalled="True"), []),
        (training(Trained="True"), ["it does not say whether it is ready"]),
        (training(Ready="False", Stalled="True", Reconciling="True"), ["reconciling and stalled at once"]),
        (training(Ready="True", Reconciling="True"), ["ready, and reconciling or stalled as well"]),
        (training(observed=2, Ready="True"), ["it speaks of a generation that is not there yet"]),
    ],
)
def test_a_status_is_held_against_kstatus_rules(body: Json, told: list[str]) -> None:
    assert complaints(body) == told


@pytest.mark.parametrize(
    ("body", "waits"),
    [
        (training(Ready="True"), ""),
        (training(Ready="False", Stalled="True"), ""),
        (training(Ready="Unknown", Reconciling="True"), "because"),
        (training(generation=2, Ready="True"), "generation 2 is not observed"),
    ],
)
def test_settled_is_what_has_come_to_an_end_that_a_person_can_read(body: Json, waits: str) -> None:
    assert unsettled(body) == waits


def test_a_run_or_a_version_that_mlflow_has_twice_is_told(tmp_path: Path) -> None:
    database = tmp_path / "mlflow.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE tags (key, value, run_uuid)")
        connection.execute("CREATE TABLE model_versions (name, version, run_id)")
        tags = [("tandem.dev/resource-uid", "u", run) for run in "ab"] + [("tandem.dev/run", "1", run) for run in "ab"]
        connection.executemany("INSERT INTO tags VALUES (?, ?, ?)", tags)
        connection.executemany("INSERT INTO model_versions VALUES (?, ?, ?)", [("iris", v, "a") for v in (1, 2)])

    assert broken_in_mlflow(database) == ["2 MLflow runs for run 1 of u", "2 versions of model iris from MLflow run a"]
