"""The gate fails closed: whatever is not a clear yes is a no, and says why."""

from __future__ import annotations

import math

import pytest

from tandem.api.plan import Create
from tandem.api.trainingjob import MetricThreshold
from tandem.training.gate import METRICS_LIMIT
from tandem.training.rules import verdict
from tests.unit.training.world import World, complete, kinds, trained

NAN, INF = math.nan, math.inf
MISSING = None


def logged(value: float | None) -> dict[str, float]:
    return {} if value is None else {"m": value}


# value logged, min, max, passed
CASES: list[tuple[float | None, str | None, str | None, bool]] = [
    # a clear yes, a clear no
    (0.95, "0.9", None, True),
    (0.85, "0.9", None, False),
    (0.1, None, "0.2", True),
    (0.3, None, "0.2", False),
    # bounds are inclusive
    (0.9, "0.9", None, True),
    (0.2, None, "0.2", True),
    (0.9, "0.90", None, True),
    (1.0, "1", "1", True),
    (0.0, "0", "0", True),
    (-0.0, "0", "0", True),
    # one step of a double beside the bound
    (math.nextafter(0.9, 0), "0.9", None, False),
    (math.nextafter(0.9, 1), "0.9", None, True),
    (math.nextafter(0.2, 1), None, "0.2", False),
    # doubles are compared as they print, not as they were meant
    (0.1 + 0.2, None, "0.3", False),
    (0.1 + 0.2, "0.3", None, True),
    (0.1 + 0.2, None, "0.30000000000000004", True),
    (1 / 3, "0.3333333333333333", None, True),
    (0.8999999761581421, "0.9", None, False),  # 0.9 as a float32
    # both bounds must hold
    (0.5, "0.4", "0.6", True),
    (0.4, "0.4", "0.6", True),
    (0.6, "0.4", "0.6", True),
    (0.39, "0.4", "0.6", False),
    (0.61, "0.4", "0.6", False),
    # negative numbers
    (-0.5, "-1", None, True),
    (-1.5, "-1", None, False),
    (-1.5, None, "-1", True),
    (-0.5, None, "-1", False),
    (-1.0, "-1", "-1", True),
    # exponents, signs
    (1e-9, "1e-9", None, True),
    (1e-10, "1e-9", None, False),
    (1e300, "1e99", None, True),
    (-1e300, None, "-1e99", True),
    (5.0, "+5", None, True),
    (5e-324, "0", None, True),  # the smallest double
    # no number at all
    (MISSING, "0.9", None, False),
    (MISSING, None, "0.2", False),
    (NAN, "0.9", None, False),
    (NAN, None, "0.2", False),
    (NAN, "0", "1", False),
    (INF, "0.9", None, False),
    (INF, None, "0.2", False),
    (-INF, "0.9", None, False),
    (-INF, None, "0.2", False),
    # MLflow's SQL store keeps an infinity as the largest double
    (1.7976931348623157e308, "0.9", None, False),
    (-1.7976931348623157e308, None, "0.2", False),
    (1.797e308, "0.9", None, False),
    (1.796e308, "0.9", None, True),
    (-1.796e308, None, "0.2", True),
    # a threshold without a bound lets nothing through
    (0.95, None, None, False),
    (NAN, None, None, False),
    (MISSING, None, None, False),
]


@pytest.mark.parametrize(("value", "low", "high", "passed"), CASES)
def test_a_threshold(value: float | None, low: str | None, high: str | None, passed: bool) -> None:
    given = verdict(MetricThreshold(name="m", min=low, max=high), logged(value))
    assert given.passed is passed
    assert (given.message == "") is passed, "a no says why"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.5, "0.5"), (NAN, "NaN"), (INF, "Infinity"), (-INF, "-Infinity"), (1.7976931348623157e308, "Infinity")],
)
def test_a_value_is_shown_as_it_was_logged(value: float, shown: str) -> None:
    assert verdict(MetricThreshold(name="m", min="0"), logged(value)).value == shown


@pytest.mark.parametrize(("value", "shown"), [(0.123456, "0.1235"), (NAN, "NaN"), (INF, "Infinity")])
def test_the_figure_in_the_list_of_resources_is_short_and_names_no_number_otherwise(value: float, shown: str) -> None:
    world = World().settle().completes({"accuracy": value}).settle()
    assert world.status["keyFigure"] == f"accuracy={shown}"


def test_a_run_that_does_not_pass_is_not_registered() -> None:
    world = World().settle().completes({"accuracy": 0.5}).settle()
    assert world.told("Blessed") == ("False", "ThresholdNotMet")
    assert world.told("Stalled") == ("True", "ThresholdNotMet")
    assert "RegisterVersion" not in kinds(world.done)
    assert world.condition("Ready").message == "accuracy is 0.5, the gate wants ≥ 0.9"  # type: ignore[union-attr]


@pytest.mark.parametrize("value", [NAN, INF, -INF, 1.7976931348623157e308])
def test_no_number_moves_an_alias_or_hides_why(value: float) -> None:
    world = World().settle().completes({"accuracy": value}).settle()
    assert world.aliases == {}
    assert "no threshold lets through" in world.condition("Blessed").message  # type: ignore[union-attr]


def test_one_of_many_thresholds_decides() -> None:
    rules = [{"name": "accuracy", "min": "0.9"}, {"name": "loss", "max": "0.1"}]
    world = trained(gate={"metrics": rules})
    world.last_run.metrics["loss"] = 0.2
    world.settle()
    assert world.told("Blessed") == ("False", "ThresholdNotMet")
    assert [v.get("passed", False) for v in world.status["gate"]] == [True, False]


def test_a_metric_that_was_never_logged_is_named_beside_those_that_were() -> None:
    world = World().settle().completes({"acc": 0.99, "loss": 0.1}).settle()
    assert world.told("Blessed") == ("False", "MetricNotFound")
    message = world.condition("Blessed").message  # type: ignore[union-attr]
    assert "accuracy was never logged" in message
    assert "acc, loss" in message


def test_without_thresholds_the_model_is_registered_and_never_promoted() -> None:
    world = trained(gate={}).settle()
    assert world.told("Blessed") == ("Unknown", "NoThresholds")
    assert world.told("Promoted") == ("Unknown", "NoThresholds")
    assert kinds(world.done)[-1] == "RegisterVersion"
    assert world.aliases == {}
    assert world.status["phase"] == "Complete"


def test_a_run_that_was_deleted_in_mlflow_is_not_judged() -> None:
    world = trained()
    world.last_run.deleted = True
    world.settle()
    assert world.told("Blessed") == ("False", "RunDeleted")
    assert world.aliases == {}
    assert world.ask("again").settle().creations == ["iris-1", "iris-2"]


def test_a_gate_that_is_tightened_while_a_run_waits_decides_by_its_new_rules() -> None:
    # given a run that passed and waits for MLflow to be promoted
    world = trained()
    while world.told("Registered") is None:
        world.reconcile()
        if "RegisterVersion" in kinds(world.done):
            world.mlflow_down()
    assert world.told("Blessed") == ("True", "ThresholdsMet")
    # when the gate is tightened before MLflow is back
    world.change(gate={"metrics": [{"name": "accuracy", "min": "0.99"}]}).mlflow_up().wait(600).settle()
    # then the alias stays
    assert world.told("Blessed") == ("False", "ThresholdNotMet")
    assert world.aliases == {}


def test_thousands_of_metrics_do_not_break_the_status() -> None:
    world = World().settle().completes({"accuracy": 0.95, **{f"a{n}": 0.5 for n in range(2000)}}).settle()
    assert len(world.status["metrics"]) == METRICS_LIMIT
    assert world.status["metrics"]["accuracy"] == "0.95"


# --- the gate changes after the end --------------------------------------------------------------------------------


def loosened(world: World) -> World:
    return world.change(gate={"metrics": [{"name": "accuracy", "min": "0.4"}]})


def rejected() -> World:
    return World().settle().completes({"accuracy": 0.5}).settle()


def test_a_run_that_did_not_pass_is_judged_again_by_new_rules_without_training() -> None:
    world = loosened(rejected()).settle()
    assert world.creations == ["iris-1"]
    assert world.status["phase"] == "Complete"
    assert world.aliases == {("iris", "challenger"): "1"}
    assert [entry["result"] for entry in world.status["history"]] == ["Complete"]


def test_judging_again_waits_for_mlflow_and_goes_on() -> None:
    world = loosened(rejected().mlflow_down()).settle()
    assert world.told("Reconciling") == ("True", "ProgressingWithRetry")
    assert world.restart().settle().creations == ["iris-1"]
    world.mlflow_up().wait(600).settle()
    assert (world.creations, world.status["phase"]) == (["iris-1"], "Complete")


def test_judging_again_does_not_need_the_job() -> None:
    world = loosened(rejected().delete_job()).settle()
    assert (world.creations, world.status["phase"]) == (["iris-1"], "Complete")


@pytest.mark.parametrize("gate", [{"metrics": [{"name": "accuracy", "min": "0.99"}]}, {}])
def test_a_run_that_passed_is_not_judged_again(gate: dict[str, object]) -> None:
    world = complete().change(gate=gate).settle()
    assert world.status["phase"] == "Complete"
    assert world.aliases == {("iris", "challenger"): "1"}


def test_rules_that_are_added_judge_a_run_that_had_none() -> None:
    world = trained(gate={}).settle()
    world.change(gate={"metrics": [{"name": "accuracy", "min": "0.9"}]}).settle()
    assert world.aliases == {("iris", "challenger"): "1"}
    assert not any(isinstance(a, Create) for a in world.done[2:])


def test_a_run_that_fails_again_by_new_rules_says_so_and_rests() -> None:
    world = rejected().change(gate={"metrics": [{"name": "accuracy", "min": "0.8"}]}).settle()
    assert world.status["gate"][0]["rule"] == "≥ 0.8"
    assert (world.status["phase"], world.aliases) == ("Failed", {})
