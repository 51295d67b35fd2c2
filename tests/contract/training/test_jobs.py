"""What the plan of a TrainingJob takes for granted about Jobs, asked of the real Job controller.

There is no node and no kubelet: the tests bind pods to a node that does not exist, and say what its kubelet would.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import count
from typing import Any

import msgspec
import pytest

from cluster.control_plane import ControlPlane
from cluster.errors import ClusterError
from tandem.api import names
from tandem.api.children import Job, Pod
from tandem.api.plan import Apply
from tandem.api.trainingjob_status import RunStatus, Trigger
from tandem.training.job import steps_complete
from tandem.training.ranks import present
from tandem.training.suspension import change
from tests.crds import FILES
from tests.unit.training.mlflow import UID
from tests.unit.training.world import World

Json = dict[str, Any]

NODE_NAME = {"name": "node-1"}
LOST = {"name": "node-2"}
# PodGC looks every 20 s, and gives a node that is gone 40 s to come back.
COLLECTED_WITHIN = 180  # seconds
INDEX = "batch.kubernetes.io/job-completion-index"
_numbers = count(1)


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    """An API server with the Job controller, and a namespace that takes `restricted` pods alone."""
    with ControlPlane(controllers=True) as plane:
        plane.define(FILES["TrainingJob"])
        plane.kubectl("create", "namespace", "ml")
        plane.kubectl("label", "namespace", "ml", "pod-security.kubernetes.io/enforce=restricted")
        plane.kubectl("create", "priorityclass", "batch-low", "--value=10")
        # Pods of a node that nobody knows are collected at a time of the controllers' own choosing.
        plane.kubectl(
            "create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": NODE_NAME})
        )
        yield plane


class Real:
    """The Job that a plan makes of this spec, in a real cluster."""

    def __init__(self, plane: ControlPlane, labels: dict[str, str] | None = None, **spec: object) -> None:
        self.plane = plane
        self.world = World(labels=labels or {}).change(source=None, data=None, **spec).settle()
        self.name = f"iris{next(_numbers)}-1"
        owner: Json = {
            "apiVersion": names.API_VERSION,
            "kind": names.TRAINING_JOB,
            "metadata": {"name": self.name.removesuffix("-1"), "namespace": "ml"},
            "spec": self.world.spec,
        }
        uid = self._create(owner)["metadata"]["uid"]
        manifest = json.loads(json.dumps(self.world.done[-1].manifest).replace(UID, uid))  # type: ignore[union-attr]
        manifest["metadata"]["name"] = self.name
        manifest["metadata"]["ownerReferences"][0]["name"] = owner["metadata"]["name"]  # else it is collected
        self._create(manifest)

    def _create(self, body: Json) -> Json:
        made: Json = json.loads(self.plane.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(body)))
        return made

    @property
    def job(self) -> Json:
        return self.plane.get(f"/apis/batch/v1/namespaces/ml/jobs/{self.name}")

    @property
    def view(self) -> Job:
        return msgspec.convert(self.job, Job)

    @property
    def pods(self) -> list[Json]:
        """Those that live or wait to be told dead."""
        selector = f"batch.kubernetes.io/job-name={self.name}"
        found = self.plane.get(f"/api/v1/namespaces/ml/pods?labelSelector={selector}")["items"]
        return [pod for pod in found if pod["status"].get("phase") not in {"Failed", "Succeeded"}]

    def apply(self, action: Apply) -> None:
        """As the engine does: to the version that was seen, and no other."""
        meta = self.view.metadata
        body = json.loads(json.dumps(action.manifest))
        body["metadata"] |= {"uid": meta.uid, "resourceVersion": meta.resource_version}
        flags = ("--server-side", "--force-conflicts", "--field-manager=tandem", "-f", "-")
        self.plane.kubectl("apply", *flags, stdin=json.dumps(body))

    def changes(self, spec: Json, annotations: dict[str, str] | None = None) -> None:
        """Tried again where the Job controller wrote in between: then the engine plans again too."""
        eventually(lambda: self._changed(change(self.view, spec, annotations)))

    def _changed(self, action: Apply) -> bool:
        try:
            self.apply(action)
        except ClusterError as error:
            if "object has been modified" not in str(error):
                raise
            return False
        return True

    def pod(self) -> Json:
        """The one that is there, as soon as it is."""
        eventually(lambda: len(self.pods) == 1)
        return self.pods[0]

    def named(self, pod: str) -> Json:
        return self.plane.get(f"/api/v1/namespaces/ml/pods/{pod}")

    def view_of(self, pod: str) -> Pod:
        return msgspec.convert(self.named(pod), Pod)

    def runs(self) -> str:
        """Its pod has a node and runs there; its name."""
        name: str = self.pod()["metadata"]["name"]
        self.binds(name)
        return name

    def binds(self, name: str, node: str = NODE_NAME["name"]) -> None:
        path = f"/api/v1/namespaces/ml/pods/{name}/binding"
        target = {"apiVersion": "v1", "kind": "Node", "name": node}
        meta = {"name": name, "namespace": "ml"}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target}
        self.plane.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(binding))
        self.says(name, {"phase": "Running", "startTime": "2026-03-01T12:00:00Z"})

    def says(self, pod: str, status: Json) -> None:
        self.plane.kubectl(
            "-n",
            "ml",
            "patch",
            "pod",
            pod,
            "--subresource=status",
            "--type=merge",
            "-p",
            json.dumps({"status": status}),
        )

    def dies(self, pod: str, **status: object) -> None:
        state = {"terminated": {"exitCode": 137, "reason": "Error"}}
        container = {"name": "train", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}
        self.says(pod, {"phase": "Failed", "containerStatuses": [container], **status})

    def condition(self, type_: str) -> str:
        found = next((c for c in self.job["status"].get("conditions", []) if c["type"] == type_), {"status": ""})
        return str(found["status"])


def eventually(seen: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


WHOLE: Json = {
    "nodeSelector": {"gpu.acme.org/kind": "a100"},
    "tolerations": [
        {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
        {"key": "a", "value": "b"},
    ],
    "priorityClassName": "batch-low",
    "checkpoint": {"persistentVolumeClaim": {"claimName": "checkpoints"}},
    "steps": [{"name": "train", "command": ["x"], "resources": {"limits": {"nvidia.com/gpu": 1, "memory": "1Gi"}}}],
}


def test_every_field_ends_in_a_pod_where_only_restricted_ones_are_allowed(plane: ControlPlane) -> None:
    pod = Real(plane, **WHOLE).pod()["spec"]

    assert pod["nodeSelector"] == WHOLE["nodeSelector"]
    assert {t["key"] for t in pod["tolerations"]} >= {"nvidia.com/gpu", "a"}
    assert (pod["priorityClassName"], pod["priority"]) == ("batch-low", 10)
    [train] = [one for one in pod["initContainers"] if one["name"] == "train"]
    assert train["resources"]["requests"]["nvidia.com/gpu"] == "1"
    assert [v["persistentVolumeClaim"]["claimName"] for v in pod["volumes"] if v["name"] == "checkpoint"] == [
        "checkpoints"
    ]


def test_a_quota_on_limits_takes_the_pod_of_a_run_whose_steps_all_have_them(plane: ControlPlane) -> None:
    """It looks at every container, those beside the steps too; a namespace of its own, for its word is remembered."""
    hard = {"limits.cpu": "4", "limits.memory": "8Gi"}
    quota: Json = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": hard}}
    plane.kubectl("create", "namespace", "tight")
    plane.kubectl("-n", "tight", "create", "-f", "-", stdin=json.dumps(quota))
    plane.kubectl("-n", "tight", "wait", "--for=jsonpath={.status.hard}", "resourcequota/q", "--timeout=60s")
    limits = {"limits": {"cpu": "2", "memory": "4Gi"}}
    for name, resources in (("limited", limits), ("free", {})):
        made = World().change(steps=[{"name": "train", "command": ["x"], "resources": resources}]).settle().job
        pod = {"apiVersion": "v1", "kind": "Pod", **made["spec"]["template"], "metadata": {"name": name}}
        with nullcontext() if resources else pytest.raises(ClusterError, match="must specify limits"):
            plane.kubectl("-n", "tight", "create", "-f", "-", stdin=json.dumps(pod))


def test_a_queued_job_gets_no_pod_before_it_is_let_go(plane: ControlPlane) -> None:
    real = Real(plane, labels={names.QUEUE_LABEL: "team-a"})
    eventually(lambda: real.condition("Suspended") == "True")
    assert (real.view.spec.suspend, real.pods) == (True, [])
    assert real.job["metadata"]["labels"][names.QUEUE_LABEL] == "team-a"

    plane.kubectl("-n", "ml", "patch", "job", real.name, "--type=merge", "-p", '{"spec":{"suspend":false}}')

    assert real.pod()


def test_a_suspension_takes_the_pod_and_costs_no_attempt(plane: ControlPlane) -> None:
    real = Real(plane, backoffLimit=0)
    pod = real.runs()

    real.changes({"suspend": True}, {names.SUSPENDED_ANNOTATION: "true"})
    eventually(lambda: "deletionTimestamp" in real.pods[0]["metadata"])
    real.dies(pod)
    eventually(lambda: real.job["status"].get("terminating") == 0)
    assert (real.condition("Failed"), real.condition("Suspended"), real.view.status.failed) == ("", "True", 0)

    real.changes({"suspend": False})
    assert real.pod()["metadata"]["name"] != pod
    assert names.SUSPENDED_ANNOTATION not in real.view.metadata.annotations
    assert real.view.metadata.annotations[names.MLFLOW_RUN_ANNOTATION] == "run-1", "what was made with it stays"
    assert real.view.released is not None
    assert (real.job["spec"]["backoffLimit"], real.view.status.failed) == (0, 0)


def test_a_pod_that_the_cluster_takes_away_is_replaced_and_not_counted(plane: ControlPlane) -> None:
    real = Real(plane, backoffLimit=0)
    pod = real.runs()

    why = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}
    real.dies(pod, conditions=[why])

    eventually(lambda: [p["metadata"]["name"] for p in real.pods] not in ([], [pod]))
    assert (real.view.status.failed, real.condition("Failed")) == (0, "")


def test_a_pod_that_the_cluster_takes_away_while_its_model_is_summed_up_is_not_replaced(plane: ControlPlane) -> None:
    """It would begin with the first step again."""
    real = Real(plane, model={"name": "iris"}, backoffLimit=2)
    pod = real.runs()
    why = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}
    state = {"terminated": {"exitCode": 143, "reason": "Error"}}
    digest = {"name": "digest", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}

    real.dies(pod, conditions=[why], containerStatuses=[digest])

    eventually(lambda: real.condition("Failed") == "True")
    assert steps_complete(real.view)
    assert [p["metadata"]["name"] for p in real.pods] in ([], [pod])


@pytest.mark.slow
def test_a_node_that_is_gone_takes_its_pod_along_and_costs_no_attempt(plane: ControlPlane) -> None:
    """Nobody answers for it any more: here there never was a kubelet. First it is tainted, then it is deleted."""
    plane.kubectl("create", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": LOST}))
    real = Real(plane, backoffLimit=0)
    pod = real.pod()["metadata"]["name"]
    real.binds(pod, LOST["name"])
    plane.kubectl("taint", "node", LOST["name"], "tandem.dev/lost:NoExecute")
    eventually(lambda: real.view_of(pod).disruption)
    marked = real.view_of(pod)
    assert (marked.disruption.reason if marked.disruption else "") == "DeletionByTaintManager"
    assert marked.metadata.deletion_timestamp is not None
    assert [p["metadata"]["name"] for p in real.pods] == [pod], "no other one trains beside it"

    plane.kubectl("delete", "node", LOST["name"])

    plane.kubectl("-n", "ml", "wait", "--for=delete", f"pod/{pod}", f"--timeout={COLLECTED_WITHIN}s")
    assert real.pod()["metadata"]["name"] != pod
    assert (real.view.status.failed, real.condition("Failed")) == (0, "")


def test_a_fault_of_the_code_is_counted(plane: ControlPlane) -> None:
    real = Real(plane, backoffLimit=0)
    real.dies(real.runs())
    eventually(lambda: real.condition("Failed") == "True")
    assert real.view.status.failed == 1


def test_a_job_that_hangs_ends_by_its_own_deadline(plane: ControlPlane) -> None:
    real = Real(plane)
    real.runs()
    eventually(lambda: real.job["status"].get("startTime"))
    time.sleep(1.1)  # the deadline is a second, and the Job controller counts from its start

    real.changes({"activeDeadlineSeconds": 1, "suspend": False}, {names.HUNG_ANNOTATION: "train: no progress"})

    eventually(lambda: real.job["status"].get("conditions"))
    reasons = {c["type"]: c["reason"] for c in real.job["status"]["conditions"]}
    assert reasons.get("Failed", reasons.get("FailureTarget")) == "DeadlineExceeded"


def test_the_pods_of_several_nodes_find_each_other_by_their_rank(plane: ControlPlane) -> None:
    real = Real(plane, numNodes=2, backoffLimit=0)
    eventually(lambda: len(real.pods) == 2)

    hosts = {pod["metadata"]["labels"][INDEX]: pod["spec"]["hostname"] for pod in real.pods}
    assert hosts == {"0": f"{real.name}-0", "1": f"{real.name}-1"}
    assert {pod["spec"]["subdomain"] for pod in real.pods} == {"iris-nodes"}


def test_nodes_that_begin_again_together_cost_what_had_failed_and_no_more(plane: ControlPlane) -> None:
    real = Real(plane, numNodes=2, backoffLimit=0)
    eventually(lambda: len(real.pods) == 2)
    first = {pod["metadata"]["name"]: pod["metadata"]["labels"][INDEX] for pod in real.pods}
    for name in first:
        real.binds(name)
    [lost, waits] = sorted(first, key=lambda name: first[name], reverse=True)
    real.dies(lost)

    real.changes({"suspend": True}, {names.RESTART_ANNOTATION: "2 node 1 failed"})
    eventually(lambda: "deletionTimestamp" in real.named(waits)["metadata"])
    real.dies(waits)
    eventually(lambda: real.condition("Suspended") == "True" and real.job["status"].get("terminating") == 0)
    real.changes({"suspend": False}, {names.RESTART_ANNOTATION: "2 node 1 failed"})

    eventually(lambda: len(real.pods) == 2)
    assert not {pod["metadata"]["name"] for pod in real.pods} & first.keys()
    assert {pod["metadata"]["labels"][INDEX] for pod in real.pods} == {"0", "1"}
    assert (real.condition("Failed"), real.view.status.failed) == ("", 1), "the pod that was taken away is not counted"
    run = RunStatus(number=1, trigger=Trigger(type="Created"), spec_digest="")
    assert len(present(run, real.view, tuple(msgspec.convert(pod, Pod) for pod in real.pods))) == 2


def test_a_job_that_is_gone_is_not_made_again_by_a_change(plane: ControlPlane) -> None:
    real = Real(plane)
    action = change(real.view, {"suspend": True})
    body = json.loads(json.dumps(action.manifest))
    meta = real.view.metadata
    body["metadata"] |= {"uid": meta.uid, "resourceVersion": meta.resource_version}
    plane.kubectl("-n", "ml", "delete", "job", real.name, "--cascade=foreground", "--wait=false")
    plane.kubectl("-n", "ml", "delete", "pods", "--all", "--force", "--grace-period=0")
    plane.kubectl("-n", "ml", "wait", "--for=delete", f"job/{real.name}", "--timeout=60s")

    with pytest.raises(ClusterError, match=r"Conflict|not found|uid mismatch|Precondition|Invalid|invalid"):
        plane.kubectl("apply", "--server-side", "--field-manager=tandem", "-f", "-", stdin=json.dumps(body))
    assert real.name not in plane.kubectl("-n", "ml", "get", "jobs", "-o", "name")
