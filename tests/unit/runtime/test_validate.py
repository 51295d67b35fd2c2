"""The report of a validate step fits where Kubernetes keeps it; its message names the worst and says how much more."""

from __future__ import annotations

import json

import pytest

from tandem.runtime.quality.findings import Finding
from tandem.runtime.validate import Judged, Report, in_words


@pytest.mark.parametrize("limit", [4096, 3072, 1024, 682])
def test_a_report_that_would_be_cut_is_made_shorter_and_stays_json(limit: int) -> None:
    report = Report(
        (
            Judged("fine", "Passed", "x" * 900),
            *(Judged(f"bad-{number}", "Failed", "column a: " + "y" * 3000) for number in range(3)),
        )
    )
    text = report.encoded(limit)
    assert len(text) <= limit
    told = json.loads(text)["data"]
    assert [one["verdict"] for one in told] == ["Passed", "Failed", "Failed", "Failed"]
    assert told[1]["message"].startswith("column a: ")


def test_the_largest_report_of_the_shortest_messages_fits() -> None:
    """16 data sets in a pod of three containers: the most that have a report at all."""
    report = Report(tuple(Judged("n" * 63, "NoBaseline", "x" * 4000) for _ in range(16)))
    assert len(report.encoded(3072)) <= 3072


def test_a_few_findings_are_told_and_the_rest_counted() -> None:
    findings = tuple(Finding("K", f"breaks rule {number}", "a", 1, 2, ("v",)) for number in range(7))
    told = in_words(findings)
    assert told.startswith("column a: 1 of 2 values breaks rule 0 (v); column a: ")
    assert told.endswith("; and 2 more in the run's artifact checks.json")
