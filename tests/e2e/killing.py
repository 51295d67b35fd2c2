"""kill -9, with nothing but kubectl."""

from __future__ import annotations

from typing import Final

from demo.kubectl import Json, Kubectl, KubectlFailed
from tests.e2e.diary import WITHIN, diary_of

# No process can send SIGKILL to the first one of its own container. The kernel can, to one that used up its CPU time:
# one second at least, so one that has just started and only waits is asked for its metrics until it has.
_NO_MORE_CPU_TIME: Final = """
import contextlib, resource, urllib.request
resource.prlimit(1, resource.RLIMIT_CPU, (1, 1))
while True:
    with contextlib.suppress(OSError):
        urllib.request.urlopen("http://localhost:8080/metrics", timeout=5).read()
"""
_EXIT_CODE: Final = "{.status.containerStatuses[0].lastState.terminated.exitCode}"


def kill(system: Kubectl, deployment: str) -> None:
    """SIGKILL for the process of its one pod, which the kubelet starts again; returns when it is dead."""
    pod = pod_of(system, deployment)
    before = _restarts(system, pod)
    try:
        system.exec(f"pod/{pod}", "python", "-c", _NO_MORE_CPU_TIME)
    except KubectlFailed as failed:
        if "137" not in failed.stderr:  # the command died together with the container
            raise
    system.wait_for(f"pod/{pod}", f"jsonpath={{.status.containerStatuses[0].restartCount}}={before + 1}", WITHIN)
    assert system.run("get", f"pod/{pod}", f"--output=jsonpath={_EXIT_CODE}") == "137"


def remove(system: Kubectl, deployment: str) -> None:
    """The pod is gone at once, as with its node; another one with another name takes its place."""
    system.run("delete", "pod", pod_of(system, deployment), "--grace-period=0", "--force")


def available(system: Kubectl, deployment: str) -> None:
    system.run("rollout", "status", f"deployment/{deployment}", f"--timeout={WITHIN:.0f}s")


def pod_of(system: Kubectl, deployment: str) -> str:
    """Its one pod, which may have to be made first."""

    def runs(pod: Json) -> bool:
        mine = pod["metadata"]["labels"].get("app.kubernetes.io/name") == deployment
        return mine and "deletionTimestamp" not in pod["metadata"] and pod["status"].get("phase") == "Running"

    with diary_of(system, "pods") as diary:
        name: str = diary.until_any("pods", runs, f"a pod of {deployment}")["metadata"]["name"]
    return name


def _restarts(system: Kubectl, pod: str) -> int:
    statuses = system.get(f"pod/{pod}")["status"].get("containerStatuses", [{}])
    return int(statuses[0].get("restartCount", 0))
