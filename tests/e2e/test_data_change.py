"""Data that change in their store start one run, asked for by a pod."""

from __future__ import annotations

import pytest

from demo.kubectl import condition
from tests.e2e.fed import JOB, Facts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_data_that_change_start_a_run_that_says_what_changed(fed: Facts) -> None:
    [before], [after] = fed.first["status"]["data"], fed.second["status"]["data"]
    trigger = fed.second["status"]["run"]["trigger"]

    assert trigger["type"] == "DataChange"
    assert trigger["message"] == f"data changed: flowers was {before['version']}, is {after['version']}"
    assert before["digest"] != after["digest"]


def test_one_change_is_one_run_and_the_pod_that_asked_is_gone(fed: Facts) -> None:
    assert [run["trigger"]["type"] for run in fed.second["status"]["history"]] == ["DataChange", "Created"]
    assert sorted(fed.jobs) == [f"{JOB}-1", f"{JOB}-2"]


def test_the_status_says_that_the_store_was_asked(fed: Facts) -> None:
    polled = condition(fed.second, "DataPolled")

    assert (polled["status"], polled["reason"]) == ("True", "Polled")
    assert polled["message"] == "the data are those of the latest run"
