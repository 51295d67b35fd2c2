"""A reproduction pins what its original was made from, compares, and changes nothing else in the world."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tandem.api import names
from tandem.api.meta import Json
from tandem.api.plan import Create, EndRun, EnsureRun, TagRun
from tests.unit.training.cluster import COMMIT, DATA_DIGEST, DIGEST
from tests.unit.training.mlflow import START, MlflowRun
from tests.unit.training.world import SPEC, World, complete

ORIGINAL = "0123456789abcdef0123456789abcdef"
OTHER_DIGEST = "sha256:" + "99" * 32
SAME = {"same": True, "files": 8, "difference": ""}


def original(**tags: str | None) -> MlflowRun:
    """A run of the resource ml/flowers, which had the same steps, as its own operator left it."""
    world = complete()
    recorded = dict(world.last_run.tags)
    image = f"registry.example/train@{DIGEST}"
    recorded |= {
        names.TAG_RESOURCE: "ml/flowers",
        f"{names.TAG_DATA}.iris": DATA_DIGEST,
        f"{names.TAG_IMAGE}.features": image,
        f"{names.TAG_IMAGE}.train": image,
        **{name: value for name, value in tags.items() if value is not None},
    }
    kept = {name: value for name, value in recorded.items() if tags.get(name, "") is not None}
    return MlflowRun(3, ORIGINAL, "ml/flowers", kept, START, "FINISHED")


def reproducing(run: MlflowRun | None = None, **spec: Any) -> World:
    """A TrainingJob with the same steps, which is to reproduce that run."""
    world = World(others=[run or original()])
    return world.change(**{"reproduceFrom": ORIGINAL, "model": None, "gate": None, **spec}).settle()


def compared(world: World, found: Json | None = SAME) -> World:
    """The pod has ended, and has left in MLflow what it found."""
    if found is not None:
        world.last_run.tags[names.TAG_REPRODUCTION] = json.dumps(found)
    return world.completes().settle()


def containers(world: World) -> dict[str, Json]:
    pod = world.job["spec"]["template"]["spec"]
    return {container["name"]: container for container in (*pod["initContainers"], *pod["containers"])}


def env(container: Json) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


# --- what is pinned --------------------------------------------------------------------------------------------------


def test_code_and_data_are_fetched_as_they_were() -> None:
    told = json.loads(env(containers(reproducing())["fetch"])["TANDEM_FETCH"])
    assert told["git"]["ref"] == COMMIT
    assert [(data["name"], data["digest"]) for data in told["data"]] == [("iris", DATA_DIGEST)]


def test_images_are_those_that_ran() -> None:
    steps = containers(reproducing(image="registry.example/train:latest"))
    assert {steps[name]["image"] for name in ("features", "train")} == {f"registry.example/train@{DIGEST}"}


def test_an_image_that_no_registry_knows_is_taken_by_its_name_and_compared_afterwards() -> None:
    run = original(**{f"{names.TAG_IMAGE}.train": OTHER_DIGEST})
    world = reproducing(run, image="train:dev")
    assert containers(world)["train"]["image"] == "train:dev"
    compared(world)
    assert world.told("Reproduced") == ("False", "InputsDiffer")
    message = world.condition("Reproduced").message  # type: ignore[union-attr]
    assert f"the image of step train is {DIGEST}, it was {OTHER_DIGEST}" in message
    assert "the models are the same all the same" in message


def test_the_settings_are_those_of_the_original_also_where_an_operator_would_choose_others_now() -> None:
    settings = {name: {"PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "5"} for name in ("features", "train")}
    world = reproducing(original(**{names.TAG_ENVIRONMENT: json.dumps(settings)}))
    assert env(containers(world)["train"]).items() >= settings["train"].items()
    assert json.loads(world.last_run.tags[names.TAG_ENVIRONMENT]) == settings, "a reproduction can be reproduced"


def test_the_files_of_a_config_map_have_to_be_the_same() -> None:
    spec = {"source": {"configMapRef": {"name": "code"}}}
    source = complete(**spec).last_run.tags[names.TAG_INPUTS]
    run = original(**{names.TAG_INPUTS: source, names.TAG_COMMIT: None, names.TAG_SOURCE_DIGEST: OTHER_DIGEST})
    told = json.loads(env(containers(reproducing(run, **spec))["fetch"])["TANDEM_FETCH"])
    assert told["filesDigest"] == OTHER_DIGEST


def test_the_models_are_compared_by_the_last_container_which_knows_both_runs() -> None:
    world = reproducing()
    assert world.container_names() == ["fetch", "features", "train", "reproduction"]
    last = containers(world)["reproduction"]
    assert json.loads(env(last)["TANDEM_REPRODUCTION"]) == {"original": ORIGINAL}
    assert env(last)["MLFLOW_RUN_ID"] == "run-1"
    assert world.last_run.tags[names.TAG_REPRODUCES] == ORIGINAL
    rules = world.job["spec"]["podFailurePolicy"]["rules"]
    named = [rule["onExitCodes"]["containerName"] for rule in rules if rule["action"] == "FailJob"]
    assert named == ["fetch", "reproduction"]


def test_what_compares_the_models_has_limits_where_all_steps_have() -> None:
    limited = {"limits": {"cpu": 2, "memory": "4Gi"}}
    steps = [{**step, "resources": limited} for step in SPEC["steps"]]
    assert containers(reproducing(steps=steps))["reproduction"]["resources"]["limits"] == limited["limits"]


def test_a_run_of_the_same_resource_can_be_reproduced() -> None:
    world = complete()
    tags = world.last_run.tags
    world.change(reproduceFrom="run-1", model=None, gate=None).settle()
    assert world.creations == ["iris-1", "iris-2"]
    assert json.loads(env(containers(world)["fetch"])["TANDEM_FETCH"])["git"]["ref"] == tags[names.TAG_COMMIT]
    compared(world)
    assert world.told("Reproduced") == ("True", "ModelReproduced")


# --- what comes out --------------------------------------------------------------------------------------------------


def test_a_model_that_came_out_again_is_told() -> None:
    world = compared(reproducing(image="registry.example/train:2"))
    assert world.told("Reproduced") == ("True", "ModelReproduced")
    assert world.told("Ready") == ("True", "Succeeded")
    assert world.told("Complete") == ("True", "RunComplete")
    assert world.status["reproduction"] == {"mlflowRunId": ORIGINAL, "resource": "ml/flowers", "files": 8}
    assert f"run {ORIGINAL} came out again: 8 files" in world.condition("Reproduced").message  # type: ignore[union-attr]


def test_another_model_is_told_by_its_first_difference() -> None:
    said = "model.pkl has other bytes: sha256 1…, it was 2…"
    world = compared(reproducing(), {"same": False, "files": 8, "difference": said})
    for condition in ("Reproduced", "Ready"):
        assert world.told(condition) == ("False", "ModelDiffers")
        assert said in world.condition(condition).message  # type: ignore[union-attr]
    assert world.told("Failed") == ("True", "ModelDiffers")
    assert said in world.status["reproduction"]["difference"]
    assert world.told("Trained") == ("True", "JobComplete")


@pytest.mark.parametrize("tag", [None, {}, {"same": "yes"}])
def test_a_run_that_ended_without_a_comparison_is_no_reproduction(tag: Json | None) -> None:
    assert compared(reproducing(), tag).told("Reproduced") == ("False", "NotCompared")


def test_while_it_trains_nobody_knows() -> None:
    world = reproducing().runs_step("train").settle()
    assert world.told("Reproduced") == ("Unknown", "ReproductionPending")
    assert world.told("Ready") == ("Unknown", "JobRunning")


def test_nothing_is_registered_no_alias_moves_and_no_verdict_is_given() -> None:
    world = compared(reproducing(image="registry.example/train:2"))
    assert {type(action) for action in world.done} <= {Create, EnsureRun, TagRun, EndRun}
    assert (world.versions, world.aliases, world.ledger) == ([], {}, [])
    assert world.told("Promoted") is None
    assert names.TAG_GATE_RESULT not in world.last_run.tags, "its data are nobody's baseline"
    assert world.last_run.tags[names.TAG_TRAINED] == "true"


def test_it_is_done_once() -> None:
    world = compared(reproducing(image="registry.example/train:2"))
    assert world.wait(100_000).restart().settle().creations == ["iris-1"]
    assert world.ask("again").settle().creations == ["iris-1", "iris-2"]


@pytest.mark.parametrize("lost", [World.lose_status, World.restart, World.delete_job])
def test_what_was_found_is_found_again(lost: Callable[[World], World]) -> None:
    world = compared(reproducing(image="registry.example/train:2"))
    lost(world)
    assert world.settle().told("Reproduced") == ("True", "ModelReproduced")
    assert world.creations == ["iris-1"]


@pytest.mark.parametrize("passes", range(6))
@pytest.mark.parametrize("crash_after", [0, 1, 2])
def test_it_is_one_run_whenever_the_operator_crashes(passes: int, crash_after: int) -> None:
    world = World(others=[original()]).change(reproduceFrom=ORIGINAL, model=None, gate=None)
    for _ in range(passes):
        world.reconcile()
    world.reconcile(crash_after)
    compared(world.settle())
    assert (world.creations, len(world.runs)) == (["iris-1"], 1)


# --- what cannot be had again ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tags", "spec", "reason", "says"),
    [
        ({names.TAG_RESOURCE: "other/flowers"}, {}, "OriginalNotOwned", "is of other"),
        ({names.TAG_RESOURCE: "mlx/flowers"}, {}, "OriginalNotOwned", "a run of namespace ml can be reproduced"),
        ({names.TAG_RESOURCE: None}, {}, "OriginalNotOwned", "nobody's that Tandem knows"),
        ({names.TAG_TRAINED: None}, {}, "OriginalNotTrained", "did not train to its end"),
        ({names.TAG_INPUTS: None}, {}, "InputsNotRecorded", "steps, parameters and settings"),
        ({names.TAG_ENVIRONMENT: None}, {}, "InputsNotRecorded", "steps, parameters and settings"),
        ({names.TAG_COMMIT: None}, {}, "InputsNotRecorded", "its commit is not on record"),
        ({f"{names.TAG_DATA}.iris": None}, {}, "InputsNotRecorded", "the digest of data set iris"),
        ({f"{names.TAG_IMAGE}.train": None}, {}, "InputsNotRecorded", "the image that step train ran"),
        ({}, {"parameters": {"max_iter": "9"}}, "InputsDiffer", "spec.parameters is not what run"),
        (
            {},
            {"steps": [{"name": "train", "command": ["python", "t.py"]}]},
            "InputsDiffer",
            "spec.steps is not what run",
        ),
        ({}, {"source": None}, "InputsDiffer", "spec.source is not what run"),
        ({names.TAG_INPUTS: "no json"}, {}, "InputsDiffer", "spec.steps"),
        ({f"{names.TAG_DATA}.labels": OTHER_DIGEST}, {}, "InputsDiffer", "spec.data (it had iris, labels)"),
        (
            {},
            {"data": [{"name": "iris", "storageUri": "s3://a/b", "digest": OTHER_DIGEST}]},
            "InputsDiffer",
            "the digest of spec.data iris",
        ),
    ],
)
def test_what_cannot_be_had_again_ends_it_before_anything_trains(
    tags: dict[str, str | None], spec: Json, reason: str, says: str
) -> None:
    world = reproducing(original(**tags), **spec)
    for condition in ("Reproduced", "Trained", "Ready"):
        assert world.told(condition) == ("False", reason)
    assert says in world.condition("Reproduced").message  # type: ignore[union-attr]
    assert (world.creations, world.runs) == ([], [])
    assert world.status["phase"] == "Failed"


# --- tags that somebody has written ----------------------------------------------------------------------------------
# Whoever can write to MLflow must not choose what runs in a namespace.


def test_an_image_of_another_repository_is_not_run() -> None:
    forged = original(**{f"{names.TAG_IMAGE}.train": f"evil.example/miner@{OTHER_DIGEST}"})
    steps = containers(reproducing(forged, image="registry.example/train:2"))
    assert steps["train"]["image"] == f"registry.example/train@{OTHER_DIGEST}"


def recorded_environment(**train: str) -> str:
    usual = {"PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"}
    return json.dumps({"features": usual, "train": {**usual, **train}})


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (names.TAG_ENVIRONMENT, recorded_environment(LD_PRELOAD="/workspace/data/iris/evil.so")),
        (names.TAG_ENVIRONMENT, recorded_environment(PYTHONPATH="/workspace/data/iris")),
        (names.TAG_ENVIRONMENT, recorded_environment(MLFLOW_TRACKING_URI="http://evil.example")),
        (names.TAG_ENVIRONMENT, recorded_environment(PYTHONHASHSEED="random")),
        (names.TAG_ENVIRONMENT, recorded_environment(OMP_NUM_THREADS="-1")),
        (names.TAG_ENVIRONMENT, recorded_environment(OMP_NUM_THREADS="9" * 11)),
        (names.TAG_ENVIRONMENT, recorded_environment(OMP_NUM_THREADS="٣")),
        (names.TAG_ENVIRONMENT, recorded_environment(OMP_NUM_THREADS="4\n")),
        (names.TAG_ENVIRONMENT, json.dumps({"train": {"PYTHONHASHSEED": "0"}})),
        (names.TAG_ENVIRONMENT, json.dumps({"train": {"PYTHONHASHSEED": 0}})),
        (names.TAG_ENVIRONMENT, "no json"),
        (names.TAG_COMMIT, "main"),
        (names.TAG_COMMIT, "--upload-pack=evil"),
        (names.TAG_COMMIT, COMMIT + "\n"),
        (f"{names.TAG_DATA}.iris", "sha256:short"),
        (f"{names.TAG_IMAGE}.train", "evil.example/miner:latest"),
        (f"{names.TAG_IMAGE}.train", f"evil.example/miner@{DIGEST}@sha256:short"),
    ],
)
def test_what_tandem_does_not_write_in_a_tag_ends_it_before_anything_trains(tag: str, value: str) -> None:
    world = reproducing(original(**{tag: value}))
    assert world.told("Reproduced") == ("False", "InputsNotRecorded")
    message = world.condition("Reproduced").message  # type: ignore[union-attr]
    assert f"its tag {tag} is not what Tandem writes" in message
    assert (world.creations, world.runs) == ([], [])


def test_a_setting_that_is_a_parameter_of_the_spec_may_be_what_a_parameter_may_be() -> None:
    spec = {"parameters": {"OMP_NUM_THREADS": "4,2", "PYTHONHASHSEED": "random"}}
    recorded = {name: complete(**spec).last_run.tags[name] for name in (names.TAG_INPUTS, names.TAG_ENVIRONMENT)}
    assert env(containers(reproducing(original(**recorded), **spec))["train"])["OMP_NUM_THREADS"] == "4,2"


def test_the_name_of_the_resource_is_no_longer_than_the_status_can_hold() -> None:
    world = reproducing(original(**{names.TAG_RESOURCE: "ml/" + "x" * 5000}), image="registry.example/train:2")
    assert compared(world).told("Reproduced") == ("True", "ModelReproduced")


@pytest.mark.parametrize("state", ["unknown", "deleted"])
def test_a_run_that_is_not_there_is_told_and_nothing_trains(state: str) -> None:
    run = original()
    run.deleted = state == "deleted"
    world = reproducing(run, reproduceFrom="f" * 32 if state == "unknown" else ORIGINAL)
    assert world.told("Reproduced") == ("False", "OriginalNotFound")
    assert "correct spec.reproduceFrom" in world.condition("Reproduced").message  # type: ignore[union-attr]
    assert world.creations == []


def test_another_original_is_another_run() -> None:
    world = reproducing(reproduceFrom="f" * 32)
    assert compared(world.change(reproduceFrom=ORIGINAL, image="registry.example/train:2").settle()).told(
        "Reproduced"
    ) == ("True", "ModelReproduced")


@pytest.mark.parametrize(("code", "reason"), [(3, "DigestMismatch"), (5, "DataNotFound")])
def test_data_that_are_not_there_any_more_are_told_by_both_conditions(code: int, reason: str) -> None:
    world = reproducing().fails("fetch", code, "data set iris: no").settle()
    for condition in ("Reproduced", "Trained", "Ready"):
        assert world.told(condition) == ("False", reason)


def test_a_comparison_that_mlflow_did_not_let_happen_is_told() -> None:
    world = reproducing().fails("reproduction", 9, "MLflow did not answer").settle()
    assert world.told("Reproduced") == ("False", "NotCompared")


def test_while_mlflow_is_away_it_waits() -> None:
    world = World(others=[original()]).change(reproduceFrom=ORIGINAL, model=None, gate=None).mlflow_down().settle()
    assert (world.told("Ready"), world.creations) == (("False", "TrackingUnavailable"), [])
    assert world.mlflow_up().settle().creations == ["iris-1"]
