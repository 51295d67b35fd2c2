"""How many pods and how much traffic a step is."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tandem.api.appdeployment import Rollout
from tandem.apps.strategy import pods_for, share_of, steps_of


def rollout(**spec: object) -> Rollout:
    return msgspec.convert(spec, Rollout)


def test_each_strategy_has_its_steps() -> None:
    steps = [{"trafficPercent": 5}, {"trafficPercent": 60}]
    percents = [
        [step.traffic_percent for step in steps_of(each)]
        for each in (rollout(), rollout(strategy="Canary", steps=steps), rollout(strategy="RollingUpdate"))
    ]
    assert percents == [[], [5, 60], [25, 50, 75]]


@pytest.mark.parametrize(
    ("percent", "replicas", "by_pods", "by_weight"),
    [
        (20, 4, 1, 1),
        (25, 3, 1, 1),
        (20, 10, 3, 2),  # 3 of 13 are 23 %: never less than was asked for
        (50, 4, 4, 2),
        (75, 4, 4, 3),  # by pods: half at most
        (100, 4, 4, 4),
        (1, 1, 1, 1),
        (0, 4, 1, 1),  # a preview
        (50, 0, 0, 0),
    ],
)
def test_pods_of_a_step(percent: int, replicas: int, by_pods: int, by_weight: int) -> None:
    assert pods_for(percent, replicas, by_weight=False) == by_pods
    assert pods_for(percent, replicas, by_weight=True) == by_weight


@given(percent=st.integers(1, 100), replicas=st.integers(1, 1000), by_weight=st.booleans())
def test_a_candidate_never_has_more_pods_than_what_serves_and_never_none(
    percent: int, replicas: int, by_weight: bool
) -> None:
    assert 1 <= pods_for(percent, replicas, by_weight=by_weight) <= replicas


@given(percent=st.integers(1, 50), replicas=st.integers(1, 1000))
def test_by_pods_it_gets_at_least_what_was_asked_for(percent: int, replicas: int) -> None:
    assert share_of(pods_for(percent, replicas, by_weight=False), replicas) >= percent


def test_without_pods_there_is_no_share() -> None:
    assert (share_of(0, 0), share_of(0, 3), share_of(1, 0)) == (0, 0, 100)
