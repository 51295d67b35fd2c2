"""Runs that are interrupted on real pods: evicted by the API, suspended and resumed, failed and tried again; two nodes.

Five TrainingJobs share a volume for checkpoints. Each attempt leaves a file there, so that it knows which one it is; a
thread does to it what its turn is. Nearly all of it is waiting for pods, so it goes on beside the other tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from demo.kubectl import Json, Kubectl, is_true
from demo.setup import Site
from tests.e2e.beside import Scenario, Stage
from tests.e2e.diary import WITHIN, Diary, is_over
from tests.e2e.evicting import evict
from tests.e2e.scripts import resource, step

EVICTED: Final = "evicted"  # backoffLimit 0: an eviction has to cost nothing
TRIED: Final = "tried"  # suspended in its first attempt, failed in its second, done in its third
TOGETHER: Final = "together"  # on two nodes, the second of which fails in its first attempt while the first one waits
FORCED: Final = "forced"  # its pod is deleted without waiting for anybody, as when a node is given up
DELETED: Final = "deleted"  # its Job is
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
# An all-reduce, as torch.distributed does it over the variables that torchrun reads: each rank gives a vector, all get
# the sum. Nothing ends the first rank's wait for one that is gone, and one in its place is not heard: however late the
# operator is, they have to begin again together.
_ALL_REDUCE: Final = """
import json, os, pathlib, signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
rank, nodes, processes = (int(os.environ["PET_" + name]) for name in ("NODE_RANK", "NNODES", "NPROC_PER_NODE"))
leader = os.environ["PET_MASTER_ADDR"], int(os.environ["PET_MASTER_PORT"])
folder = pathlib.Path(os.environ["TANDEM_CHECKPOINT_DIR"])
attempt = len(list(folder.glob(f"rank-{rank}-*")))
(folder / f"rank-{rank}-{attempt}").touch()
mine = [1.5 + rank, 10.0 * rank]
if rank == 0:
    others = []
    with socket.create_server(("", leader[1])) as server:
        while len(others) < nodes - 1: others.append(server.accept()[0].makefile("rw"))
    heard = [other.readline() or time.sleep(3600) for other in others]
    total = [sum(column) for column in zip(mine, *map(json.loads, heard))]
    for other in others: print(json.dumps(total), file=other, flush=True)
else:
    while True:
        try: stream = socket.create_connection(leader).makefile("rw"); break
        except OSError: time.sleep(0.2)
    if attempt == 0: sys.exit("rank 1 fails")
    print(json.dumps(mine), file=stream, flush=True)
    total = json.loads(stream.readline())
print(f"rank {rank} of {nodes}x{processes}: {total}", flush=True)
"""


@dataclass(frozen=True)
class Facts:
    """``evicted`` … ``deleted``: as they ended. ``suspended``: while nothing ran, with its ``pods``.

    ``said``: what the last attempt of each knew of those before it.
    """

    evicted: Json
    tried: Json
    together: Json
    forced: Json
    deleted: Json
    suspended: Json
    pods: tuple[str, ...]
    said: dict[str, str]
    sums: tuple[str, ...]  # what each rank of the last attempt got
    jobs: tuple[str, ...]  # every one that was made


def _play(stage: Stage) -> Facts:
    try:
        return _interrupt(stage)
    finally:  # it lives in no namespace
        volume = ("persistentvolume", stage.kubectl.namespace)
        stage.site.kubectl.run("delete", *volume, "--wait=false", "--ignore-not-found")


def _interrupt(stage: Stage) -> Facts:
    kubectl, diary = stage.kubectl, stage.diary
    volume(stage.site, kubectl)
    kubectl.apply(
        _job(EVICTED, "waits", "succeeds", backoffLimit=0),
        _job(TRIED, "waits", "fails", "succeeds", backoffLimit=1),
        _of(TOGETHER, step("train", "python", "-c", _ALL_REDUCE), backoffLimit=1, numNodes=2, numProcPerNode=1),
    )
    kubectl.apply(_job(FORCED, "waits", "succeeds", backoffLimit=1), _job(DELETED, "waits", "succeeds"))
    pod = _at_work(kubectl, diary, EVICTED)
    # A pod that the operator has never seen, because it is ten seconds late, would be replaced without being told of.
    diary.until(f"trainingjobs/{EVICTED}", lambda job: _step(job) == "train", "the operator has seen it at work")
    evict(kubectl, pod)
    kubectl.run("delete", "pod", _at_work(kubectl, diary, FORCED), "--force", "--grace-period=0", "--wait=false")
    _at_work(kubectl, diary, DELETED)
    kubectl.run("delete", "job", f"{DELETED}-1", "--wait=false")
    _at_work(kubectl, diary, TRIED)
    kubectl.merge(f"trainingjob/{TRIED}", {"spec": {"suspend": True}})
    suspended = diary.until(f"trainingjobs/{TRIED}", lambda job: is_true(job, "Suspended"), "it is suspended")
    kubectl.run("wait", "--for=delete", "pods", "--selector", f"job-name={TRIED}-1", "--timeout=120s")
    pods = tuple(kubectl.names("pods", "--selector", f"job-name={TRIED}-1"))
    kubectl.merge(f"trainingjob/{TRIED}", {"spec": {"suspend": False}})
    ends = {f"trainingjobs/{name}": is_over for name in (EVICTED, TRIED, TOGETHER, FORCED, DELETED)}
    ended = diary.until_all(ends, "all are over")
    last = {name: _pod_of(diary, name, "Succeeded") for name in (EVICTED, TRIED, FORCED)}
    said = {name: kubectl.run("logs", pod, "--container=train").strip() for name, pod in last.items()}
    ranks = kubectl.run("logs", f"--selector=job-name={TOGETHER}-1", "--container=train").splitlines()
    made = tuple(sorted(diary.made("jobs").values()))
    job = {name: ended[f"trainingjobs/{name}"] for name in (EVICTED, TRIED, TOGETHER, FORCED, DELETED)}
    return Facts(
        evicted=job[EVICTED],
        tried=job[TRIED],
        together=job[TOGETHER],
        forced=job[FORCED],
        deleted=job[DELETED],
        suspended=suspended,
        pods=pods,
        said=said,
        sums=tuple(sorted(ranks)),
        jobs=made,
    )


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
    return _of(name, step("train", "python", "-c", _ATTEMPT, *turns), **others)


def _of(name: str, train: Json, **others: object) -> Json:
    checkpoint = {"persistentVolumeClaim": {"claimName": CLAIM}}
    return resource("TrainingJob", name, {"steps": [train], "checkpoint": checkpoint, **others})


def _step(job: Json) -> str:
    step: str = job.get("status", {}).get("run", {}).get("step", "")
    return step


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


INTERRUPTED: Final = Scenario("interrupted", ("trainingjobs", "jobs", "pods"), _play)
