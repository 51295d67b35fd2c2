"""A version for each run that passed, once; the alias last of all, and never another model's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tandem.api import names
from tandem.api.facts import LoggedModel, ModelVersion
from tandem.api.plan import MoveAlias, RegisterVersion
from tests.unit.training.mlflow import START
from tests.unit.training.world import World, complete, kinds, trained


def test_a_run_without_a_model_says_how_to_log_one() -> None:
    world = World().settle().completes(models=0).settle()
    assert world.told("Failed") == ("True", "NoLoggedModel")
    assert "log_model" in world.condition("Ready").message  # type: ignore[union-attr]
    assert world.aliases == {}


def test_the_last_model_that_is_ready_counts() -> None:
    world = World().settle().completes(models=2)
    world.last_run.models.append(LoggedModel("m-broken", "model", "FAILED", START, ""))
    world.settle()
    assert world.versions[0].source == "models:/m-1-2"


def test_a_model_of_another_namespace_is_refused_until_it_is_handed_over() -> None:
    world = trained()
    world.refuse[RegisterVersion] = ("ModelOwnedElsewhere", "registered model iris belongs to namespace other")
    world.settle()
    assert world.told("Stalled") == ("True", "ModelOwnedElsewhere")
    assert world.told("Failed") is None, "it heals by itself"
    assert world.aliases == {}
    world.refuse.clear()
    assert world.wait(600).settle().status["phase"] == "Complete"


def test_another_name_gets_past_a_model_that_belongs_elsewhere_without_training() -> None:
    world = trained()
    world.refuse[RegisterVersion] = ("ModelOwnedElsewhere", "registered model iris belongs to namespace other")
    world.settle()
    world.refuse.clear()
    world.change(model={"name": "mine"}).settle()
    assert world.aliases == {("mine", "challenger"): "1"}
    assert world.creations == ["iris-1"]


@pytest.mark.parametrize("reason", ["LoggedModelMissing", "LoggedModelNotReady", "RunDeleted"])
def test_what_was_deleted_in_mlflow_ends_the_run_so_that_another_may_start(reason: str) -> None:
    world = trained()
    world.refuse[RegisterVersion] = (reason, "gone")
    world.settle()
    assert world.told("Failed") == ("True", reason)
    world.refuse.clear()
    assert world.ask("again").settle().creations == ["iris-1", "iris-2"]


@pytest.mark.parametrize("status", ["PENDING_REGISTRATION", "FAILED_REGISTRATION"])
def test_a_version_that_is_not_ready_is_never_promoted(status: str) -> None:
    world = trained()
    world.refuse[RegisterVersion] = ("RegistrationFailed", "delete it to have it registered again")
    while not world.refusals:
        world.reconcile()
        if world.plan().actions and isinstance(world.plan().actions[0], RegisterVersion):
            action = world.plan().actions[0]
            assert isinstance(action, RegisterVersion)
            world._register(action)
            world.versions[0] = replace(world.versions[0], status=status)
    world.restart().settle()
    assert (world.told("Registered"), world.aliases) == (("False", "RegistrationFailed"), {})


def test_a_registration_that_is_pending_is_progress() -> None:
    world = trained()
    world.refuse[RegisterVersion] = ("RegistrationPending", "still PENDING_REGISTRATION")
    world.settle()
    assert world.told("Reconciling") == ("True", "ProgressingWithRetry")


def test_an_alias_that_somebody_moved_meanwhile_is_read_again() -> None:
    # given somebody moves the alias after it was read and before it is set
    world = trained()
    while not any(isinstance(action, MoveAlias) for action in world.plan().actions):
        world.reconcile()
    world.aliases["iris", "challenger"] = "7"
    world.reconcile()
    world.reconcile()
    assert world.told("Reconciling") == ("True", "ProgressingWithRetry")
    world.wait(600).settle()
    assert world.aliases["iris", "challenger"] == "1"
    assert [a.expected for a in world.done if isinstance(a, MoveAlias)] == ["7"]


def test_an_alias_that_somebody_moves_later_stays_where_it_was_put() -> None:
    # a rollback by the AppDeployment, or by hand
    world = complete()
    world.aliases["iris", "challenger"] = "0"
    world.restart().settle().change(historyLimit=3).settle()
    assert world.aliases["iris", "challenger"] == "0"


def test_a_model_that_is_renamed_between_registering_and_promoting_keeps_the_aliases_apart() -> None:
    # regression: the version number of the old model was given to the alias of the new one
    world = trained()
    world.versions.append(replace(complete().versions[0], name="other", version="9", run_id="elsewhere"))
    world.aliases["other", "challenger"] = "9"
    world.refuse[MoveAlias] = ("TrackingUnavailable", "timeout")
    world.settle()
    assert world.told("Registered") == ("True", "VersionRegistered")
    world.refuse.clear()
    world.change(model={"name": "other"}).wait(600).settle()
    version = next(v for v in world.versions if (v.name, v.run_id) == ("other", "run-1"))
    assert world.aliases == {("other", "challenger"): version.version}


def test_a_model_named_after_the_end_is_registered_without_training() -> None:
    world = trained(model=None).settle()
    assert world.versions == []
    world.change(model={"name": "iris"}).settle()
    assert (world.aliases, world.creations) == ({("iris", "challenger"): "1"}, ["iris-1"])


def test_another_alias_after_the_end_is_set_without_training() -> None:
    world = complete().change(model={"name": "iris", "alias": "champion"}).settle()
    assert world.aliases == {("iris", "challenger"): "1", ("iris", "champion"): "1"}
    assert (len(world.versions), world.creations) == (1, ["iris-1"])
    assert world.status["phase"] == "Complete"


def test_another_alias_after_the_end_is_not_set_for_a_run_that_did_not_pass() -> None:
    world = World().settle().completes({"accuracy": 0.5}).settle()
    world.change(model={"name": "iris", "alias": "champion"}).settle()
    assert (world.aliases, world.versions) == ({}, [])


def test_another_alias_without_thresholds_comes_to_rest() -> None:
    world = trained(gate={}).settle().change(model={"name": "iris", "alias": "champion"}).settle()
    assert world.aliases == {}
    assert world.status["phase"] == "Complete"


def test_the_version_leads_back_to_its_run_and_its_gate() -> None:
    tags = complete().versions[0].tags
    assert tags["tandem.dev/run-id"] == "run-1"
    assert tags["tandem.dev/namespace"] == "ml"
    assert tags["tandem.dev/gate"] == "accuracy 0.95 ≥ 0.9"
    assert tags["mlflow.source.git.commit"] == "0123456789abcdef0123456789abcdef01234567"


def test_nothing_is_registered_before_the_lineage_is_written() -> None:
    done = kinds(complete().done)
    assert done.index("TagRun") < done.index("RegisterVersion") < done.index("MoveAlias")


def test_a_version_has_the_digest_that_its_run_tells_of_its_model() -> None:
    world = trained(steps=[{"name": "train", "command": ["x"]}])
    digest = "sha256:" + "1" * 64
    world.last_run.tags |= {"tandem.dev/model-digest.m-1-1": digest, "tandem.dev/model-digest.m-0-1": "another's"}
    world.settle()
    assert world.versions[0].tags[names.TAG_MODEL_DIGEST] == digest


def test_a_digest_that_nobody_could_take_keeps_nothing_back() -> None:
    world = complete()
    assert world.told("Registered") == ("True", "VersionRegistered")
    assert names.TAG_MODEL_DIGEST not in world.versions[0].tags


def test_what_sums_up_the_model_is_no_step_of_the_user() -> None:
    world = World().settle().runs_step("digest").settle()
    assert world.status["run"]["step"] == "train"


# --- versions that the script registered itself, by log_model(registered_model_name=…) -------------------------------


def registered_by_the_script(world: World, model_id: str, number: str = "1") -> World:
    """MLflow 3.17 makes its source models:/<model id>, and knows no tags."""
    source, run = f"models:/{model_id}", world.last_run
    world.versions.append(ModelVersion("iris", number, run.run_id, source, "READY"))
    return world


def test_a_version_that_the_script_registered_is_taken_and_gets_the_lineage() -> None:
    world = registered_by_the_script(trained(), "m-1-1").settle()
    assert world.status["phase"] == "Complete"
    (version,) = world.versions
    assert version.tags == complete().versions[0].tags
    assert world.aliases == {("iris", "challenger"): "1"}


def test_a_version_that_the_script_registered_of_another_model_is_not_promoted() -> None:
    # given a script that registers its first model and logs a second one, which counts
    world = registered_by_the_script(World().settle().completes(models=2), "m-1-1").settle()
    assert [version.source for version in world.versions] == ["models:/m-1-1", "models:/m-1-2"]
    assert world.versions[0].tags == {}
    assert world.aliases == {("iris", "challenger"): "2"}


@pytest.mark.parametrize(
    "source", ["runs:/run-1/model", "models:/m-1-10", "mlflow-artifacts:/1/models/m-1-1/artifacts"]
)
def test_a_version_whose_source_does_not_name_the_model_that_counts_is_left_alone(source: str) -> None:
    world = trained()
    world.versions.append(ModelVersion("iris", "1", "run-1", source, "READY"))
    world.settle()
    assert world.aliases == {("iris", "challenger"): "2"}
    assert world.versions[0].tags == {}


def test_of_two_versions_of_the_model_that_counts_the_first_is_taken_also_when_the_status_was_lost() -> None:
    world = registered_by_the_script(complete(), "m-1-1", "2")
    world.lose_status().restart().settle()
    assert world.status["model"]["version"] == "1"
    assert (world.versions[1].tags, world.aliases) == ({}, {("iris", "challenger"): "1"})


def test_a_tag_that_is_missing_on_the_version_is_written_and_what_is_there_stays() -> None:
    world = trained()
    own = {names.TAG_GATE: "a person's word"}
    world.versions.append(ModelVersion("iris", "1", "run-1", "models:/m-1-1", "READY", own))
    while not world.told("Registered"):
        world.reconcile()
    assert world.versions[0].tags == {**complete().versions[0].tags, **own}
