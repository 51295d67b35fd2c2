"""The baseline is what serves now: found by alias, compared on the same bytes, judged anew when it moves on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from tandem.api.facts import ModelVersion
from tandem.api.plan import MoveAlias, TagVersion
from tandem.api.trainingjob_status import GateVerdict
from tests.unit.training.cluster import DATA_DIGEST
from tests.unit.training.world import World, complete, kinds

NOT_WORSE = {"name": "accuracy", "min": "0.5", "change": {"direction": "HigherIsBetter", "absolute": "-0.01"}}
GATE: dict[str, Any] = {"metrics": [NOT_WORSE]}
ONLY_A_CHANGE = {"metrics": [{"name": "accuracy", "change": {"direction": "HigherIsBetter", "absolute": "0"}}]}


def serving(world: World, accuracy: float, alias: str = "champion", digest: str = DATA_DIGEST) -> World:
    """Version 7 of another run serves."""
    world.versions.append(
        ModelVersion("iris", "7", "elsewhere", "", "READY", {"tandem.dev/data.iris": digest}, {"accuracy": accuracy})
    )
    world.aliases["iris", alias] = "7"
    world.metrics_elsewhere = {"elsewhere": {"accuracy": accuracy}}
    return world


def judged(accuracy: float, world: World | None = None, gate: dict[str, Any] | None = None) -> World:
    world = (world or World()).change(gate=gate or GATE).settle()
    return world.completes({"accuracy": accuracy}).settle()


def verdict_of(world: World, place: int = 0) -> GateVerdict:
    return msgspec.convert(world.status["gate"][place], GateVerdict)


# --- which version it is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("accuracy", "blessed"), [(0.93, "True"), (0.92, "True"), (0.91, "False")])
def test_the_champion_is_what_a_change_is_measured_against(accuracy: float, blessed: str) -> None:
    world = judged(accuracy, serving(World(), 0.93))
    assert world.told("Blessed") == (blessed, "ThresholdsMet" if blessed == "True" else "ThresholdNotMet")
    assert (verdict_of(world).baseline, verdict_of(world).baseline_version) == ("0.93", "7")


def test_the_alias_of_the_baseline_can_be_another() -> None:
    gate = {**GATE, "baseline": {"alias": "production"}}
    world = judged(0.8, serving(World(), 0.93, alias="production"), gate)
    assert world.told("Blessed") == ("False", "ThresholdNotMet")


def test_while_the_alias_names_nothing_the_model_s_own_alias_is_the_baseline() -> None:
    """A misspelt alias does not make every run the first one."""
    world = judged(0.8, serving(World(), 0.93, alias="challenger"), {**GATE, "baseline": {"alias": "champoin"}})
    assert world.told("Blessed") == ("False", "ThresholdNotMet")
    assert verdict_of(world).baseline_version == "7"


def test_the_alias_that_serves_counts_more_than_the_one_that_was_moved_last() -> None:
    world = serving(World(), 0.93)
    world.versions.append(replace(world.versions[0], version="8", run_id="rejected"))
    world.metrics_elsewhere["rejected"] = {"accuracy": 0.99}
    world.aliases["iris", "challenger"] = "8"
    assert judged(0.95, world).told("Blessed") == ("True", "ThresholdsMet")


def test_a_gate_without_changes_asks_for_no_baseline() -> None:
    world = complete()
    assert not any(type(query).__name__ == "VersionNumbered" for query in world.answers)
    assert verdict_of(world).baseline_version == ""


# --- the first model -------------------------------------------------------------------------------------------------


def test_the_first_model_is_judged_by_its_other_rules() -> None:
    world = judged(0.95)
    assert world.told("Blessed") == ("True", "ThresholdsMet")
    assert "nothing is at models:/iris@champion yet" in verdict_of(world).message
    assert world.aliases == {("iris", "challenger"): "1"}


def test_a_first_model_that_can_only_be_compared_has_no_verdict_and_is_not_promoted() -> None:
    world = judged(0.95, gate=ONLY_A_CHANGE)
    assert world.told("Blessed") == ("Unknown", "NoBaseline")
    assert world.told("Promoted") == ("Unknown", "NoBaseline")
    assert (world.aliases, len(world.versions)) == ({}, 1)
    assert "set the alias by hand" in world.condition("Blessed").message  # type: ignore[union-attr]


def test_the_second_model_is_compared_with_the_first() -> None:
    world = judged(0.95)
    world.ask("again").settle().completes({"accuracy": 0.8}).settle()
    assert world.told("Blessed") == ("False", "ThresholdNotMet")
    assert world.aliases == {("iris", "challenger"): "1"}


# --- the same data ---------------------------------------------------------------------------------------------------

ELSEWHERE = "sha256:" + "77" * 32


def test_what_was_measured_on_other_data_is_not_compared_and_nothing_is_promoted() -> None:
    world = judged(0.99, serving(World(), 0.5, digest=ELSEWHERE))
    assert world.told("Blessed") == ("False", "VerdictUnknown")
    assert verdict_of(world).result == "Unknown"
    assert "iris was sha256:777777777777, is sha256:cdcdcdcdcdcd" in verdict_of(world).message
    assert kinds(world.done).count("RegisterVersion") == 0


def test_compared_all_the_same_it_carries_the_caveat() -> None:
    gate = {**GATE, "baseline": {"onDifferentData": "Compare"}}
    world = judged(0.99, serving(World(), 0.5, digest=ELSEWHERE), gate)
    assert world.told("Blessed") == ("True", "ThresholdsMet")
    assert "was measured on other data" in verdict_of(world).message


def test_only_the_data_that_metrics_are_measured_on_have_to_be_the_same() -> None:
    data = [{"name": name, "storageUri": f"https://data.example/{name}.csv"} for name in ("train", "holdout")]
    world = serving(World().change(data=data), 0.5)
    world.versions[0] = replace(world.versions[0], tags={"tandem.dev/data.holdout": DATA_DIGEST})
    assert judged(0.99, world, {**GATE, "baseline": {"data": ["holdout"]}}).told("Blessed") == ("True", "ThresholdsMet")


def test_without_data_there_is_no_digest_to_compare_by() -> None:
    world = judged(0.99, serving(World().change(data=None), 0.5))
    assert world.told("Blessed") == ("False", "VerdictUnknown")
    assert "spec.data is empty" in verdict_of(world).message


def test_a_baseline_that_the_run_measured_itself_needs_no_digest() -> None:
    rule = {"name": "accuracy", "change": {**NOT_WORSE["change"], "baselineMetric": "old"}}  # type: ignore[dict-item]
    world = serving(World(), 0.5, digest=ELSEWHERE).change(gate={"metrics": [rule]}).settle()
    world.completes({"accuracy": 0.8, "old": 0.9}).settle()
    assert world.told("Blessed") == ("False", "ThresholdNotMet")
    assert verdict_of(world).baseline == "0.9"


# --- what cannot be read ---------------------------------------------------------------------------------------------


def test_a_version_that_was_deleted_under_its_alias_is_no_first_model() -> None:
    world = serving(World(), 0.93)
    world.versions.clear()
    assert judged(0.95, world).told("Blessed") == ("False", "VerdictUnknown")
    assert "which MLflow does not know" in verdict_of(world).message


def test_mlflow_that_is_away_is_waited_for() -> None:
    world = serving(World(), 0.93).change(gate=GATE).settle().completes({"accuracy": 0.92})
    for _ in range(20):
        world.reconcile()
        if any(type(query).__name__ == "VersionNumbered" for query in world.answers):
            break
        world.mlflow_up()
    world.mlflow_down().restart().settle()
    assert world.told("Reconciling") == ("True", "ProgressingWithRetry")
    assert world.mlflow_up().wait(600).settle().told("Blessed") == ("True", "ThresholdsMet")


# --- crashes and time ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("crash", range(12))
def test_a_model_that_has_become_the_champion_is_not_measured_against_itself(crash: int) -> None:
    """The alias was moved and the operator died before it said so: at least 0.01 better than itself is nobody."""
    better = {
        "metrics": [{"name": "accuracy", "min": "0.5", "change": {"direction": "HigherIsBetter", "absolute": "0.01"}}]
    }
    world = serving(World(), 0.9).change(gate=better, model={"name": "iris", "alias": "champion"}).settle()
    world.completes({"accuracy": 0.95})
    for _ in range(crash):
        world.reconcile()
    world.reconcile(crash_after=1)
    world.lose_status().restart().settle()
    assert world.told("Promoted") == ("True", "AliasMoved")
    assert (verdict_of(world).baseline, verdict_of(world).value) == ("0.9", "0.95"), (
        "the verdict that it was promoted by"
    )


def test_a_verdict_against_a_champion_that_has_been_replaced_is_given_anew() -> None:
    # given a run that passed and waits to be promoted
    world = serving(World(), 0.9).change(gate=GATE, model={"name": "iris", "approval": "Required"}).settle()
    world.completes({"accuracy": 0.92}).settle()
    assert world.told("Promoted") == ("Unknown", "AwaitingApproval")
    # when a better one takes over meanwhile
    world.versions.append(replace(world.versions[0], version="8", run_id="better"))
    world.metrics_elsewhere["better"] = {"accuracy": 0.99}
    world.aliases["iris", "champion"] = "8"
    world.decide(approved="run-1").settle()
    # then the approval was for nothing
    assert world.told("Blessed") == ("False", "ThresholdNotMet")
    assert ("iris", "challenger") not in world.aliases


# --- what MLflow is told ---------------------------------------------------------------------------------------------


def test_every_verdict_is_a_tag_of_the_run_and_of_the_version() -> None:
    world = judged(0.92, serving(World(), 0.93))
    version = next(v for v in world.versions if v.run_id == "run-1")
    for tags in (world.last_run.tags, version.tags):
        assert (tags["tandem.dev/gate.result"], tags["tandem.dev/gate.rules"]) == ("Passed", "1")
        assert msgspec.json.decode(tags["tandem.dev/gate.01"], type=GateVerdict) == verdict_of(world)
        assert tags["tandem.dev/gate"] == ("accuracy 0.92 ≥ 0.5 and change ≥ -0.01 against champion (baseline 0.93)")


def test_a_run_that_did_not_pass_says_so_too() -> None:
    tags = judged(0.5, serving(World(), 0.93)).last_run.tags
    assert tags["tandem.dev/gate.result"] == "Failed"
    assert "a change of -0.43" in tags["tandem.dev/gate.01"]


def test_a_version_that_was_registered_without_a_verdict_gets_it_before_it_is_promoted() -> None:
    world = World().change(gate=None).settle().completes({"accuracy": 0.95}).settle()
    assert world.versions[0].tags["tandem.dev/gate.result"] == "Unknown"
    world.change(gate={"metrics": [{"name": "accuracy", "min": "0.9"}]}).settle()
    assert world.aliases == {("iris", "challenger"): "1"}
    assert world.versions[0].tags["tandem.dev/gate.result"] == "Passed"
    order = [type(action) for action in world.done]
    assert order.index(TagVersion) < order.index(MoveAlias)
