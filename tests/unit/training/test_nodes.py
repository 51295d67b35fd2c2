"""A run on several nodes: its pods find each other, begin together, and begin again together."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta

import pytest

from tandem.api import names
from tandem.api.meta import Json
from tandem.api.plan import Apply, Create
from tests.unit.training.cluster import COMMIT, DATA_DIGEST
from tests.unit.training.contract import check_restricted
from tests.unit.training.mlflow import UID
from tests.unit.training.world import World

INDEX = "batch.kubernetes.io/job-completion-index"
OTHER = "sha256:" + "ef" * 32


class Nodes(World):
    """A World whose Job has a pod for each node."""

    def node(self, index: int, phase: str = "Running", code: int | None = None, **others: object) -> Nodes:
        """The pod of one node of the attempt that goes on; with ``code`` its last step has exited so."""
        gang = sum(c["type"] == "Suspended" for c in self.job["status"].get("conditions", [])) and self.attempt
        name = f"{self.job_name}-{index}-{gang}"
        known = self.pods.get(name, {}).get("metadata", {})
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": self.job_name, "controller": True}
        state: Json = {"running": {}}
        if code is not None:
            state = {"terminated": {"exitCode": code, "message": f"node {index}", "finishedAt": self.now.isoformat()}}
        data = [{"name": "iris", "digest": others.pop("digest", DATA_DIGEST)}]
        report = {"commit": others.pop("commit", COMMIT), "data": data}
        fetched = {"terminated": {"exitCode": 0, "message": json.dumps(report), "finishedAt": self.now.isoformat()}}
        self.pods[name] = {
            "metadata": {
                "name": name,
                "uid": name,
                "creationTimestamp": known.get("creationTimestamp", self.now.isoformat()),
                "labels": {INDEX: str(index)},
                "ownerReferences": [{**owner, "uid": self.job["metadata"]["uid"]}],
                **({"deletionTimestamp": self.now.isoformat()} if others.pop("deleted", False) else {}),
            },
            "status": {
                "phase": phase,
                "initContainerStatuses": [{"name": "fetch", "state": fetched}],
                "containerStatuses": [{"name": "train", "state": state}],
                **others,
            },
        }
        self.job["status"]["active"] = sum(pod["status"]["phase"] == "Running" for pod in self.pods.values())
        return self

    @property
    def attempt(self) -> int:
        return len(
            [action for action in self.done if isinstance(action, Apply) and not action.manifest["spec"]["suspend"]]
        )

    @property
    def suspensions(self) -> int:
        return len([action for action in self.done if isinstance(action, Apply) and action.manifest["spec"]["suspend"]])

    def taken(self, index: int, phase: str = "Failed") -> Nodes:
        why = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}
        return self.node(index, phase, 143, conditions=[why])

    def departs(self, index: int, remembered: bool = True) -> Nodes:
        """The pod of a node is gone; ``remembered``: the store has seen it go, and keeps what it was last."""
        [name] = [name for name in self.pods if name.startswith(f"{self.job_name}-{index}-")]
        gone = self.pods.pop(name)
        if remembered:
            self.pods[f"departed-{name}"] = {**gone, "departed": True}
        return self

    def replaced(self, index: int) -> Nodes:
        """The Job controller gives a node another pod."""
        self.node(index)
        [name] = [name for name in self.pods if name.startswith(f"{self.job_name}-{index}-")]
        pod = self.pods.pop(name)
        pod["metadata"] |= {"name": f"{name}-new", "uid": f"{name}-new"}
        self.pods[f"{name}-new"] = pod
        return self


def nodes(count: int = 2, **spec: object) -> Nodes:
    world = Nodes()
    world.change(steps=[{"name": "train", "command": ["torchrun", "t.py"]}], numNodes=count, **spec)
    world.settle()
    for index in range(count):
        world.node(index)
    world.settle()
    return world


def pod_of(world: World) -> Json:
    found: Json = world.job["spec"]["template"]["spec"]
    return found


def variables(world: World) -> Mapping[str, Json]:
    return {entry["name"]: entry for entry in containers_of(world)["train"]["env"]}


def containers_of(world: World) -> Mapping[str, Json]:
    return {one["name"]: one for one in (*pod_of(world)["initContainers"], *pod_of(world)["containers"])}


# --- what is made ----------------------------------------------------------------------------------------------------


def test_a_job_of_several_nodes_is_indexed_and_its_pods_have_names() -> None:
    world = nodes(3)
    spec = world.job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert pod_of(world)["subdomain"] == "iris-nodes"
    service = world.services["iris-nodes"]
    assert (service["spec"]["clusterIP"], service["spec"]["publishNotReadyAddresses"]) == ("None", True)
    assert service["spec"]["selector"].items() <= spec["template"]["metadata"]["labels"].items()
    assert service["metadata"]["ownerReferences"][0]["uid"] == UID
    check_restricted(pod_of(world))


def test_the_service_is_there_before_the_pods_are() -> None:
    made = [action.manifest["kind"] for action in nodes().done if isinstance(action, Create)]
    assert made == ["Service", "Job"]


def test_torchrun_finds_what_it_reads_of_its_environment() -> None:
    given = variables(nodes(2, numProcPerNode=4))
    assert {name: given[f"PET_{name}"]["value"] for name in ("NNODES", "NPROC_PER_NODE", "MASTER_ADDR")} == {
        "NNODES": "2",
        "NPROC_PER_NODE": "4",
        "MASTER_ADDR": "iris-1-0.iris-nodes",
    }
    assert given["PET_MASTER_PORT"]["value"] == "29400"
    assert given["PET_NODE_RANK"]["valueFrom"]["fieldRef"]["fieldPath"] == f"metadata.labels['{INDEX}']"


def test_one_node_with_several_processes_needs_no_service() -> None:
    world = World().change(numProcPerNode=2).settle()
    given = variables(world)
    assert (given["PET_NNODES"]["value"], given["PET_NODE_RANK"]["value"]) == ("1", "0")
    assert (world.services, "completionMode" in world.job["spec"]) == ({}, False)


def test_one_process_on_one_node_is_told_nothing() -> None:
    assert not [name for name in variables(World().settle()) if name.startswith("PET_")]


def test_a_step_without_resources_of_its_own_has_those_of_the_node() -> None:
    steps = [
        {"name": "a", "command": ["x"], "resources": {"limits": {"cpu": "1"}}},
        {"name": "train", "command": ["x"]},
    ]
    world = World().change(steps=steps, resourcesPerNode={"limits": {"cpu": "8", "nvidia.com/gpu": 4}}).settle()
    small, train = containers_of(world)["a"], containers_of(world)["train"]
    assert small["resources"]["limits"] == {"cpu": "1"}
    assert train["resources"]["limits"] == {"cpu": "8", "nvidia.com/gpu": 4}
    assert variables(world)["OMP_NUM_THREADS"]["value"] == "8"


@pytest.mark.parametrize(
    "change", [{"numNodes": 3}, {"numProcPerNode": 2}, {"resourcesPerNode": {"limits": {"cpu": 2}}}]
)
def test_another_number_of_ranks_is_another_model(change: Json) -> None:
    world = nodes()
    world.change(**change).settle()
    assert world.creations[-1] == "iris-2"


def test_a_service_that_is_somebody_elses_is_told() -> None:
    world = Nodes()
    world.refuse[Create] = ("AlreadyExists", "Service iris-nodes is there already and belongs to somebody else")
    world.change(numNodes=2)
    for _ in range(5):
        world.reconcile()
    assert world.told("Ready") == ("False", "AlreadyExists")
    assert "iris-nodes" in world.condition("Ready").message  # type: ignore[union-attr]
    assert world.creations == []


# --- together --------------------------------------------------------------------------------------------------------


def test_the_first_node_speaks_for_the_run() -> None:
    world = nodes()
    assert world.status["run"]["step"] == "train"
    assert world.status["run"]["attempts"] == 1
    assert world.told("Trained") == ("Unknown", "JobRunning")


def test_a_node_that_fails_takes_all_with_it_and_all_begin_again() -> None:
    world = nodes()
    world.node(1, "Failed", 1).settle()

    assert (world.suspensions, world.attempt) == (1, 1), "taken away, and let go again"
    assert world.job["spec"]["suspend"] is False
    assert world.status["run"]["attempts"] == 2
    for index in (0, 1):
        world.node(index)
    world.settle()
    assert (world.suspensions, world.told("Trained")) == (1, ("Unknown", "JobRunning"))


def test_it_waits_until_the_last_pod_has_gone_before_it_begins_again() -> None:
    """A name in DNS is one pod's at a time."""
    world = nodes()
    world.node(1, "Failed", 1)
    world.reconcile()
    world.node(0, "Running", deleted=True)
    world.settle()
    assert (world.told("Ready"), world.attempt) == (("Unknown", "NodesRestarted"), 0)
    world.node(0, "Failed", 143).settle()
    assert world.attempt == 1


def test_several_nodes_that_fail_of_one_cause_are_one_attempt() -> None:
    world = nodes(3, backoffLimit=1)
    for index in (2, 0, 1):
        world.node(index, "Failed", 1)
    world.settle()
    assert world.status["run"]["attempts"] == 2
    assert world.live_jobs == ["iris-1"]


def test_a_node_that_the_cluster_takes_away_costs_no_attempt_whatever_the_others_make_of_it() -> None:
    world = nodes(backoffLimit=0)
    world.node(0, "Failed", 1)
    world.taken(1).settle()
    assert (world.attempt, world.status["run"]["attempts"], world.status["run"]["disruptions"]) == (1, 1, 1)
    assert world.live_jobs == ["iris-1"]


def test_a_pod_that_somebody_deletes_takes_the_others_with_it() -> None:
    world = nodes()
    world.node(1, "Running", deleted=True)
    world.reconcile()
    assert (world.suspensions, world.status["run"]["attempts"]) == (1, 2)


def test_a_pod_that_was_drained_and_gone_before_anybody_looked_is_a_loss() -> None:
    world = nodes(backoffLimit=0)
    world.taken(1, "Running").departs(1).settle()
    assert (world.suspensions, world.attempt) == (1, 1)
    assert (world.status["run"]["attempts"], world.status["run"]["disruptions"]) == (1, 1)


@pytest.mark.parametrize("restarted", [True, False], ids=["the operator was away", "its events were one"])
def test_a_node_with_another_pod_than_before_was_lost_and_costs_no_attempt(restarted: bool) -> None:
    """Nothing else is left to see of a pod that was drained, and the other ranks would wait for it for ever."""
    world = nodes(backoffLimit=0)
    world.departs(1, remembered=False).replaced(1)
    if restarted:
        world.restart()
    world.settle()
    assert (world.suspensions, world.attempt) == (1, 1)
    run = world.status["run"]
    assert (run["attempts"], run["disruptions"]) == (1, 1)
    assert (run["lastDisruption"]["pod"], run["lastDisruption"]["reason"]) == ("iris-1-1-0-new", "PodReplaced")
    for index in (0, 1):
        world.node(index)
    world.settle()
    assert (world.suspensions, world.told("Trained")) == (1, ("Unknown", "JobRunning"))


def test_what_takes_pods_away_while_nobody_looks_ends_the_run_in_the_end() -> None:
    world = nodes(disruptionLimit=1)
    for _ in range(2):
        world.departs(1, remembered=False).replaced(1).settle()
        for index in (0, 1):
            world.node(index)
        world.settle()
    assert world.told("Failed") == ("True", "TooManyDisruptions")


def test_a_disruption_that_was_told_of_is_not_counted_again_by_one_that_was_not() -> None:
    world = nodes(3)
    world.taken(1, "Running").departs(1)
    world.reconcile()
    world.settle()
    for index in (0, 1, 2):
        world.node(index)
    world.settle()
    world.departs(2, remembered=False).replaced(2).settle()
    assert world.status["run"]["disruptions"] == 2


def test_a_pod_that_is_gone_without_another_in_its_place_is_waited_for() -> None:
    """It may have been done: then the Job controller makes none."""
    world = nodes()
    world.departs(1, remembered=False).settle()
    assert world.suspensions == 0


def test_a_node_that_got_its_first_pod_late_is_no_loss() -> None:
    world = Nodes()
    world.change(steps=[{"name": "train", "command": ["x"]}], numNodes=2).settle()
    world.node(0).settle()
    world.restart().wait(30).node(1).settle()  # type: ignore[attr-defined]
    assert (world.suspensions, len(world.status["run"]["nodePods"]["pods"])) == (0, 2)


def test_a_finished_node_that_a_drain_finds_is_not_lost() -> None:
    world = nodes()
    world.taken(1, "Succeeded").settle()
    assert (world.suspensions, world.told("Failed")) == (0, None)


def test_pods_that_were_made_a_second_before_it_was_written_down_are_of_the_attempt() -> None:
    world = nodes()
    world.node(1, "Failed", 1).settle()
    for index in (0, 1):
        world.node(index)
    later = (world.now + timedelta(seconds=1)).isoformat()
    world.job["status"]["conditions"][0]["lastTransitionTime"] = later
    world.settle()
    assert world.told("Trained") == ("Unknown", "JobRunning")
    world.node(0, "Failed", 1).settle()
    assert (world.suspensions, world.status["run"]["attempts"]) == (2, 3)


def test_what_is_lost_after_all_nodes_have_trained_is_not_trained_again() -> None:
    world = nodes(backoffLimit=0)
    fetched = {"name": "fetch", "state": {"terminated": {"exitCode": 0, "startedAt": world.now.isoformat()}}}
    world.node(0, "Succeeded", 0, initContainerStatuses=[fetched])
    world.logs({"accuracy": 0.95})
    trained = {"name": "train", "state": {"terminated": {"exitCode": 0}}}
    digest = {"name": "digest", "state": {"terminated": {"exitCode": 143}}}
    why = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}
    world.node(1, "Failed", conditions=[why], initContainerStatuses=[trained], containerStatuses=[digest])
    world.settle()
    assert (world.suspensions, world.told("Trained")) == (0, ("True", "StepsComplete"))
    assert world.status["phase"] == "Complete"


def test_which_pods_it_had_is_forgotten_when_a_run_has_ended() -> None:
    world = nodes(backoffLimit=0)
    world.node(1, "Failed", 1).settle()
    assert world.told("Failed") == ("True", "BackoffLimitExceeded")
    assert "nodePods" not in world.status["run"]


def test_the_last_attempt_ends_the_run_with_the_cause_of_the_node_that_failed_first() -> None:
    world = nodes(backoffLimit=0)
    world.node(1, "Failed", 7)
    world.wait(5)
    world.node(0, "Failed", 1)
    kept = dict(world.pods)
    world.reconcile()
    world.pods = kept  # a Job that ends keeps the pods that have
    world.settle()
    assert world.told("Failed") == ("True", "BackoffLimitExceeded")
    assert (world.status["failure"]["exitCode"], world.status["failure"]["log"]) == (7, "node 1")
    assert world.suspensions == 0


def test_what_has_finished_cannot_begin_again() -> None:
    world = nodes()
    world.node(0, "Succeeded", 0)
    world.taken(1).settle()
    assert world.told("Failed") == ("True", "BackoffLimitExceeded")
    assert world.suspensions == 0


def test_a_lost_status_does_not_forget_the_attempts() -> None:
    world = nodes(backoffLimit=1)
    world.node(1, "Failed", 1).settle()
    world.lose_status().restart()
    for index in (0, 1):
        world.node(index)
    world.settle()
    assert world.status["run"]["attempts"] == 2


@pytest.mark.parametrize("crash_after", [0, 1])
def test_an_operator_that_dies_in_between_begins_again_once(crash_after: int) -> None:
    world = nodes()
    world.node(1, "Failed", 1)
    world.reconcile(crash_after)
    world.reconcile(crash_after)
    world.settle()
    assert (world.suspensions, world.attempt, world.status["run"]["attempts"]) == (1, 1, 2)


def test_kueue_lets_its_own_job_go() -> None:
    world = Nodes()
    world.labels = {names.QUEUE_LABEL: "team-a"}
    world.change(steps=[{"name": "train", "command": ["x"]}], numNodes=2).settle()
    world.job["spec"]["suspend"] = False
    for index in (0, 1):
        world.node(index)
    world.settle()
    world.node(1, "Failed", 1).settle()
    assert (world.suspensions, world.attempt) == (1, 0)
    assert world.told("Ready") == ("Unknown", "Queued")


def test_a_person_who_suspends_meanwhile_is_obeyed() -> None:
    world = nodes()
    world.node(1, "Failed", 1)
    world.reconcile()
    world.change(suspend=True).settle()
    assert (world.told("Ready"), world.attempt) == (("Unknown", "Suspended"), 0)
    world.change(suspend=False).settle()
    assert world.attempt == 1


# --- the same on all -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"digest": OTHER}, f"nodes 0 and 1 have other data: iris is {DATA_DIGEST}, {OTHER}"),
        ({"commit": "1" * 40}, COMMIT),
    ],
)
def test_nodes_that_have_fetched_other_things_do_not_train(told: Json, words: str) -> None:
    """A branch or a file that changed between two looks."""
    world = nodes()
    world.node(1, **told).settle()
    assert world.told("Failed") == ("True", "NodesDiffer")
    assert words in world.condition("Ready").message  # type: ignore[union-attr]


def test_a_job_that_was_quicker_than_the_operator_is_held_to_it_too() -> None:
    world = nodes()
    world.node(0, "Succeeded", 0).node(1, "Succeeded", 0, digest=OTHER)
    world.logs({"accuracy": 0.99})
    complete = {"type": "Complete", "status": "True", "reason": "CompletionsReached", "message": ""}
    world.job["status"] = {"conditions": [complete], "succeeded": 2}
    world.settle()
    assert world.told("Failed") == ("True", "NodesDiffer")
    assert world.versions == []


def test_a_quota_that_has_room_for_one_of_two_is_told() -> None:
    world = Nodes()
    world.change(steps=[{"name": "train", "command": ["x"]}], numNodes=2).settle()
    world.node(0).settle()
    world.wait(61).settle()
    assert world.told("Ready") == ("False", "FailedCreate")
    assert "1 of 2 pods" in world.condition("Ready").message  # type: ignore[union-attr]
    world.node(1).settle()
    assert world.told("Trained") == ("Unknown", "JobRunning")
