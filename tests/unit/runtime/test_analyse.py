"""The analysis itself: when it measures, when it stops, and what it leaves behind. Time is the event loop's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from tandem.runtime.analyse import Provider, analyse
from tandem.runtime.analysis.asking import NotMeasured
from tandem.runtime.analysis.instruction import Instruction, Metric, Web
from tandem.runtime.analysis.pods import Begun
from tandem.runtime.analysis.report import Judged, Report
from tandem.runtime.analysis.verdict import NoData, Value

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

GOOD, BAD, AWAY, NOTHING = 0.0, 1.0, "away", None
SCRIPTS = dict[str, list[object]]


def now() -> float:
    """Seconds since the test began."""
    return asyncio.get_running_loop().time()


class Script:
    """Answers one after the other; the last one again and again."""

    def __init__(self, answers: list[object]) -> None:
        self._answers = answers
        self.asked_at: list[float] = []

    async def measure(self) -> Value | NoData | Begun:
        self.asked_at.append(now())
        answer = self._answers[min(len(self.asked_at), len(self._answers)) - 1]
        if answer == AWAY:
            raise NotMeasured("connection refused")
        if isinstance(answer, Begun):
            return answer
        return NoData("no series") if answer is None else Value(float(str(answer)))


def metric(name: str, **fields: object) -> Metric:
    return Metric(name=name, max="0.5", web=Web("http://x"), **fields)  # type: ignore[arg-type]


async def judged(
    metrics: list[Metric], scripts: SCRIPTS, deadline: float = 3600
) -> tuple[Report, dict[str, list[float]], float]:
    """The report, when each metric was measured, and when it ended."""
    asked = {name: Script(answers) for name, answers in scripts.items()}
    provider: Callable[[Metric], Provider] = lambda metric: asked[metric.name]  # noqa: E731
    told = Instruction(metrics=tuple(metrics), since=datetime(2026, 3, 1, tzinfo=UTC), deadline_seconds=deadline)
    report = await analyse(told, provider)
    return report, {name: script.asked_at for name, script in asked.items()}, now()


def of(report: Report, name: str) -> Judged:
    return next(one for one in report.metrics if one.name == name)


async def test_it_measures_count_times_an_interval_apart_and_first_after_the_delay() -> None:
    report, asked, _ = await judged([metric("a", count=3, interval=60, initial_delay=120)], {"a": [GOOD]})
    assert asked["a"] == [120, 180, 240]
    assert (report.phase, of(report, "a").successful) == ("Successful", 3)


async def test_a_failure_ends_it_for_all_at_once() -> None:
    report, asked, ended = await judged(
        [metric("long", count=100), metric("short", count=3, interval=10)], {"long": [GOOD], "short": [GOOD, BAD]}
    )
    assert (report.phase, ended) == ("Failed", 10)
    assert asked["short"] == [0, 10]
    assert of(report, "long").phase == "Inconclusive"  # of it nobody knows


async def test_what_one_cannot_measure_may_still_be_failed_by_another() -> None:
    report, _, _ = await judged(
        [metric("nothing"), metric("slow", count=2, interval=60)], {"nothing": [NOTHING], "slow": [GOOD, BAD]}
    )
    assert (report.phase, of(report, "nothing").phase, of(report, "slow").phase) == ("Failed", "Inconclusive", "Failed")


async def test_a_source_that_does_not_answer_is_asked_again_after_ten_seconds() -> None:
    report, asked, _ = await judged([metric("a", interval=600)], {"a": [AWAY, AWAY, GOOD]})
    assert asked["a"] == [0, 10, 20]
    assert (report.phase, of(report, "a").errors) == ("Successful", 2)


async def test_or_after_the_interval_where_that_is_shorter() -> None:
    _, asked, _ = await judged([metric("a", interval=2)], {"a": [AWAY, GOOD]})
    assert asked["a"] == [0, 2]


async def test_a_source_that_is_away_is_never_a_failure() -> None:
    report, asked, _ = await judged([metric("a")], {"a": [AWAY]})
    assert (report.phase, len(asked["a"])) == ("Inconclusive", 5)
    assert "connection refused (5 times in a row)" in of(report, "a").message


async def test_counters_are_read_once_before_they_count() -> None:
    report, asked, _ = await judged([metric("a", count=2, interval=30)], {"a": [Begun(), GOOD]})
    assert asked["a"] == [0, 30, 60]
    assert of(report, "a").successful == 2


@pytest.mark.parametrize("answer", [BAD, NOTHING, AWAY])
async def test_a_dry_run_is_told_and_decides_nothing(answer: object) -> None:
    report, _, _ = await judged([metric("dry", dry_run=True), metric("wet")], {"dry": [answer], "wet": [GOOD]})
    assert report.phase == "Successful"
    assert of(report, "dry").phase == ("Failed" if answer == BAD else "Inconclusive")
    assert of(report, "dry").dry_run


async def test_a_dry_run_that_fails_stops_nobody() -> None:
    report, asked, _ = await judged(
        [metric("dry", dry_run=True), metric("wet", count=3)], {"dry": [BAD], "wet": [GOOD]}
    )
    assert (report.phase, len(asked["wet"])) == ("Successful", 3)


async def test_nothing_but_dry_runs_is_successful() -> None:
    report, _, _ = await judged([metric("dry", dry_run=True)], {"dry": [BAD]})
    assert report.phase == "Successful"


async def test_when_the_time_is_over_what_is_not_known_is_inconclusive() -> None:
    report, _, ended = await judged(
        [metric("done"), metric("never", count=100, interval=60)], {"done": [GOOD], "never": [GOOD]}, deadline=90
    )
    assert (report.phase, ended) == ("Inconclusive", 90)
    assert of(report, "done").phase == "Successful"
    assert "was not measured in time (2 of 100)" in of(report, "never").message


async def test_a_source_that_hangs_is_cut_off_by_the_deadline() -> None:
    class Hanging:
        async def measure(self) -> Value:
            await asyncio.Event().wait()
            return Value(0)

    told = Instruction(metrics=(metric("a"),), since=datetime(2026, 3, 1, tzinfo=UTC), deadline_seconds=90)
    report = await analyse(told, lambda _: Hanging())
    assert (report.phase, now()) == ("Inconclusive", 90)


@pytest.mark.parametrize("limit", [4096, 2048, 1100])
async def test_a_report_that_would_be_cut_is_made_shorter_and_keeps_every_verdict(limit: int) -> None:
    report = Report("Failed", tuple(Judged(f"m{number}", "Failed", "y" * 3000) for number in range(16)))
    text = report.encoded(limit)
    assert len(text) <= limit
    assert [one["phase"] for one in json.loads(text)["metrics"]] == ["Failed"] * 16
