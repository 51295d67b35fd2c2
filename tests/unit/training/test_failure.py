"""A run that fails, or cannot go on, says where, why, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tandem.api.meta import Json
from tandem.training.failure import LOG_LIMIT
from tests.unit.training.world import SPEC, World


def started() -> World:
    return World().settle().runs_step("train").settle()


def message(world: World) -> str:
    ready = world.condition("Ready")
    assert ready is not None
    return ready.message


def test_a_step_that_exits_names_itself_its_code_and_its_last_lines() -> None:
    world = started().fails(code=3, message="Traceback …\nValueError: no column 'species'\n").settle()
    assert world.told("Ready") == ("False", "BackoffLimitExceeded")
    assert world.told("Stalled") == ("True", "BackoffLimitExceeded")
    assert world.status["phase"] == "Failed"
    failure = world.status["failure"]
    assert (failure["class"], failure["step"], failure["exitCode"]) == ("ExitCode", "train", 3)
    assert failure["log"].endswith("ValueError: no column 'species'\n")
    assert "step train: exited 3" in message(world)
    assert "last line: ValueError: no column 'species'" in message(world)


@pytest.mark.parametrize("step", ["fetch", "features", "train"])
def test_a_failure_in_any_container_names_the_step(step: str) -> None:
    world = started().fails(step=step, code=1).settle()
    assert world.status["failure"]["step"] == step
    assert message(world).startswith(f"step {step}: exited 1")


def test_a_digest_that_does_not_match_names_the_fetch_step_and_is_not_tried_again() -> None:
    world = World().settle().fails(step="fetch", code=3, message="data iris: sha256:ab…, but spec.data pins sha256:cd…")
    world.job_fails("PodFailurePolicy", "Container fetch failed with exit code 3").settle()
    assert world.told("Trained") == ("False", "DigestMismatch")
    assert "step fetch" in message(world)
    assert "spec.data pins" in message(world)


@pytest.mark.parametrize(("code", "reason"), [(2, "InvalidSource"), (4, "FetchFailed"), (1, "BackoffLimitExceeded")])
def test_fetching_gives_the_failure_a_name_of_its_own(code: int, reason: str) -> None:
    world = World().settle().fails(step="fetch", code=code, message="could not fetch").settle()
    assert world.told("Trained") == ("False", reason)


def test_the_exit_codes_of_fetch_mean_nothing_in_a_step_of_the_users() -> None:
    assert started().fails(step="train", code=3).settle().told("Trained") == ("False", "BackoffLimitExceeded")


def test_memory_is_told_apart_from_code() -> None:
    world = started().fails(code=137, reason="OOMKilled").settle()
    assert (world.status["failure"]["class"], world.told("Trained")) == ("OOMKilled", ("False", "OOMKilled"))
    assert "resources.limits.memory" in message(world)


def test_a_pod_that_the_node_evicted_says_so() -> None:
    world = started()
    world.pod("Failed", {}, reason="Evicted", message="The node was low on resource: memory.")
    world.job_fails("BackoffLimitExceeded").settle()
    assert world.status["failure"]["class"] == "Evicted"
    assert "low on resource" in message(world)


def test_a_deadline_names_the_field() -> None:
    world = started().pod("Failed", {"train": {"terminated": {"exitCode": 143, "reason": "Error"}}})
    world.job_fails("DeadlineExceeded", "Job was active longer than specified deadline").settle()
    assert world.told("Trained") == ("False", "DeadlineExceeded")
    assert "spec.activeDeadlineSeconds" in message(world)


def test_a_job_that_fails_without_pods_tells_what_the_job_tells() -> None:
    world = World().settle().job_fails("PodFailurePolicy", "Container train exited with 42").settle()
    assert world.told("Trained") == ("False", "PodFailurePolicy")
    assert "exited with 42" in message(world)


def test_a_job_condition_without_a_reason_still_makes_a_valid_condition() -> None:
    world = World().settle().job_fails("").settle()
    assert world.told("Trained") == ("False", "JobFailed")


def test_a_failed_pod_without_a_failed_container_still_tells_something() -> None:
    world = started().pod("Failed", {}).job_fails("BackoffLimitExceeded", "Job has reached …").settle()
    assert "Job has reached" in message(world)


@pytest.mark.parametrize("reason", ["Evicted", "Preempting", "NodeLost", "Shutdown"])
def test_what_the_cluster_took_away_is_no_fault_of_the_code(reason: str) -> None:
    world = started().pod("Failed", {}, reason=reason).job_fails("BackoffLimitExceeded").settle()
    assert (world.status["failure"]["class"], world.told("Trained")) == ("Evicted", ("False", reason))


def test_a_script_that_sets_its_experiment_is_told_how_to_keep_it() -> None:
    said = 'mlflow.exceptions.MlflowException: Active experiment ID 2 does not match environment run ID "x"'
    world = started().fails(message=f"Traceback\n{said}\n").settle()
    assert "spec.tracking.experiment" in message(world)


def test_a_server_that_refuses_the_host_header_is_explained() -> None:
    world = started().fails(message="Invalid Host header - possible DNS rebinding attack detected").settle()
    assert "--allowed-hosts" in message(world)


def test_a_long_log_keeps_its_end_and_the_status_small() -> None:
    world = started().fails(message="x" * 100_000 + "\nthe end").settle()
    assert len(world.status["failure"]["log"]) <= LOG_LIMIT
    assert world.status["failure"]["log"].endswith("the end")


def test_attempts_are_counted_in_the_message() -> None:
    world = started()
    world.job["status"] = {"failed": 2, "active": 1}
    world.settle()
    assert world.status["run"]["attempts"] == 3
    world.fails().job["status"]["failed"] = 3
    assert "after 3 attempts" in message(world.settle())


def test_a_retried_attempt_is_progress_not_failure() -> None:
    world = started().pod("Failed", {"train": {"terminated": {"exitCode": 1, "reason": "Error"}}})
    world.job["status"] = {"failed": 1}
    world.pod("Running", {"fetch": {"running": {}}})
    world.settle()
    assert world.told("Ready") == ("Unknown", "JobRunning")
    assert "attempt 2" in message(world)


def test_the_mlflow_run_of_a_killed_script_is_closed() -> None:
    world = started().fails(code=137, reason="OOMKilled").settle()
    assert world.last_run.status == "FAILED"


def test_a_failure_is_told_at_once_though_mlflow_is_away() -> None:
    world = started().mlflow_down().fails().settle()
    assert world.told("Stalled") == ("True", "BackoffLimitExceeded")
    assert "completionTime" not in world.status["run"], "the MLflow run is still open"
    world.mlflow_up().wait(60).settle()
    assert world.last_run.status == "FAILED"
    assert world.told("Failed") == ("True", "BackoffLimitExceeded")


def test_a_failure_that_waits_for_mlflow_keeps_its_cause_when_the_job_goes() -> None:
    world = started().mlflow_down().fails(code=3).settle().delete_job().settle()
    world.mlflow_up().wait(60).settle()
    assert world.status["failure"]["exitCode"] == 3
    assert world.told("Failed") == ("True", "BackoffLimitExceeded")


def test_a_run_that_failed_does_not_start_again_by_itself() -> None:
    world = started().fails().settle().wait(86_400).restart().settle()
    assert world.creations == ["iris-1"]


# --- obstacles: what keeps a pod from going on ---------------------------------------------------------------------

PULL: Json = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image: not found"}}
CONFIG: Json = {"waiting": {"reason": "CreateContainerConfigError", "message": "container has runAsNonRoot …"}}
NO_SANDBOX = {"type": "PodReadyToStartContainers", "status": "False", "reason": "PodSandboxNotReady"}
NO_NODE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}


def obstructed(kind: str) -> World:
    world = World().settle()
    match kind:
        case "ImagePullBackOff":
            return world.pod("Pending", {"fetch": PULL}, startTime=world.now.isoformat())
        case "ContainerConfigError":
            return world.pod("Pending", {"fetch": CONFIG}, startTime=world.now.isoformat())
    return world.pod("Pending", {}, conditions=[NO_NODE])


@pytest.mark.parametrize("kind", ["ImagePullBackOff", "ContainerConfigError", "Unschedulable"])
def test_an_obstacle_is_progress_for_a_minute_then_needs_a_person_and_heals_by_itself(kind: str) -> None:
    # given a pod that cannot go on
    world = obstructed(kind)
    plan = world.plan()
    assert plan.requeue_after is not None
    assert timedelta(0) < plan.requeue_after <= timedelta(seconds=60), "it looks again when the minute is over"
    world.settle()
    assert world.told("Ready") == ("Unknown", kind)
    # when it lasts
    world.wait(60).settle()
    assert world.told("Stalled") == ("True", kind)
    assert world.told("Failed") is None
    assert "completionTime" not in world.status["run"]
    # when the cause goes away
    world.runs_step("features").settle()
    assert world.told("Ready") == ("Unknown", "JobRunning")
    assert world.creations == ["iris-1"]
    assert world.completes().settle().status["phase"] == "Complete"


def test_a_back_off_that_takes_turns_with_its_pulls_is_told_once() -> None:
    said = "failed to resolve image: not found"
    world = World().settle().pod("Pending", {"fetch": {"waiting": {"reason": "ErrImagePull", "message": said}}})
    before = message(world.settle())
    again = f'Back-off pulling image "x": ErrImagePull: {said}'
    world.pod("Pending", {"fetch": {"waiting": {"reason": "ImagePullBackOff", "message": again}}}).settle()
    assert message(world) == before
    assert said in before


def test_a_pod_that_its_node_cannot_prepare_is_usual_for_a_minute_then_names_the_config_map_and_where_to_look() -> None:
    # given a pod that waits for a ConfigMap: the kubelet tells it in Events only
    world = World(spec={**SPEC, "source": {"configMapRef": {"name": "iris-code"}}}).settle()
    waiting: Json = {"waiting": {"reason": "PodInitializing"}}
    world.pod("Pending", {"fetch": waiting}, startTime=world.now.isoformat(), conditions=[NO_SANDBOX]).settle()
    assert world.told("Ready") == ("Unknown", "JobRunning")
    # when it lasts
    world.wait(60).settle()
    assert world.told("Stalled") == ("True", "PodNotStarted")
    assert "ConfigMap iris-code" in message(world)
    assert "describe pod" in message(world)
    # when the ConfigMap comes
    assert world.runs_step("train").settle().told("Ready") == ("Unknown", "JobRunning")


def test_a_pod_whose_node_is_lost_is_usual_for_a_minute_then_says_what_is_waited_for() -> None:
    world = World().settle().runs_step("train").settle()
    [(name, pod)] = world.pods.items()
    over = (world.now + timedelta(seconds=30)).isoformat()
    pod["metadata"] |= {"deletionTimestamp": over, "deletionGracePeriodSeconds": 30}
    taint = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "unreachable"}
    pod["status"]["conditions"] = [taint]
    assert world.settle().wait(60).settle().told("Ready") == ("Unknown", "JobRunning")
    # when its grace has been over for a minute
    world.wait(30).settle()
    assert world.told("Stalled") == ("True", "PodTerminating")
    assert f"pod {name} was told to end (DeletionByTaintManager: unreachable)" in message(world)
    assert world.creations == ["iris-1"]
    # when the node is given up, and its pod with it
    del world.pods[name]
    assert world.settle().runs_step("train").settle().told("Ready") == ("Unknown", "JobRunning")
    assert world.status["run"]["disruptions"] == 1


def test_a_pod_that_has_ended_before_its_node_was_lost_holds_nothing_up() -> None:
    world = World().settle().completes()
    [pod] = world.pods.values()
    pod["metadata"]["deletionTimestamp"] = world.now.isoformat()
    assert world.settle().status["phase"] == "Complete"


def test_a_job_whose_pods_are_refused_says_where_to_look_after_a_minute() -> None:
    world = World().settle().wait(30).settle()
    assert world.told("Ready") == ("Unknown", "JobRunning")
    world.wait(30).settle()
    assert world.told("Stalled") == ("True", "FailedCreate")
    assert "describe job iris-1" in message(world)
    assert world.runs_step("train").settle().told("Ready") == ("Unknown", "JobRunning")


def test_a_late_step_has_a_minute_of_its_own() -> None:
    # given the second step's image cannot be pulled, hours after the pod has started
    world = World().settle().runs_step("features").settle().wait(7200)
    done = {"terminated": {"exitCode": 0, "finishedAt": world.now.isoformat()}}
    start = (world.now - timedelta(hours=2)).isoformat()
    world.pod("Pending", {"fetch": done, "features": done, "train": PULL}, startTime=start).settle()
    assert world.told("Ready") == ("Unknown", "ImagePullBackOff")
    assert world.wait(60).settle().told("Stalled") == ("True", "ImagePullBackOff")


def test_the_message_names_the_container_the_image_and_what_to_do() -> None:
    world = obstructed("ImagePullBackOff").wait(60).settle()
    assert "container fetch cannot get image tandem-runtime:1" in message(world)
    assert "push it" in message(world)


def test_a_new_spec_gets_past_an_obstacle() -> None:
    world = obstructed("ImagePullBackOff").wait(60).settle().change(image="right:1").settle()
    assert world.creations == ["iris-1", "iris-2"]
    assert world.told("Ready") == ("Unknown", "JobRunning")


# --- the Job is deleted by hand ------------------------------------------------------------------------------------


def test_a_job_that_is_deleted_while_it_runs_fails_its_run_and_says_how_to_go_on() -> None:
    world = started().delete_job().settle()
    assert world.told("Failed") == ("True", "JobDeleted")
    assert "tandem.dev/requestedAt" in message(world)
    assert (world.last_run.status, world.creations) == ("FAILED", ["iris-1"])
    assert world.ask("again").settle().creations == ["iris-1", "iris-2"]


def told_without_asking(world: World, verdict: Callable[[World], bool]) -> list[bool]:
    """Pass by pass until the verdict: whether the Job was not seen, and not asked for either."""
    passes = []
    while not verdict(world):
        passes.append(not world.jobs and world.plan().without != ("iris-1",))
        assert world.reconcile(), "it comes to the verdict"
    return passes


@pytest.mark.parametrize("status", [True, False], ids=["by the status", "by MLflow alone"])
def test_a_job_is_asked_for_before_it_is_told_to_be_gone(status: bool) -> None:
    """Another watch may be late: a run had failed whose Job trained on."""
    world = started().logs({}, status="FAILED").delete_job()
    if not status:
        world = world.lose_status()
    told = told_without_asking(world, lambda world: world.told("Trained") == ("False", "RunFailed"))
    assert told[-1] is False
    assert world.settle().plan().without == (), "it is settled"


def test_a_run_is_not_stopped_before_its_job_was_asked_for() -> None:
    world = started().change(image="right:1")
    told = told_without_asking(world, lambda world: world.last_run.status == "KILLED")
    assert told
    assert not any(told)


def test_nothing_is_asked_for_while_the_job_is_seen() -> None:
    assert started().plan().without == ()


def test_a_job_that_is_deleted_after_its_script_had_finished_counts() -> None:
    world = started().logs({"accuracy": 0.95}).delete_job().settle()
    assert world.told("Trained") == ("True", "RunFinished")
    assert world.status["phase"] == "Complete"


def test_a_step_that_ends_the_mlflow_run_is_not_the_end_of_the_training() -> None:
    # given the first of two steps has logged and ended the MLflow run, when the Job is deleted
    world = World().settle().runs_step("features").settle().logs({"accuracy": 0.99}).delete_job().settle()
    assert world.told("Failed") == ("True", "JobDeleted")
    assert world.aliases == {}


def test_a_job_that_is_deleted_after_the_end_changes_nothing() -> None:
    world = World().settle().completes().settle()
    before = world.status
    world.delete_job().restart().settle()
    assert (world.status, world.creations) == (before, ["iris-1"])


def test_a_job_that_vanishes_while_mlflow_is_away_waits_for_its_verdict() -> None:
    world = started().logs({"accuracy": 0.95}).delete_job().mlflow_down().settle()
    assert world.told("Reconciling") == ("True", "ProgressingWithRetry")
    assert world.mlflow_up().wait(60).settle().status["phase"] == "Complete"


# --- after the last step ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seen", [True, False], ids=["its pod is there", "its pod is gone"])
def test_what_is_interrupted_after_every_step_has_trained(seen: bool) -> None:
    """An evicted pod would begin with the first step again, for a digest that a version can do without."""
    world = started().logs({"accuracy": 0.95})
    world.exits("digest", 143)
    if not seen:
        world.pods.clear()
    said = "Container digest for pod ml/iris-1-0 failed with exit code 143 matching FailJob rule at index 0"
    world.job_fails("PodFailurePolicy", said).settle()
    assert world.told("Trained") == ("True", "StepsComplete")
    assert (world.status["phase"], world.status["model"]["version"]) == ("Complete", "1")
    assert world.creations == ["iris-1"]


def test_the_rule_for_what_comes_after_every_step_is_asked_before_that_for_disruptions() -> None:
    rules = World().settle().job["spec"]["podFailurePolicy"]["rules"]
    codes = {"containerName": "digest", "operator": "NotIn", "values": [0]}
    assert rules[0] == {"action": "FailJob", "onExitCodes": codes}
    assert rules[1]["action"] == "Ignore"


def test_a_policy_of_another_container_is_a_failure() -> None:
    world = started().exits("fetch", 2)
    world.job_fails("PodFailurePolicy", "Container fetch for pod ml/iris-1-0 failed with exit code 2 …").settle()
    assert world.told("Trained") == ("False", "InvalidSource")


def test_what_raises_the_limit_of_a_container_that_is_none_of_the_steps_is_told() -> None:
    world = started().fails(step="fetch", code=137, reason="OOMKilled").settle()
    assert world.told("Ready") == ("False", "OOMKilled")
    assert "raise resources.limits.memory of the steps" in message(world)


# --- two watches -----------------------------------------------------------------------------------------------------

SAID = "Container fetch for pod ml/iris-1-0 failed with exit code 3 matching FailJob rule at index 2"


def test_a_job_that_is_heard_of_before_its_pod_fails_with_what_the_pod_tells() -> None:
    """Two watches keep no order: told at once, it would be one failure with two reasons and two Events."""
    world = World().settle().runs_step("fetch").settle()
    world.job_fails("PodFailurePolicy", SAID).settle()
    assert (world.status["phase"], "failure" in world.status) == ("Running", False)

    world.wait(2).exits("fetch", 3, "sha256:… is not what digest pins").settle()
    assert world.told("Trained") == ("False", "DigestMismatch")
    assert {event.reason for event in world.events if event.type == "Warning"} == {"DigestMismatch"}


def test_a_pod_that_never_tells_is_not_waited_for() -> None:
    world = World().settle().runs_step("fetch").settle()
    world.job_fails("PodFailurePolicy", SAID).settle().wait(11).settle()
    assert world.told("Trained") == ("False", "PodFailurePolicy")


def complete_before_its_pod() -> tuple[World, dict[str, Json]]:
    """The world, and the pods that it has not heard of yet."""
    world = World().settle().completes()
    unseen, world.pods = world.pods, {}
    return world.settle(), unseen


def test_a_job_that_is_complete_before_its_pod_is_heard_of_waits_for_what_the_pod_tells() -> None:
    """The image's digest, without which nobody reproduces the run, is the pod's alone (case 47, seen under load)."""
    world, unseen = complete_before_its_pod()
    assert (world.status["phase"], "image" in world.status) == ("Running", False)

    world.pods = unseen
    world.wait(2).settle()
    assert world.status["phase"] == "Complete"
    assert world.status["image"]["digest"].startswith("sha256:")
    assert world.status["run"]["firstAttemptStartTime"]


def test_a_pod_that_is_gone_before_anybody_saw_it_is_not_waited_for() -> None:
    world, _ = complete_before_its_pod()
    world.wait(11).settle()
    assert (world.status["phase"], "image" in world.status) == ("Complete", False)
