"""Why pods are not ready: one name for each cause, and the same words for as long as it lasts."""

from __future__ import annotations

import msgspec
import pytest

from tandem.api.children import Deployment, Pod, ReplicaSet
from tandem.api.meta import Json
from tandem.apps.failure import Cause, cause_of, pods_of

DEPLOYMENT = msgspec.convert({"metadata": {"name": "shop-2", "uid": "d"}}, Deployment)


def pod(name: str = "a", owner: str = "rs", *, status: Json | None = None, **container: object) -> Pod:
    meta: Json = {
        "name": name,
        "uid": name,
        "ownerReferences": [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "uid": owner, "controller": True}
        ],
    }
    containers = [{"name": "app", "image": "shop:2", **container}] if container else []
    return msgspec.convert({"metadata": meta, "status": {"containerStatuses": containers, **(status or {})}}, Pod)


def waiting(reason: str, message: str = "") -> Json:
    return {"waiting": {"reason": reason, "message": message}}


def ended(code: int, message: str = "", reason: str = "Error") -> Json:
    return {"terminated": {"exitCode": code, "message": message, "reason": reason}}


def seen(*pods: Pod) -> Cause:
    cause = cause_of(DEPLOYMENT, pods)
    assert cause is not None
    return cause


CIRCLES = {
    "an image that cannot be pulled": [
        pod(state=waiting("ErrImagePull", "shop:2: not found")),
        pod(state=waiting("ImagePullBackOff", 'Back-off pulling image "shop:2": ErrImagePull: shop:2: not found')),
    ],
    "a container that crashes": [
        pod(state=ended(1, "boom")),
        pod(state=waiting("CrashLoopBackOff", "back-off 10s restarting"), lastState=ended(1, "boom")),
        pod(state=waiting("CrashLoopBackOff", "back-off 5m0s restarting"), lastState=ended(1, "boom"), restartCount=9),
        pod(state={"running": {}}, lastState=ended(1, "boom")),
    ],
}


@pytest.mark.parametrize("turns", CIRCLES.values(), ids=CIRCLES)
def test_every_turn_of_the_circle_is_told_alike(turns: list[Pod]) -> None:
    assert len({seen(turn) for turn in turns}) == 1


CAUSES = {
    "exit code and last lines": (
        pod(state=ended(3, "one\ntwo\n")),
        "CrashLoopBackOff",
        "the container exited with code 3; its last lines: one | two",
    ),
    "a server that ends by itself": (pod(state=ended(0)), "CrashLoopBackOff", "a server has to keep running"),
    "killed by a probe": (pod(state=ended(137)), "CrashLoopBackOff", "startup or liveness probe"),
    "out of memory": (pod(state=ended(137, reason="OOMKilled")), "OOMKilled", "spec.resources.limits.memory"),
    "no such image": (
        pod(state=waiting("ImagePullBackOff", "Back-off")),
        "ImagePullBackOff",
        "'shop:2' cannot be pulled",
    ),
    "no image name": (pod(state=waiting("InvalidImageName")), "InvalidImageName", "correct spec.image"),
    "cannot be started": (
        pod(state=waiting("RunContainerError", "exec: no such file")),
        "RunContainerError",
        "exec: no such file",
    ),
    "probe": (pod(state={"running": {}}), "NotReady", "readiness probe has not passed yet"),
    "no room": (
        pod(
            status={
                "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3"}]
            }
        ),
        "Unschedulable",
        "no node takes the pod: 0/3",
    ),
    "evicted": (pod(status={"phase": "Failed", "reason": "Evicted", "message": "disk"}), "Evicted", "taken away: disk"),
}


@pytest.mark.parametrize(("one", "reason", "says"), CAUSES.values(), ids=CAUSES)
def test_a_cause_has_the_clusters_word_and_says_what_to_look_at(one: Pod, reason: str, says: str) -> None:
    cause = seen(one)
    assert cause.reason == reason
    assert says in cause.message


@pytest.mark.parametrize(
    "fine",
    [(), (pod(ready=True, state={"running": {}}, lastState=ended(1)),), (pod(state=waiting("ContainerCreating")),)],
)
def test_nothing_is_wrong_with_pods_that_are_ready_or_only_starting(fine: tuple[Pod, ...]) -> None:
    assert cause_of(DEPLOYMENT, fine) is None


def test_a_refused_pod_is_told_by_the_deployment_that_has_none() -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    refused = msgspec.convert({"metadata": {"name": "d"}, "status": {"conditions": [condition]}}, Deployment)
    assert cause_of(refused, ()) == Cause("FailedCreate", "pods are refused: exceeded quota", 5)


def test_of_several_causes_the_most_telling_is_told_whatever_the_order() -> None:
    pods = [pod("a", state={"running": {}}), pod("b", state=ended(2)), pod("c", state=waiting("ContainerCreating"))]
    assert seen(*pods) == seen(*reversed(pods))
    assert seen(*pods).reason == "CrashLoopBackOff"


def test_a_long_log_is_cut_to_its_end() -> None:
    cause = seen(pod(state=ended(1, "\n".join(f"line {number}" for number in range(1000)))))
    assert "line 999" in cause.message
    assert len(cause.message) < 800


def test_pods_belong_by_uid_never_by_name_and_those_that_leave_do_not_count() -> None:
    def replica_set(uid: str, deployment: str) -> ReplicaSet:
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "shop-2", "uid": deployment, "controller": True}
        return msgspec.convert({"metadata": {"name": "shop-2-x", "uid": uid, "ownerReferences": [owner]}}, ReplicaSet)

    sets = (replica_set("rs", "d"), replica_set("other", "somebody else's"))
    leaving = pod("leaving")
    leaving = msgspec.structs.replace(
        leaving, metadata=msgspec.structs.replace(leaving.metadata, deletion_timestamp="2026-03-01T12:00:00Z")
    )
    mine, foreign = pod("mine"), pod("foreign", owner="other")
    orphan = msgspec.convert({"metadata": {"name": "orphan", "uid": "orphan"}}, Pod)
    assert pods_of(DEPLOYMENT, sets, (foreign, leaving, orphan, mine)) == (mine,)
