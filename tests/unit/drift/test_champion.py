"""What is asked of MLflow, and what each answer means."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import msgspec
import pytest

from tandem.api.facts import ModelNamed, MonitorOf, VersionNumbered
from tandem.api.plan import Draft
from tandem.api.trainingjob import DriftSignal
from tandem.drift.champion import Absent, Champion, Unseen, look
from tandem.drift.detectors import Missing
from tests.unit.drift.world import NOW, World, down, signal

CHANGE = signal(change={"absolute": "-0.02"})


def seen(world: World) -> tuple[Champion | Absent | Unseen, tuple[object, ...]]:
    draft = Draft(world.facts, {}, NOW)
    policy = world.job.spec.retrain.drift
    assert policy is not None
    found = look(draft, world.facts, "iris", policy)
    return found, draft.finish(None).reads


def test_bounds_of_their_own_need_no_question_about_the_champions_run() -> None:
    found, reads = seen(World())
    assert isinstance(found, Champion)
    assert reads == (ModelNamed("iris"), MonitorOf("iris", "1", ("accuracy",)))


def test_a_change_asks_for_the_champions_own_metrics() -> None:
    found, reads = seen(World(signals=(CHANGE,)))
    assert isinstance(found, Champion)
    assert found.metrics == {"accuracy": 0.93}
    assert VersionNumbered("iris", "1") in reads


def test_sample_counts_are_asked_for_with_the_metrics_in_one_question() -> None:
    counted = signal(sampleCountMetric="n", minSamples=10)
    other = {"metric": "f1", "min": "0.5", "sampleCountMetric": "n"}
    assert MonitorOf("iris", "1", ("accuracy", "f1", "n")) in seen(World(signals=(counted, other)))[1]


def test_the_alias_of_the_policy_says_which_version_serves() -> None:
    world = World(spec={"retrain": {"drift": {"alias": "prod", "signals": [signal()]}}})
    found, _ = seen(world)
    assert isinstance(found, Absent)
    assert "alias prod" in found.why


def test_no_version_with_the_alias_is_absent_and_tells_the_command() -> None:
    found, _ = seen(World(champion=None))
    assert isinstance(found, Absent)
    assert "set_registered_model_alias('iris', 'champion', <version>)" in found.why


@pytest.mark.parametrize("query", [ModelNamed, VersionNumbered, MonitorOf])
def test_an_answer_that_is_not_there_yet_says_nothing(query: type) -> None:
    assert seen(World(signals=(CHANGE,), unanswered=(query,)))[0] == Unseen("")


@pytest.mark.parametrize("query", [ModelNamed, VersionNumbered, MonitorOf])
def test_an_unavailable_answer_says_since_when_and_why(query: type) -> None:
    found, _ = seen(World(signals=(CHANGE,), unavailable={query: down()}))
    assert isinstance(found, Unseen)
    assert "since 2026-11-23 12:00:00Z" in found.why
    assert "TrackingUnavailable: connection refused" in found.why


def test_an_answer_that_nothing_monitors_is_an_answer() -> None:
    found, _ = seen(World(monitors={"1": None}))
    assert isinstance(found, Champion)
    assert found.monitor is None


@pytest.mark.parametrize(
    ("rule", "metrics", "why"),
    [
        ("not logged", {"f1": 0.9}, "logged no accuracy"),
        ("NaN", {"accuracy": math.nan}, "accuracy of iris version 1 is NaN"),
        ("MLflow's infinity", {"accuracy": 1.7976931348623157e308}, "is Infinity"),
    ],
)
def test_without_a_number_of_the_champion_there_is_no_baseline(
    rule: str, metrics: Mapping[str, float], why: str
) -> None:
    found, _ = seen(replace(World(signals=(CHANGE,)), versions={"1": metrics}))
    assert isinstance(found, Champion)
    baseline = found.baseline(msgspec.convert(CHANGE, DriftSignal))
    assert isinstance(baseline, Missing), rule
    assert why in baseline.why
