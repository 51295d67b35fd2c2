"""docs/performance.md: made from what was measured, and told with what it takes to judge it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bench.actors import BARE, BARE_MLFLOW, KOPF, SHIPPED, TANDEM, Actor
from bench.page import page
from bench.plots import draw
from bench.results import PARTS, Failover, Latency, Machine, Poison, Restart, Results, Run, Throughput, renewed


def settled(actor: Actor, per_second: float, **requests: int) -> Throughput:
    counted = {kind.replace("_", " "): times for kind, times in requests.items()}
    return Throughput(actor.name, actor.what, 100, 100 / per_second, 0.2, counted)


def restarted(resources: int, cpu_seconds: float, writes: int = 0) -> Restart:
    return Restart(resources, resources, writes, {}, 2.0, cpu_seconds, cpu_seconds, 86, 90.0, 95.0, 0.1)


@pytest.fixture
def results() -> Results:
    machine = Machine(
        "A CPU", 2, 8.0, "Linux 6", {"kopf": "1"}, "abc", "2026-01-01", "python -m bench", [3.0, 5.0, 9.0]
    )
    return Results(
        [Run([*PARTS], machine)],
        [
            settled(BARE, 200, create_jobs=100, patch_status=100),
            settled(TANDEM, 150, create_jobs=100, patch_status=100),
            settled(KOPF, 50, create_jobs=100, patch_status=130),
            settled(BARE, 100, create_jobs=100, patch_status=100),
            settled(TANDEM, 75, create_jobs=100, patch_status=100),
            settled(KOPF, 25, create_jobs=100, patch_status=150),
        ],
        [Latency(BARE.name, 10, [1.0, 2.0, 3.0]), Latency(SHIPPED.name, 10, [10.0, 20.0, 30.0])],
        [restarted(0, 1.0), restarted(100, 2.0), restarted(200, 3.0)],
        [Failover("kill -9", 100, 50, 15, 16.0, 16.5, 1, 50, 0, 0, 0)],
        [Poison(99, True, 99.0, {"create jobs": 99}, 1, "InvalidSpec")],
    )


def rows(text: str, first: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_throughput_is_told_as_a_share_of_the_bare_client(results: Results) -> None:
    shares = {name: rows(page(results, ()), name)[0][2] for name in (BARE.name, TANDEM.name, KOPF.name)}

    assert shares == {BARE.name: "1.00", TANDEM.name: "0.75 (0.75 to 0.75)", KOPF.name: "0.25 (0.25 to 0.25)"}


def test_a_share_is_told_with_the_least_and_the_most_of_its_rounds(results: Results) -> None:
    uneven = [settled(BARE, 100), settled(TANDEM, 90), settled(BARE, 100), settled(TANDEM, 40)]
    shown = page(msgspec.structs.replace(results, throughput=uneven), ())

    assert rows(shown, TANDEM.name)[0][2] == "0.65 (0.40 to 0.90)"


def test_of_a_single_round_there_is_no_least_and_no_most(results: Results) -> None:
    single = [settled(BARE, 100), settled(TANDEM, 90)]

    assert rows(page(msgspec.structs.replace(results, throughput=single), ()), TANDEM.name)[0][2] == "0.90"


def test_requests_are_exact_or_a_span(results: Results) -> None:
    told = {name: rows(page(results, ()), name)[1] for name in (TANDEM.name, KOPF.name)}

    assert told[TANDEM.name][1:] == ["2", "create jobs 1, patch status 1", "0"]
    assert told[KOPF.name][1:] == ["2.3 to 2.5", "create jobs 1, patch status 1.3 to 1.5", "0"]


def test_each_row_is_held_against_the_client_that_does_the_same(results: Results) -> None:
    asks = settled(BARE_MLFLOW, 187.5), settled(BARE_MLFLOW, 93.75)
    shown = page(msgspec.structs.replace(results, throughput=[*results.throughput, *asks]), ())

    assert rows(shown, TANDEM.name)[0][2:4] == ["0.75 (0.75 to 0.75)", "0.80 (0.80 to 0.80)"]
    assert rows(page(results, ()), TANDEM.name)[0][2:4] == ["0.75 (0.75 to 0.75)", ""], "it was not measured"


def test_a_restart_tells_what_was_looked_at_and_written(results: Results) -> None:
    assert rows(page(results, ()), "200")[0][1:3] == ["200", "0"]
    assert "Twice the resources cost 2.00 times the CPU" in page(results, ())


def test_the_page_says_how_much_others_disturbed(results: Results) -> None:
    assert "5 % (median), 9 % (most)" in page(results, ())


def test_the_page_says_which_run_each_part_is_of(results: Results) -> None:
    (run,) = results.runs
    other = Run(["latency"], msgspec.structs.replace(run.machine, commit="def"))
    shown = page(renewed(results, msgspec.structs.replace(results, runs=[other])), ())

    assert rows(page(results, ()), "commit, date") == [["commit, date", "abc, 2026-01-01"]]
    assert "|  | everything |" in page(results, ())
    assert "|  | throughput, restart, failover, poison | latency |" in shown
    assert rows(shown, "commit, date") == [["commit, date", "abc, 2026-01-01", "def, 2026-01-01"]]


def test_every_plot_is_shown_and_small_and_the_same_again(results: Results, tmp_path: Path) -> None:
    plots = draw(results, tmp_path / "one")
    again = draw(results, tmp_path / "two")

    assert plots == again == ["throughput.svg", "latency.svg", "restart.svg"]
    for plot in plots:
        assert f"(performance/{plot})" in page(results, plots)
        assert (tmp_path / "one" / plot).stat().st_size < 100_000
        assert (tmp_path / "one" / plot).read_bytes() == (tmp_path / "two" / plot).read_bytes()


@pytest.mark.parametrize("part", ["throughput", "latency", "restart", "failover", "poison"])
def test_a_part_that_was_not_measured_is_not_on_the_page(results: Results, part: str, tmp_path: Path) -> None:
    without = msgspec.structs.replace(results, **{part: []})
    headings = {"throughput": "## Throughput", "latency": "## From a resource", "restart": "## Restart"}
    headings |= {"failover": "## Fail-over", "poison": "## A resource that nobody can read"}

    shown = page(without, draw(without, tmp_path))

    assert {name for name, heading in headings.items() if heading in shown} == headings.keys() - {part}
    assert f"{part}.svg" not in shown
