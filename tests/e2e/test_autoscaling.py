"""Autoscaling by CPU on real pods: up under load, down without, and never confused by a candidate (`scaled.py`)."""

from __future__ import annotations

import itertools

import pytest

from demo.kubectl import condition
from tests.e2e.scaled import MOST, Facts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_more_load_is_more_pods(busy: Facts) -> None:
    assert busy.grown["spec"]["replicas"] == MOST
    assert condition(busy.grown, "Autoscaled")["message"].startswith("1 to 3 pods, by cpu, memory")


def test_memory_is_measured_as_well_and_the_metric_that_asks_for_more_pods_counts(busy: Facts) -> None:
    """What a metrics-server tells of real pods: some tens of megabytes, of a gigabyte each."""
    assert busy.measured.keys() == {"cpu", "memory"}
    assert not busy.measured["memory"].startswith("0")


def test_what_the_autoscaler_asks_for_is_never_taken_back(busy: Facts) -> None:
    """From one pod up to the most, in whatever steps, and never down while there is load."""
    asked_for = [number for number, _ in itertools.groupby(busy.asked_for)]
    assert asked_for == sorted(set(asked_for))
    assert (asked_for[0], asked_for[-1]) == (1, MOST)


def test_a_candidate_has_as_many_pods_and_is_not_counted(busy: Facts) -> None:
    assert busy.tried == MOST
    assert busy.scale["spec"]["replicas"] == MOST
    assert busy.scale["status"]["replicas"] == MOST
    assert busy.scale["status"]["selector"].endswith("tandem.dev/revision=1")


def test_less_load_is_fewer_pods(busy: Facts) -> None:
    assert busy.shrunk["spec"]["replicas"] == 1


def test_the_operator_has_not_written_the_app_but_for_its_status(busy: Facts) -> None:
    if not busy.written:
        pytest.skip("this cluster keeps no audit log (kind)")
    assert {"deployments", "appdeployments/status"} <= busy.written, "what it does write is seen"
    assert "appdeployments" not in busy.written
    assert "appdeployments/scale" not in busy.written
