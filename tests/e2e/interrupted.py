"""Runs that are interrupted on real pods: evicted by the API, suspended and resumed, failed and tried again.

Two TrainingJobs share a volume for checkpoints. Each attempt leaves a file there, so that it knows which one it is; a
thread does to it what its turn is. Nearly all of it is waiting for pods, so it goes on beside the other tests.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from demo.kubectl import Json, Kubectl, condition, is_true
from demo.setup import Site
from demo.stage import namespace_object
from tests.e2e.diary import WITHIN, Diary, diary_of
from tests.e2e.scripts import resource, step

EVICTED: Final = "evicted"  # backoffLimit 0: an eviction has to cost nothing
TRIED: Final = "tried"  # suspended in its first attempt, failed in its second, done in its third
CLAIM: Final = "checkpoints"
IMAGE: Final = "tandem/runtime:dev"
# As process 1 it has to say itself that a signal ends it.
_ATTEMPT: Final = """
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
folder = pathlib.Path(os.environ["TANDEM_CHECKPOINT_DIR"])
number = len(list(folder.iterdir()))
(folder / f"attempt-{number}").touch()
turn = sys.argv[1:][number]
print(f"attempt {number}: {turn}", flush=True)
if turn == "waits": time.sleep(3600)
sys.exit(turn == "fails")
"""


@dataclass(frozen=True)
class Facts:
    """``evicted`` and ``tried``: as they ended. ``suspended``: while nothing ran, with the ``pods`` that there were.

    ``said``: what the last attempt of each knew of those before it.
    """

    evicted: Json
    tried: Json
    suspended: Json
    pods: tuple[str, ...]
    said: dict[str, str]


@contextmanager
def interruptions(site: Site) -> Iterator[Future[Facts]]:
    """All of it begun; what was seen comes later."""
    namespace = f"interrupted-{os.getpid()}"
    site.kubectl.apply(namespace_object(namespace))
    kubectl = site.kubectl.within(namespace)
    with diary_of(kubectl, "trainingjobs", "pods") as diary, ThreadPoolExecutor(1) as thread:
        yield thread.submit(_interrupt, site, kubectl, diary)
    site.kubectl.run("delete", "namespace", namespace, "--wait=false")
    site.kubectl.run("delete", "persistentvolume", namespace, "--wait=false", "--ignore-not-found")


def _interrupt(site: Site, kubectl: Kubectl, diary: Diary) -> Facts:
    volume(site, kubectl)
    kubectl.apply(
        _job(EVICTED, "waits", "succeeds", backoffLimit=0), _job(TRIED, "waits", "fails", "succeeds", backoffLimit=1)
    )
    _evict(kubectl, _at_work(kubectl, diary, EVICTED))
    _at_work(kubectl, diary, TRIED)
    kubectl.merge(f"trainingjob/{TRIED}", {"spec": {"suspend": True}})
    suspended = diary.until(f"trainingjobs/{TRIED}", lambda job: is_true(job, "Suspended"), "it is suspended")
    kubectl.run("wait", "--for=delete", "pods", "--selector", f"job-name={TRIED}-1", "--timeout=120s")
    pods = tuple(kubectl.names("pods", "--selector", f"job-name={TRIED}-1"))
    kubectl.merge(f"trainingjob/{TRIED}", {"spec": {"suspend": False}})
    ends = {f"trainingjobs/{name}": _ended for name in (EVICTED, TRIED)}
    ended = diary.until_all(ends, "both are over")
    last = {name: _pod_of(diary, name, "Succeeded") for name in (EVICTED, TRIED)}
    said = {name: kubectl.run("logs", pod, "--container=train").strip() for name, pod in last.items()}
    return Facts(ended[f"trainingjobs/{EVICTED}"], ended[f"trainingjobs/{TRIED}"], suspended, pods, said)


def volume(site: Site, kubectl: Kubectl) -> None:
    """A folder of the node as a volume: what a storage class would give. A pod that may do so makes it writable."""
    name = kubectl.namespace
    path = f"/tmp/{name}"
    capacity = {"storage": "1Gi"}
    claimed = {"namespace": name, "name": CLAIM}
    persistent = {
        "accessModes": ["ReadWriteMany"],
        "capacity": capacity,
        "storageClassName": "",
        "claimRef": claimed,
        "hostPath": {"path": path, "type": "DirectoryOrCreate"},
    }
    wanted = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "volumeName": name,
        "resources": {"requests": capacity},
    }
    site.kubectl.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": persistent})
    kubectl.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": CLAIM}, "spec": wanted})
    opens = {
        "restartPolicy": "Never",
        "containers": [
            {
                "name": "opens",
                "image": IMAGE,
                "command": ["chmod", "0777", "/volume"],
                "securityContext": {"runAsUser": 0},
                "volumeMounts": [{"name": "volume", "mountPath": "/volume"}],
            }
        ],
        "volumes": [{"name": "volume", "hostPath": {"path": path, "type": "DirectoryOrCreate"}}],
    }
    default = site.kubectl.within("default")
    default.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": opens})
    default.wait_for(f"pod/{name}", "jsonpath={.status.phase}=Succeeded")
    default.run("delete", "pod", name, "--wait=false")


def _job(name: str, *turns: str, **others: object) -> Json:
    checkpoint = {"persistentVolumeClaim": {"claimName": CLAIM}}
    train = step("train", "python", "-c", _ATTEMPT, *turns)
    return resource("TrainingJob", name, {"steps": [train], "checkpoint": checkpoint, **others})


def _at_work(kubectl: Kubectl, diary: Diary, name: str) -> str:
    """The first pod of the run, once its step has said which attempt it is."""
    pod = _pod_of(diary, name, "Running")
    with kubectl.stream("logs", "--follow", pod, "--container=train", within=WITHIN) as lines:
        assert next(lines, "").startswith("attempt 0")
    return pod


def _pod_of(diary: Diary, name: str, phase: str) -> str:
    def is_one(pod: Json) -> bool:
        of_run = pod["metadata"].get("labels", {}).get("job-name") == f"{name}-1"
        return bool(of_run and pod.get("status", {}).get("phase") == phase)

    found: str = diary.until_any("pods", is_one, f"a pod of {name} is {phase}")["metadata"]["name"]
    return found


def _evict(kubectl: Kubectl, pod: str) -> None:
    """As `kubectl drain` does."""
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}}
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{pod}/eviction"
    kubectl.run("create", "--raw", path, "--filename=-", stdin=json.dumps(eviction))


def _ended(job: Json) -> bool:
    return is_true(job, "Complete") or condition(job, "Failed").get("status") == "True"
