"""Medians, ratios, growth."""

from __future__ import annotations

import pytest

from bench.results import Latency, Machine, Restart, Results, Run, Throughput, growth, percentile, ratio, renewed


def row(actor: str, per_second: float, resources: int = 100) -> Throughput:
    return Throughput(actor, "", resources, resources / per_second, 0.0, {})


def start(resources: int, cpu_seconds: float) -> Restart:
    return Restart(resources, resources, 0, {}, 1.0, cpu_seconds, cpu_seconds, 80, 80.0, 80.0, 0.0)


def run(commit: str, *parts: str) -> Run:
    return Run([*parts], Machine("A CPU", 2, 8.0, "Linux 6", {}, commit, "2026-01-01", "python -m bench", []))


def test_a_part_that_is_measured_again_takes_the_place_of_the_former_and_the_others_stay() -> None:
    former = Results([run("old", "throughput", "latency")], [row("bare", 1)], [Latency("bare", 10, [1.0])], [])
    latest = Results([run("new", "throughput")], [row("bare", 2)], [], [])

    now = renewed(former, latest)

    assert (now.throughput, now.latency) == (latest.throughput, former.latency)
    assert [(it.parts, it.machine.commit) for it in now.runs] == [(["latency"], "old"), (["throughput"], "new")]
    assert renewed(now, Results([run("newer", "throughput", "latency")], [], [], [])).runs == [
        run("newer", "throughput", "latency")
    ], "nothing is left of the others"


@pytest.mark.parametrize(
    ("percent", "value"), [(0, 1.0), (50, 6.0), (90, 10.0), (99, 10.0), (100, 10.0)], ids=lambda value: f"{value:g}"
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, value: float) -> None:
    assert percentile([float(n) for n in range(10, 0, -1)], percent) == value


def test_a_ratio_is_taken_within_each_round() -> None:
    """The second round was slow for both: no reason to call the operator slow."""
    rows = [row("bare", 200), row("ours", 180), row("bare", 20), row("ours", 18), row("bare", 200), row("ours", 180)]

    assert ratio(rows, "ours", "bare", 100) == pytest.approx(0.9)


def test_a_ratio_is_one_of_equal_numbers_of_resources() -> None:
    rows = [row("bare", 200), row("ours", 100), row("bare", 50, 1000), row("ours", 50, 1000)]

    assert ratio(rows, "ours", "bare", 100) == pytest.approx(0.5)
    assert ratio(rows, "ours", "bare", 1000) == pytest.approx(1.0)


def test_growth_leaves_out_what_an_empty_cluster_costs() -> None:
    assert growth([start(0, 1.0), start(1000, 2.0), start(2000, 3.1)]) == pytest.approx(2.1)


@pytest.mark.parametrize(
    "restarts",
    [
        [start(0, 1.0)],
        [start(1000, 2.0), start(2000, 3.0)],
        [start(0, 1.2), start(10, 1.1), start(20, 1.3)],
    ],
    ids=["one size", "no empty cluster", "too few to cost anything"],
)
def test_growth_is_not_told_where_it_cannot_be(restarts: list[Restart]) -> None:
    assert growth(restarts) is None
