"""A judgement from its beginning to its end: one Job for each question, and never the app's fault what is not."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tandem.api import names
from tandem.api.analysis import AnalysisStatus
from tandem.api.plan import Create, Delete, Refusal
from tests.unit.apps.judging import ERRORS, SMOKE, candidate, end, going_on, pod_of, report, running, terminated
from tests.unit.apps.world import World, app, model

PASSED = terminated("analyse", 0, report(errors="Successful"))
FAILED = terminated("analyse", 0, report(errors="Failed"))
UNKNOWN = terminated("analyse", 0, report(errors="Inconclusive"))
BROKEN = terminated("analyse", 1, "Traceback")


def reason(world: World) -> str:
    return world.condition("RolledOut").reason


def passes(world: World, count: int = 8) -> World:
    for _ in range(count):
        world.reconcile()
        world.look()
    return world


def analysis(world: World) -> AnalysisStatus:
    told = world.told.analysis
    assert told is not None
    return told


# --- The four ends ---------------------------------------------------------------------------------------------------


def test_a_candidate_waits_for_its_judgement() -> None:
    world = passes(candidate(ERRORS))
    assert (world.serving, reason(world), len(world.jobs)) == (1, "AnalysisRunning", 1)
    assert (analysis(world).revision, analysis(world).moment, analysis(world).phase) == (2, "promotion", "Running")


def test_one_that_passes_takes_the_traffic() -> None:
    world = passes(candidate(ERRORS), 2)
    end(world, PASSED)
    assert passes(world).serving == 2
    assert (analysis(world).phase, analysis(world).metrics[0].name) == ("Successful", "errors")


def test_one_that_fails_is_set_aside_and_nothing_changes_for_anybody() -> None:
    world = passes(candidate(ERRORS), 2)
    end(world, FAILED)
    assert (passes(world).serving, reason(world), world.record(2).state) == (1, "AnalysisFailed", "Failed")
    assert world.scale == {1: 1, 2: 0}
    assert "errors: 0.5 of errors" in world.condition("RolledOut").message


@pytest.mark.parametrize("ended", [UNKNOWN, BROKEN])
def test_one_that_nobody_can_judge_stays_where_it_is(ended: dict[str, object]) -> None:
    world = passes(candidate(ERRORS), 2)
    end(world, ended)
    assert (passes(world).serving, reason(world), world.record(2).state) == (1, "AnalysisInconclusive", "Candidate")
    assert world.scale == {1: 1, 2: 1}


def test_also_the_first_revision_is_judged_before_anybody_is_sent_to_it() -> None:
    world = passes(app(rollout={"analysis": [ERRORS]}))
    assert (world.serving, reason(world), len(world.jobs)) == (None, "AnalysisRunning", 1)
    end(world, PASSED)
    assert passes(world).serving == 1


def test_a_first_revision_that_crashes_while_it_is_judged_never_has_traffic() -> None:
    """Whatever is measured: what the kubelet tells of its pods counts as well."""
    world = passes(app(rollout={"analysis": [ERRORS]}))
    world.wait(1)
    world.crashed["shop:1"] = world.now
    passes(world)
    assert (world.serving, reason(world), world.scale) == (None, "CrashLoopBackOff", {1: 0})


def test_without_an_analysis_nothing_is_judged() -> None:
    world = app().converge()
    assert (world.serving, world.jobs, world.told.analysis) == (1, {}, None)


# --- One Job for each question ---------------------------------------------------------------------------------------


def test_whoever_asks_twice_asks_one() -> None:
    world = passes(candidate(ERRORS), 20)
    assert [action.id for action in world.done if isinstance(action, Create) and "Job" in action.id] == [
        f"create Job/{next(iter(world.jobs))}"
    ]


def test_a_lost_status_asks_nothing_again() -> None:
    world = passes(candidate(ERRORS))
    before = dict(world.jobs)
    world.lose_status()
    assert passes(world).jobs == before
    end(world, PASSED)
    assert passes(world).serving == 2


def test_a_crash_after_the_job_was_made_finds_it_again() -> None:
    world = candidate(ERRORS)
    before = dict(world.jobs)
    assert passes(world).jobs.keys() == before.keys()


def test_trying_again_measures_anew() -> None:
    world = passes(candidate(ERRORS), 2)
    first = end(world, UNKNOWN)
    passes(world)
    world.annotations[names.REQUESTED_AT_ANNOTATION] = "again"
    passes(world)
    assert (len(going_on(world)), reason(world)) == (1, "AnalysisRunning")
    assert first in world.jobs, "for its log"


def test_other_questions_are_another_judgement_and_the_one_before_is_taken_away() -> None:
    world = passes(candidate(ERRORS), 2)
    (first,) = world.jobs
    world.change(rollout={"analysis": [{**ERRORS, "max": "0.5"}]})
    (second,) = passes(world).jobs
    assert second != first


def test_what_passed_has_passed_when_its_job_is_cleaned_away_while_a_person_is_waited_for() -> None:
    world = passes(candidate(ERRORS, approval="Required"), 2)
    name = end(world, PASSED)
    assert reason(passes(world)) == "AwaitingApproval"
    del world.jobs[name], world.job_pods[name]
    assert (reason(passes(world)), world.jobs) == ("AwaitingApproval", {})
    assert analysis(world).phase == "Successful"


def test_somebody_who_deletes_the_job_has_it_made_again() -> None:
    world = passes(candidate(ERRORS), 2)
    (name,) = world.jobs
    world.jobs.clear()
    assert list(passes(world).jobs) == [name]


# --- Moments ---------------------------------------------------------------------------------------------------------


def test_each_step_and_the_promotion_are_judged_for_themselves() -> None:
    world = candidate(ERRORS, strategy="Canary", steps=[{"trafficPercent": 50}])
    assert analysis(passes(world)).moment == "step-1"
    first = end(world, PASSED)
    assert analysis(passes(world)).moment == "promotion"
    assert [first, *going_on(world)] == list(world.jobs), "the first one stays for its log"
    end(world, PASSED)
    assert passes(world).serving == 2


def test_a_metric_of_one_moment_is_not_measured_at_another() -> None:
    world = candidate(
        {**ERRORS, "at": ["Step"]}, {**SMOKE, "at": ["Promotion"]}, strategy="Canary", steps=[{"trafficPercent": 50}]
    )
    assert [c["name"] for c in _containers(world)] == ["analyse"]
    end(world, PASSED)
    passes(world)
    assert [c["name"] for c in _containers(world)] == ["job-smoke"]


def test_after_the_switch_it_is_judged_once_more_and_what_fails_then_is_rolled_back() -> None:
    world = candidate({**ERRORS, "at": ["Promotion", "Watch"]}, watchSeconds=600)
    end(world, PASSED)
    assert (passes(world).serving, analysis(world).moment, analysis(world).phase) == (2, "watch", "Running")
    end(world, FAILED)
    assert (passes(world, 20).serving, world.record(2).state) == (1, "Failed")


def test_a_watch_measures_until_it_is_over() -> None:
    world = candidate({**ERRORS, "at": ["Promotion", "Watch"], "interval": "1m"}, watchSeconds=600)
    assert _told(world)["metrics"][0]["count"] == 1
    end(world, PASSED)
    passes(world)
    assert (_told(world)["metrics"][0]["count"], _told(world)["deadlineSeconds"]) == (10, 625)


# --- Faults of what is not judged ------------------------------------------------------------------------------------


def test_a_job_that_is_refused_holds_the_rollout() -> None:
    world = passes(candidate(ERRORS), 2)
    (name,) = world.jobs
    world.jobs.clear()
    world.refusals = {
        f"create Job/{name}": Refusal("Forbidden", "exceeded quota", world.now, world.now + timedelta(hours=1), 3)
    }
    assert (passes(world).serving, reason(world)) == (1, "AnalysisInconclusive")
    assert "exceeded quota" in world.condition("RolledOut").message


def test_an_api_server_that_is_away_is_waited_for() -> None:
    world = passes(candidate(ERRORS), 2)
    (name,) = world.jobs
    world.jobs.clear()
    away = Refusal("ServerTimeout", "try again", world.now, world.now + timedelta(seconds=5), 1)
    world.refusals = {f"create Job/{name}": away}
    assert reason(passes(world)) == "AnalysisRunning"


def test_a_model_version_that_no_run_has_made_has_no_metrics_of_a_run() -> None:
    world = model("1", rollout={"analysis": [{"name": "acc", "min": "0.9", "mlflow": {"metric": "accuracy"}}]})
    world.run_ids["1"] = ""
    assert (reason(passes(world)), world.jobs) == ("AnalysisInconclusive", {})
    assert "was made by no run of MLflow's" in world.condition("RolledOut").message


# --- What is told of it ----------------------------------------------------------------------------------------------


def test_of_two_from_the_same_second_the_one_that_goes_on_is_told_and_they_do_not_take_turns() -> None:
    """Of another revision, because of one revision there is one judgement."""
    world = passes(app(rollout={"analysis": [ERRORS]}))
    end(world, PASSED)
    passes(world)
    world.change(image="shop:2")
    passes(world, 4)
    first, second = world.jobs.values()
    second["metadata"]["creationTimestamp"] = first["metadata"]["creationTimestamp"]
    for _ in range(3):
        passes(world, 1)
        assert (analysis(world).revision, analysis(world).phase) == (2, "Running")


def test_what_was_going_on_in_a_job_that_is_gone_is_told_no_more() -> None:
    world = passes(candidate(ERRORS))
    assert analysis(world).phase == "Running"
    world.annotations["tandem.dev/abort"] = "2"
    assert passes(world).told.analysis is None


# --- What is left of it ----------------------------------------------------------------------------------------------


def test_a_judgement_that_nobody_waits_for_any_more_is_ended() -> None:
    world = passes(candidate(ERRORS), 2)
    (name,) = world.jobs
    world.change(image="shop:1")  # back to what serves
    assert name not in passes(world).jobs


def test_an_aborted_revision_is_not_measured_any_further() -> None:
    world = passes(candidate(ERRORS), 2)
    world.annotations["tandem.dev/abort"] = "2"
    assert passes(world).jobs == {}


def test_the_log_of_a_judgement_that_failed_stays() -> None:
    world = passes(candidate(ERRORS), 2)
    name = end(world, FAILED)
    assert name in passes(world, 20).jobs


def test_its_log_stays_also_where_it_failed_before_all_its_containers_had_ended() -> None:
    world = passes(candidate(ERRORS, SMOKE), 2)
    (name,) = world.jobs
    world.job_pods[name] = [pod_of(world.jobs[name], FAILED, running("job-smoke"))]
    assert name in passes(world, 20).jobs
    assert (reason(world), analysis(world).phase, world.scale) == ("AnalysisFailed", "Failed", {1: 1, 2: 0})
    world.annotations[names.REQUESTED_AT_ANNOTATION] = "again"
    assert name not in passes(world).jobs


def test_the_service_goes_with_the_analysis() -> None:
    world = passes(candidate(ERRORS), 2)
    end(world, PASSED)
    assert "shop-analysis" in passes(world).services
    world.change(rollout={})
    assert "shop-analysis" not in passes(world).services
    assert any(isinstance(action, Delete) and action.kind == "Service" for action in world.done)


def test_a_world_at_rest_after_a_judgement_is_left_alone() -> None:
    world = passes(candidate(ERRORS), 2)
    end(world, PASSED)
    world.converge()
    assert world.plan().actions == ()
    assert world.plan().status == world.status


def _told(world: World) -> dict[str, Any]:
    """The instruction of the one container that measures."""
    told: dict[str, Any] = json.loads(_containers(world)[0]["env"][1]["value"].replace("$$", "$"))
    return told


def _containers(world: World) -> list[dict[str, Any]]:
    (name,) = going_on(world)
    job = world.jobs[name]
    found: list[dict[str, Any]] = job["spec"]["template"]["spec"]["containers"]
    return found
