"""How a judgement ended: what is a verdict, and what is merely a fault of something that is not judged."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from tandem.api.analysis import Metric
from tandem.api.children import Job, Pod
from tandem.api.meta import Json
from tandem.apps.analysis_result import LAG, PATIENCE, Result, result_of
from tests.unit.apps.deployments import START
from tests.unit.apps.judging import ERRORS, SMOKE, job_of, over, pod_of, report, running, terminated, waiting

DISRUPTED: Json = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "EvictionByEvictionAPI",
    "message": "drained",
}
NO_NODE: Json = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
NOT_STARTED: Json = {"type": "PodReadyToStartContainers", "status": "False"}


def result(job: Json, *pods: Json, metrics: tuple[Json, ...] = (ERRORS,), after: timedelta = timedelta()) -> Result:
    return result_of(
        msgspec.convert(job, Job),
        [msgspec.convert(pod, Pod) for pod in pods],
        [msgspec.convert(metric, Metric) for metric in metrics],
        START + after,
    )


# --- Verdicts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["Successful", "Failed", "Inconclusive"])
def test_what_the_runtime_wrote_last_is_the_verdict(phase: str) -> None:
    job = job_of(over("Complete"))
    found = result(job, pod_of(job, terminated("analyse", 0, report(errors=phase)), phase="Succeeded"))
    assert (found.phase, found.message) == (phase, "errors: 0.5 of errors")
    assert [(one.name, one.phase) for one in found.metrics] == [("errors", phase)]


@pytest.mark.parametrize(
    ("code", "phase"), [(0, "Successful"), (1, "Failed"), (2, "Inconclusive"), (137, "Inconclusive")]
)
def test_a_container_of_the_users_says_it_by_its_exit_code(code: int, phase: str) -> None:
    job = job_of(over("Failed") if code else over("Complete"))
    found = result(job, pod_of(job, terminated("job-smoke", code, "2 of 9 failed\n")), metrics=(SMOKE,))
    assert (found.phase, found.message) == (phase, f"smoke: exited with code {code}; its last line: 2 of 9 failed")


def test_out_of_memory_is_no_verdict_whatever_the_code() -> None:
    job = job_of(over("Failed"))
    found = result(job, pod_of(job, terminated("job-smoke", 1, "", "OOMKilled")), metrics=(SMOKE,))
    assert (found.phase, found.message) == ("Inconclusive", "smoke: ran out of memory")


def test_one_failure_decides_before_the_others_have_ended() -> None:
    job = job_of()
    pod = pod_of(job, running("analyse"), terminated("job-smoke", 1))
    assert result(job, pod, metrics=(ERRORS, SMOKE)).phase == "Failed"


def test_what_nobody_knows_of_one_waits_for_the_verdict_on_the_others() -> None:
    job = job_of()
    pod = pod_of(job, running("analyse"), terminated("job-smoke", 2))
    assert result(job, pod, metrics=(ERRORS, SMOKE)).phase == "Running"
    pod = pod_of(job, terminated("analyse", 0, report(errors="Successful")), terminated("job-smoke", 2))
    assert result(job, pod, metrics=(ERRORS, SMOKE)).phase == "Inconclusive"


def test_a_dry_run_is_told_and_decides_nothing() -> None:
    job, dry = job_of(over("Failed")), {**SMOKE, "dryRun": True}
    pod = pod_of(job, terminated("analyse", 0, report(errors="Successful")), terminated("job-smoke", 1))
    found = result(job, pod, metrics=(ERRORS, dry))
    assert found.phase == "Successful"
    assert found.message == "errors: 0.5 of errors; smoke (dry run): Failed: exited with code 1"


def test_whether_it_is_a_dry_run_is_said_by_the_spec_and_by_nothing_in_the_pod() -> None:
    job = job_of(over("Complete"))
    message = '{"metrics": [{"name": "errors", "phase": "Failed", "dryRun": true}]}'
    assert result(job, pod_of(job, terminated("analyse", 0, message))).phase == "Failed"


def test_the_failed_metric_is_told_first() -> None:
    job = job_of(over("Complete"))
    metrics = ({**ERRORS, "name": "a"}, {**ERRORS, "name": "b"})
    found = result(job, pod_of(job, terminated("analyse", 0, report(a="Successful", b="Failed"))), metrics=metrics)
    assert found.message == "b: 0.5 of b; a: Successful: 0.5 of a"


# --- Faults of what is not judged ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        (terminated("analyse", 137, "", "OOMKilled"), "ran out of memory"),
        (terminated("analyse", 1, "Traceback\nKeyError: 'x'"), "code 1 and without a verdict: KeyError: 'x'"),
        (terminated("analyse", 2, "not a valid instruction"), "code 2 and without a verdict"),
        (terminated("analyse", 0, ""), "without a verdict"),
        (terminated("analyse", 0, "{"), "without a verdict"),
        (terminated("analyse", 0, '{"metrics": []}'), "without a verdict"),
        (terminated("analyse", 0, report(other="Failed")), "without a verdict"),
        (terminated("analyse", 0, '{"metrics": [{"name": "errors", "phase": "Great"}]}'), "without a verdict"),
        # A report counts only from a container that ended well.
        (terminated("analyse", 1, report(errors="Failed")), "without a verdict"),
    ],
)
def test_a_container_without_a_verdict_is_inconclusive(ended: Json, why: str) -> None:
    job = job_of(over("Failed", "BackoffLimitExceeded"))
    found = result(job, pod_of(job, ended, phase="Failed"), after=LAG)
    assert found.phase == "Inconclusive"
    assert why in found.message


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"reason": "Evicted", "message": "low on memory"}, "taken away: low on memory"),
        ({"reason": "NodeLost"}, "taken away: NodeLost"),
        ({"conditions": (DISRUPTED,)}, "taken away: drained"),
    ],
)
def test_a_pod_that_was_taken_away_is_inconclusive(status: dict[str, object], why: str) -> None:
    job = job_of(over("Failed", "BackoffLimitExceeded"))
    found = result(job, pod_of(job, phase="Failed", **status), after=LAG)  # type: ignore[arg-type]
    assert found.phase == "Inconclusive"
    assert why in found.message


def stopped(code: int, at: int) -> Json:
    """A container of the user's that ended so many seconds after the start."""
    ended = terminated("job-smoke", code, "told to stop")
    ended["state"]["terminated"]["finishedAt"] = (START + timedelta(seconds=at)).isoformat()
    return ended


DRAINED_AT_10: Json = {**DISRUPTED, "lastTransitionTime": (START + timedelta(seconds=10)).isoformat()}
# A deletionTimestamp is when its time to end is over.
DELETED_AT_10: Json = {
    "deletionTimestamp": (START + timedelta(seconds=40)).isoformat(),
    "deletionGracePeriodSeconds": 30,
}


@pytest.mark.parametrize("taken", ["drained", "deleted", "evicted by its node"])
@pytest.mark.parametrize("code", [0, 1])
def test_what_a_container_exits_with_because_its_pod_is_taken_away_is_no_verdict(taken: str, code: int) -> None:
    """A handler of SIGTERM may well end with 1 or 0; both mean that it was told to stop."""
    job = job_of()
    pod = pod_of(job, stopped(code, at=12), phase="Failed")
    if taken == "drained":
        pod["status"]["conditions"] = [DRAINED_AT_10]
    elif taken == "deleted":
        pod["metadata"] |= DELETED_AT_10
    else:
        pod["status"] |= {"reason": "Evicted", "message": "low on memory"}
    found = result(job, pod, metrics=(SMOKE,))
    assert (found.phase, found.metrics) == ("Running", ())
    assert found.message.startswith("the pod that measured was taken away: ")
    over_by_now = job_of(over("Failed", "BackoffLimitExceeded"))
    assert result(over_by_now, pod, metrics=(SMOKE,), after=LAG).phase == "Inconclusive"


@pytest.mark.parametrize(("code", "phase"), [(0, "Successful"), (1, "Failed")])
def test_what_it_found_before_its_pod_was_taken_away_counts(code: int, phase: str) -> None:
    job = job_of()
    drained = pod_of(job, stopped(code, at=8), phase="Failed", conditions=(DRAINED_AT_10,))
    deleted = pod_of(job, stopped(code, at=8), phase="Failed")
    deleted["metadata"] |= DELETED_AT_10
    assert [result(job, pod, metrics=(SMOKE,)).phase for pod in (drained, deleted)] == [phase, phase]


def test_while_it_is_measured_again_the_pod_that_was_drained_says_nothing() -> None:
    job = job_of()
    drained = pod_of(job, terminated("analyse", 137), phase="Failed", conditions=(DISRUPTED,), suffix="a")
    assert result(job, drained, pod_of(job, running("analyse"), suffix="b")).phase == "Running"


def test_too_late_is_inconclusive() -> None:
    found = result(job_of(over("Failed", "DeadlineExceeded")))
    assert (found.phase, found.message) == ("Inconclusive", "it did not end in time (the Job's activeDeadlineSeconds)")


def test_a_pod_that_is_gone_has_taken_its_verdict_with_it() -> None:
    found = result(job_of(over("Complete")), after=LAG)
    assert (found.phase, found.message) == (
        "Inconclusive",
        "the pod that measured is gone, and its verdict with it",
    )


@pytest.mark.parametrize("pods", [0, 1])
def test_a_job_that_is_seen_to_end_before_its_pod_is_waited_for(pods: int) -> None:
    job = job_of(over("Complete"))
    seen = [pod_of(job, running("analyse"))][:pods]
    found = result(job, *seen, after=timedelta(seconds=5))
    assert (found.phase, found.again) == ("Running", LAG - timedelta(seconds=5))


# --- What goes on ----------------------------------------------------------------------------------------------------


def test_while_it_goes_on_each_metric_says_since_when_and_until_when() -> None:
    job = job_of(active=1)
    errors = {**ERRORS, "interval": "1m", "count": 5, "initialDelay": "30s"}  # counters are read once more than counted
    pod = pod_of(job, running("analyse"), running("job-smoke"))
    found = result(job, pod, metrics=(errors, SMOKE))
    assert found.message == (
        "errors is measured since 12:00:00Z, until 12:05:30Z if its source answers; "
        "smoke runs since 12:00:00Z, until 12:10:00Z at the latest"
    )
    later = result(job, pod, metrics=(errors, SMOKE), after=timedelta(minutes=2))
    assert later.message == found.message, "a message that follows the clock would be a write at each tick"


def test_what_is_known_already_is_not_waited_for() -> None:
    job = job_of(active=1)
    pod = pod_of(job, terminated("analyse", 0, report(errors="Successful")), running("job-smoke"))
    assert result(job, pod, metrics=(ERRORS, SMOKE)).message.startswith("smoke runs since ")


def test_a_pod_that_is_about_to_start_is_waited_for_by_name() -> None:
    job = job_of(active=1)
    assert result(job, pod_of(job, phase="Pending")).message == "pod shop-0123456789-x starts"


# --- What cannot start -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("containers", "conditions", "why", "patience"),
    [
        ([waiting("job-smoke", "ErrImagePull", "not found")], (), "'smoke:2' cannot be pulled", PATIENCE),
        ([waiting("job-smoke", "ImagePullBackOff", "Back-off")], (), "'smoke:2' cannot be pulled", PATIENCE),
        ([waiting("job-smoke", "InvalidImageName")], (), "'smoke:2' cannot be pulled", PATIENCE),
        ([waiting("job-smoke", "CreateContainerConfigError", "runAsNonRoot")], (), "runAsNonRoot", PATIENCE),
        ([], (NO_NODE,), "no node takes the pod that measures: 0/3 nodes", timedelta(minutes=9)),
        ([], (NOT_STARTED,), "secretRef is missing", PATIENCE),
    ],
)
def test_a_pod_that_cannot_start_is_waited_for_and_then_inconclusive(
    containers: list[Json], conditions: tuple[Json, ...], why: str, patience: timedelta
) -> None:
    job = job_of(active=1)
    pod = pod_of(job, *containers, phase="Pending", conditions=conditions)
    early = result(job, pod, metrics=(SMOKE,), after=timedelta(seconds=1))
    assert (early.phase, early.again) == ("Running", patience - timedelta(seconds=1))
    late = result(job, pod, metrics=(SMOKE,), after=patience)
    assert late.phase == "Inconclusive"
    assert why in late.message


def test_an_image_of_the_runtime_that_cannot_be_pulled_is_told_of_before_the_users_own() -> None:
    job = job_of(active=1)
    of_ours = {**waiting("resolve", "ErrImagePull", "not found"), "image": "tandem/runtime:dev"}
    pod = pod_of(
        job, waiting("job-smoke", "PodInitializing"), phase="Pending", initContainerStatuses=[of_ours], suffix="y"
    )
    assert result(job, pod, metrics=(SMOKE,)).message == "image 'tandem/runtime:dev' cannot be pulled: not found"


def test_a_pull_that_failed_and_its_back_off_are_told_alike() -> None:
    """The two take turns for ever; a message that followed them would be a write at each turn."""
    job = job_of(active=1)
    seen = [
        waiting("job-smoke", "ErrImagePull", "no such host"),
        waiting("job-smoke", "ImagePullBackOff", "ErrImagePull: no such host"),
    ]
    told = {result(job, pod_of(job, one, phase="Pending"), metrics=(SMOKE,)).message for one in seen}
    assert told == {"image 'smoke:2' cannot be pulled: no such host"}


def test_a_job_that_gets_no_pod_is_inconclusive_in_the_end() -> None:
    assert result(job_of(), after=PATIENCE - timedelta(seconds=1)).phase == "Running"
    late = result(job_of(), after=PATIENCE)
    assert late.phase == "Inconclusive"
    assert "kubectl -n team describe job shop-0123456789" in late.message


def test_a_container_of_the_users_that_takes_too_long_is_inconclusive() -> None:
    job, metric = job_of(active=1), {**SMOKE, "job": {"image": "smoke:2", "activeDeadlineSeconds": 60}}
    pod = pod_of(job, running("job-smoke"))
    early = result(job, pod, metrics=(metric,), after=timedelta(seconds=20))
    assert (early.phase, early.again) == ("Running", timedelta(seconds=40))
    late = result(job, pod, metrics=(metric,), after=timedelta(seconds=60))
    assert (late.phase, late.message) == (
        "Inconclusive",
        "smoke: did not end within 60 seconds (activeDeadlineSeconds)",
    )
