"""What MLflow answers of a TrainingJob's runs, for those who play it: one rule for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tandem.api import names
from tandem.api.facts import LATEST_RUNS, RunNumbered, RunsOf, TrackedRun


def asked_for(query: RunsOf | RunNumbered, runs: Iterable[TrackedRun]) -> tuple[TrackedRun, ...]:
    """Of the runs of the query's resource in its experiment; a number is told with its models, the latest without."""
    if isinstance(query, RunNumbered):
        return tuple(run for run in runs if run.number == query.number)
    passed = [run for run in runs if not query.passed or run.tags.get(names.TAG_GATE_RESULT) == "Passed"]
    return tuple(replace(run, models=()) for run in sorted(passed, key=lambda run: run.number)[-LATEST_RUNS:])
