"""Kubernetes' own controllers, as far as Tandem looks at them: Jobs get a pod, Deployments get ReplicaSet and pods.

They look at what is there, a moment after it changed, whether an operator lives or not. Pods do what ``behaviour`` says
of their image (or of ``models:/name/version``); a Job's pod runs until a test says how it ends.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

from tandem.api import names
from tests.faults.apiserver.database import Change, Place
from tests.faults.apiserver.kinds import DEPLOYMENTS, JOBS, PODS, REPLICA_SETS, Json, Kind
from tests.faults.apiserver.server import StandIn
from tests.faults.apiserver.writes import Target, now

READY, CRASH, PULL = "ready", "crash", "pull"

_SOON = 5.0  # seconds

DIGEST = "sha256:" + "ab" * 32
_STATES: Mapping[str, Json] = {
    READY: {"ready": True, "state": {"running": {}}, "imageID": f"docker.io/library/app@{DIGEST}"},
    CRASH: {
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "message": "KeyError: 'PORT'"}},
    },
    PULL: {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}},
}


class Controllers:
    def __init__(self, server: StandIn) -> None:
        self._server = server
        self._todo: dict[Place, None] = {}
        self._deadlines: dict[Place, float] = {}  # when a Deployment has had its time
        self.behaviour: dict[str, str] = {}
        server.database.listeners.append(self._changed)

    @property
    def busy(self) -> bool:
        """Something is to be done, or somebody's time is over soon."""
        soon = asyncio.get_running_loop().time() + _SOON
        return bool(self._todo) or any(due < soon for due in self._deadlines.values())

    def end_job(self, namespace: str, name: str, *, failed: str = "", said: str = "") -> None:
        """The Job's pod ends well, with these last words, or with code 1 and this last line."""
        job = self._server.database.get((JOBS, namespace, name))
        assert job is not None, f"no Job {name}"
        for pod in self._owned(PODS, job["metadata"]["uid"]):
            began = pod["status"]["startTime"]
            ended = _terminated(began, 1, failed) if failed else _terminated(began, 0, said)
            status = {"phase": "Failed" if failed else "Succeeded", **_statuses(pod["spec"], ended, began)}
            self._tell(PODS, pod, status)
        type_, reason = ("Failed", "BackoffLimitExceeded") if failed else ("Complete", "CompletionsReached")
        condition = {"type": type_, "status": "True", "reason": reason, "lastTransitionTime": now()}
        counts = {"failed": 1} if failed else {"succeeded": 1}
        times = {} if failed else {"completionTime": now()}
        status = {"active": None, "ready": None, "conditions": [condition], **counts, **times}
        self._tell(JOBS, job, status)

    def environment(self, namespace: str, name: str) -> dict[str, str]:
        """What the last container of a Job is told."""
        job = self._server.database.get((JOBS, namespace, name))
        assert job is not None, f"no Job {name}"
        (container,) = job["spec"]["template"]["spec"]["containers"]
        return {entry["name"]: entry["value"] for entry in container["env"]}

    def _changed(self, change: Change) -> None:
        if change.place[0] in {JOBS, DEPLOYMENTS} and change.type != "DELETED":
            self.look_soon(change.place)

    def look_soon(self, place: Place) -> None:
        if place not in self._todo:
            self._todo[place] = None
            asyncio.get_running_loop().call_soon(self._look, place)

    def _look(self, place: Place) -> None:
        del self._todo[place]
        self._deadlines.pop(place, None)
        body = self._server.database.get(place)
        if body is not None:
            self._run_job(body) if place[0] is JOBS else self._roll_out(body)

    def _run_job(self, job: Json) -> None:
        if job.get("status", {}).get("conditions") or self._owned(PODS, job["metadata"]["uid"]):
            return
        pod = self._make(PODS, job, f"{job['metadata']['name']}-pod", job["spec"]["template"])
        began = now()
        running = {"running": {"startedAt": began}}
        self._tell(PODS, pod, {"phase": "Running", "startTime": began, **_statuses(pod["spec"], running, began)})
        self._tell(JOBS, job, {"active": 1, "ready": 1, "startTime": now()})

    def _roll_out(self, deployment: Json) -> None:
        meta, spec = deployment["metadata"], deployment["spec"]
        sets = self._owned(REPLICA_SETS, meta["uid"])
        replica_set = sets[0] if sets else self._make(REPLICA_SETS, deployment, f"{meta['name']}-rs", spec["template"])
        does, replicas = self._does(spec), int(spec.get("replicas", 1))
        pods = self._owned(PODS, replica_set["metadata"]["uid"])
        for number in range(len(pods), replicas):
            pods.append(self._make(PODS, replica_set, f"{meta['name']}-rs-{number}", spec["template"]))
        for pod in pods[replicas:]:
            self._server.writes.delete(_target(PODS, pod), {})
        for pod in pods[:replicas]:
            state = {"name": "app", "image": spec["template"]["spec"]["containers"][0]["image"], **_STATES[does]}
            self._tell(PODS, pod, {"phase": "Running", "containerStatuses": [state]})
        self._report(deployment, does, replicas)

    def _report(self, deployment: Json, does: str, replicas: int) -> None:
        meta, known = deployment["metadata"], deployment.get("status", {}).get("conditions", [])
        before: Json = next((c for c in known if c["type"] == "Progressing"), {})
        good = replicas if does == READY else 0
        progress = ("True", "NewReplicaSetAvailable") if good == replicas else ("True", "ReplicaSetUpdated")
        deadline = float(deployment["spec"].get("progressDeadlineSeconds", 600))
        if good < replicas and before.get("reason") == "ReplicaSetUpdated":
            # Told by the clock alone: the condition does not say more than whole seconds.
            loop, since = asyncio.get_running_loop(), before["since"]
            if loop.time() >= since + deadline:
                progress = ("False", "ProgressDeadlineExceeded")
            else:
                place = _place(DEPLOYMENTS, deployment)
                self._deadlines[place] = since + deadline + 0.01
                loop.call_at(self._deadlines[place], self.look_soon, place)
        if good < replicas and before.get("reason") in {"ProgressDeadlineExceeded", "NewReplicaSetAvailable"}:
            progress = (before["status"], before["reason"])
        same = (before.get("status"), before.get("reason")) == progress
        moment = {"lastTransitionTime": now(), "since": asyncio.get_running_loop().time()}
        condition = {
            "type": "Progressing",
            "status": progress[0],
            "reason": progress[1],
            **(before if same else moment),
        }
        status = {
            "observedGeneration": meta["generation"],
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": good,
            "availableReplicas": good,
            "conditions": [condition],
        }
        self._tell(DEPLOYMENTS, deployment, status)

    def _does(self, spec: Json) -> str:
        (container,) = spec["template"]["spec"]["containers"]
        command = container.get("command", [])
        what = command[command.index("--model") + 1] if "--model" in command else container["image"]
        return self.behaviour.get(what, READY)

    def _owned(self, kind: Kind, uid: str) -> list[Json]:
        owners = ((body, body["metadata"].get("ownerReferences") or ()) for body in self._server.database.of(kind))
        return [body for body, references in owners if any(owner["uid"] == uid for owner in references)]

    def _make(self, kind: Kind, owner: Json, name: str, template: Json) -> Json:
        meta = owner["metadata"]
        owner_kind = JOBS if kind is PODS and owner["kind"] == "Job" else None
        reference = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"]}
        reference |= {"uid": meta["uid"], "controller": True}
        labels = {**(template.get("metadata") or {}).get("labels", {}), names.MANAGED_BY_LABEL: names.MANAGED_BY}
        spec = template["spec"] if kind is PODS else {"template": template}
        body = {
            "apiVersion": kind.api_version,
            "kind": kind.kind,
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "labels": labels if owner_kind is None else {**labels, "batch.kubernetes.io/job-name": meta["name"]},
                "ownerReferences": [reference],
            },
            "spec": json.loads(json.dumps(spec)),
        }
        return self._server.writes.create(Target(kind, meta["namespace"], name, manager="kubernetes"), body)

    def _tell(self, kind: Kind, body: Json, status: Json) -> None:
        self._server.writes.merge(_target(kind, body, status=True), {"status": status})


def _target(kind: Kind, body: Json, *, status: bool = False) -> Target:
    return Target(kind, body["metadata"]["namespace"], body["metadata"]["name"], status, "kubernetes")


def _place(kind: Kind, body: Json) -> Place:
    return kind, body["metadata"]["namespace"], body["metadata"]["name"]


def _statuses(spec: Json, last: Json, began: str) -> Json:
    """Init containers have ended well; the last container is in this state. A kubelet tells of each when it began."""
    image_id = {"imageID": f"docker.io/library/x@{DIGEST}"}
    done = [
        {"name": c["name"], "image": c["image"], "state": _terminated(began, 0), **image_id}
        for c in spec.get("initContainers", ())
    ]
    running = [{"name": c["name"], "image": c["image"], "state": last, **image_id} for c in spec["containers"]]
    return {"initContainerStatuses": done, "containerStatuses": running}


def _terminated(began: str, code: int, message: str = "") -> Json:
    ended = {"exitCode": code, "reason": "Error" if code else "Completed", "message": message}
    return {"terminated": {**ended, "startedAt": began, "finishedAt": now()}}
