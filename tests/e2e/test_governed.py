"""What a spec holds a run to holds on real pods: progress, time to live, approval, the data before."""

from __future__ import annotations

import pytest

from demo.kubectl import condition, is_true
from tests.e2e.governed import ASKED, BRIEF, Facts

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_a_step_that_stands_still_is_ended_and_says_so(governed: Facts) -> None:
    failed, run = condition(governed.hung, "Failed"), governed.hung["status"]["run"]

    assert failed["reason"] == "ProgressDeadlineExceeded"
    assert "no progress for 5 s" in failed["message"]
    assert (run["number"], run["attempts"]) == (1, 1)
    assert governed.hung_pods == ()


def test_a_job_whose_time_to_live_is_over_goes_and_its_record_stays(governed: Facts) -> None:
    run = governed.brief["status"]["run"]

    assert governed.brief_jobs == (f"{BRIEF}-1",), "and nothing trains again for it"
    assert is_true(governed.brief, "Complete")
    assert (run["number"], run["attempts"]) == (1, 1)


def test_an_alias_moves_when_a_person_says_yes_and_not_before(governed: Facts) -> None:
    assert governed.awaiting["status"]["approval"]["state"] == "Awaiting"
    assert "kubectl tandem approve" in condition(governed.awaiting, "Ready")["message"]
    assert governed.aliases_before == {}
    assert governed.aliases_after == {"challenger": "1"}


def test_who_said_yes_and_when_is_told(governed: Facts) -> None:
    approval = governed.approved["status"]["approval"]

    assert (approval["state"], approval["by"]) == ("Approved", "anna")
    assert approval["lastTransitionTime"]
    assert governed.approved["status"]["model"]["alias"] == "challenger"
    assert governed.approved["metadata"]["name"] == ASKED


def test_data_that_differ_from_those_that_passed_stop_the_run_before_it_trains(governed: Facts) -> None:
    """The species are others; file, columns and types are as before."""
    [before], [after] = governed.passed["status"]["data"], governed.refused["status"]["data"]
    failed = condition(governed.refused, "Failed")

    assert (before["verdict"], after["verdict"]) == ("NoBaseline", "Failed")
    assert failed["reason"] == "ChecksFailed"
    assert "species" in failed["message"]
    assert "lInfinity" in failed["message"]
    assert governed.steps == ("fetch", "validate")
    assert governed.refused_aliases == {"challenger": "1"}, "what had passed stays promoted"
