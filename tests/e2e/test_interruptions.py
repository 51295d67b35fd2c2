"""What the cluster or a person interrupts goes on from what it had learned, and costs what it should."""

from __future__ import annotations

import pytest

from demo.kubectl import condition, is_true
from tests.e2e.interrupted import DELETED, EVICTED, FORCED, TOGETHER, TRIED, Facts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_pod_that_is_evicted_is_replaced_and_costs_no_attempt(interrupted: Facts) -> None:
    run = interrupted.evicted["status"]["run"]

    assert is_true(interrupted.evicted, "Complete")
    assert interrupted.evicted["spec"]["backoffLimit"] == 0
    assert (run["disruptions"], run["attempts"], run["number"]) == (1, 1, 1)
    assert run["lastDisruption"]["reason"] == "EvictionByEvictionAPI"


def test_a_checkpoint_outlives_evictions_suspensions_and_retries(interrupted: Facts) -> None:
    assert interrupted.said == {
        EVICTED: "attempt 1: succeeds",
        TRIED: "attempt 2: succeeds",
        FORCED: "attempt 1: succeeds",
    }


def test_a_pod_that_is_deleted_by_force_is_another_attempt_of_the_same_run(interrupted: Facts) -> None:
    run = interrupted.forced["status"]["run"]

    assert is_true(interrupted.forced, "Complete")
    assert (run["number"], run["attempts"]) == (1, 2)


def test_a_job_that_somebody_deletes_ends_its_run_and_says_how_to_go_on(interrupted: Facts) -> None:
    ready = condition(interrupted.deleted, "Ready")

    assert condition(interrupted.deleted, "Failed")["reason"] == ready["reason"] == "JobDeleted"
    assert "tandem.dev/requestedAt" in ready["message"]


def test_whatever_happens_nothing_trains_twice(interrupted: Facts) -> None:
    assert interrupted.jobs == tuple(sorted(f"{name}-1" for name in (EVICTED, TRIED, TOGETHER, FORCED, DELETED)))


def test_a_suspension_takes_the_pods_away_and_costs_no_attempt(interrupted: Facts) -> None:
    assert interrupted.pods == ()
    assert interrupted.suspended["status"]["phase"] == "Suspended"
    assert condition(interrupted.suspended, "Ready")["reason"] == "Suspended"


def test_a_resumed_run_is_the_same_run_and_its_failure_is_tried_again(interrupted: Facts) -> None:
    run = interrupted.tried["status"]["run"]

    assert is_true(interrupted.tried, "Complete")
    assert (run["number"], run["attempts"]) == (1, 2)


def test_two_pods_add_up_what_each_has_by_torchruns_variables(interrupted: Facts) -> None:
    assert is_true(interrupted.together, "Complete")
    assert [line for line in interrupted.sums if line.startswith("rank") and ":" in line] == [
        "rank 0 of 2x1: [4.0, 10.0]",
        "rank 1 of 2x1: [4.0, 10.0]",
    ]


def test_a_rank_that_fails_makes_all_of_them_begin_again(interrupted: Facts) -> None:
    """The first rank waited for the second one, and would have for ever."""
    run = interrupted.together["status"]["run"]

    assert "rank 1 fails" in interrupted.sums
    assert (run["number"], run["attempts"], run.get("disruptions", 0)) == (1, 2, 0)
