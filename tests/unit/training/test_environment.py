"""Every step gets the settings by which it can be repeated, and its run has them on record."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tandem.api import names
from tandem.api.containers import Resources
from tandem.api.meta import Json
from tandem.api.trainingjob import TrainingJobSpec
from tandem.training.environment import inputs_of, record_of, settings
from tests.unit.training.world import World


@pytest.mark.parametrize(
    ("resources", "threads"),
    [
        ({}, "1"),
        ({"requests": {"memory": "1Gi"}}, "1"),
        ({"requests": {"cpu": "2"}}, "2"),
        ({"requests": {"cpu": 4}}, "4"),
        ({"requests": {"cpu": "500m"}}, "1"),
        ({"requests": {"cpu": "1500m"}}, "2"),
        ({"requests": {"cpu": "1.5"}}, "2"),
        ({"requests": {"cpu": "500m"}, "limits": {"cpu": "8"}}, "8"),
        ({"limits": {"cpu": 0}}, "1"),
        ({"limits": {"cpu": "1k"}}, "1000"),
        ({"limits": {"cpu": "1Ki"}}, "1024"),
    ],
)
def test_threads_are_the_cpus_that_the_step_asked_for_not_those_of_the_node(resources: Json, threads: str) -> None:
    given = msgspec.convert(resources, Resources)
    assert settings(given) == {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": threads}


@pytest.mark.parametrize(("cpus", "processes", "threads"), [("8", 2, "4"), ("8", 3, "2"), ("500m", 4, "1")])
def test_the_processes_of_a_node_share_its_cpus(cpus: str, processes: int, threads: str) -> None:
    assert settings(Resources(limits={"cpu": cpus}), processes)["OMP_NUM_THREADS"] == threads


def environment(world: World, container: str) -> dict[str, str]:
    pod = world.job["spec"]["template"]["spec"]
    [found] = [c for c in (*pod["initContainers"], *pod["containers"]) if c["name"] == container]
    return {entry["name"]: entry["value"] for entry in found["env"]}


def test_every_step_has_them_and_what_fetches_needs_none() -> None:
    world = World().settle()
    for name in ("features", "train"):
        assert environment(world, name).items() >= {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}.items()
    assert "OMP_NUM_THREADS" not in environment(world, "fetch")


def test_a_parameter_sets_another_number_and_that_is_on_record() -> None:
    world = World().change(parameters={"OMP_NUM_THREADS": "6"}).settle()
    assert environment(world, "train")["OMP_NUM_THREADS"] == "6"
    recorded = json.loads(world.last_run.tags[names.TAG_ENVIRONMENT])
    assert recorded["train"] == {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "6"}


SPEC: Json = {
    "steps": [{"name": "train", "command": ["python", "train.py"]}],
    "source": {"git": {"url": "https://a.example/r.git", "path": "a"}},
    "parameters": {"x": "1", "y": "2"},
    "data": [{"name": "iris", "storageUri": "s3://a/b"}],
}


def inputs(**spec: Any) -> dict[str, str]:
    return inputs_of(msgspec.convert({k: v for k, v in {**SPEC, **spec}.items() if v is not None}, TrainingJobSpec))


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"steps": [{"name": "train", "command": ["python", "other.py"]}]}, {"steps"}),
        ({"steps": [{"name": "other", "command": ["python", "train.py"]}]}, {"steps"}),
        ({"parameters": {"x": "2", "y": "2"}}, {"parameters"}),
        ({"parameters": None}, {"parameters"}),
        ({"source": None}, {"source"}),
        ({"source": {"configMapRef": {"name": "a"}}}, {"source"}),
        ({"source": {"git": {"url": "https://a.example/r.git"}}}, {"source"}),
        # what a digest or a commit says of itself may come from elsewhere
        ({"source": {"git": {"url": "https://mirror.example/r.git", "ref": "v2", "path": "a"}}}, set()),
        ({"data": [{"name": "iris", "storageUri": "gs://c/d"}]}, set()),
        ({"image": "other:2"}, set()),
        ({"steps": [{"name": "train", "command": ["python", "train.py"], "resources": {"limits": {"cpu": 9}}}]}, set()),
        ({"parameters": {"y": "2", "x": "1"}}, set()),
    ],
)
def test_what_decides_a_model_beside_its_versions_is_on_record(change: Json, differs: set[str]) -> None:
    before, after = inputs(), inputs(**change)
    assert {field for field in before if before[field] != after[field]} == differs


def test_the_largest_record_fits_into_tags_of_mlflow() -> None:
    """MLflow takes 8000 characters."""
    steps = [{"name": f"{n:063d}", "command": ["x" * 4096] * 64} for n in range(16)]
    spec = msgspec.convert({"steps": steps, "parameters": {"OMP_NUM_THREADS": "9" * 20}}, TrainingJobSpec)
    assert all(len(value) < 8000 for value in record_of(spec).values())
