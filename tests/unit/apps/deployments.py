"""Deployments, as Kubernetes' own controller looks at them, and the pods that they have.

They behave like the real ones in what a plan depends on: an observedGeneration lags until the controller has looked, a
Deployment that was complete once never again reports that it exceeded its deadline, and one that is scaled to zero
counts as complete.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tandem.api.meta import Json

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
IMAGE_DIGEST = "sha256:" + "ab" * 32

# What the pods of an image do; any image that is not named here becomes ready.
READY, NEVER, CRASH, PULL, QUOTA = "ready", "never ready", "crash", "pull", "quota"
OUT_OF_MEMORY, NO_ROOM, SILENT = "out of memory", "no room", "silent"

_CONTAINER_STATES: dict[str, Json] = {
    READY: {"ready": True, "state": {"running": {}}, "imageID": f"docker.io/library/app@{IMAGE_DIGEST}"},
    QUOTA: {"ready": True, "state": {"running": {}}},  # a pod from before the quota
    NEVER: {"state": {"running": {}}},
    CRASH: {
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}},
        "lastState": {"terminated": {"exitCode": 3, "reason": "Error", "message": "Traceback\nKeyError: 'PORT'\n"}},
    },
    PULL: {"state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}},
    OUT_OF_MEMORY: {"lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}},
    NO_ROOM: {},
    SILENT: {},
}
_UNSCHEDULABLE: Json = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/3 nodes are available",
}


@dataclass(kw_only=True)
class Deployments:
    now: datetime = START
    behaviour: dict[str, str] = field(default_factory=dict)  # of an image, or of "model/version"
    deployments: dict[str, Json] = field(default_factory=dict)
    copies: dict[str, Json] = field(default_factory=dict)
    image_ids: dict[str, str] = field(default_factory=dict)  # image as written → as the nodes tell it
    moved: dict[str, str] = field(default_factory=dict)  # image → as the node of its last pod tells it, a newer one
    crashed: dict[str, datetime] = field(default_factory=dict)  # image → when a container of it ended, and came back
    unready: dict[str, datetime] = field(default_factory=dict)  # image → since when its first pod is not ready
    ready: dict[str, datetime] = field(default_factory=dict)  # image → since when its pods are ready; else untold

    def look(self) -> None:
        """The Deployment controller sees every Deployment once."""
        for deployment in self.deployments.values():
            self._look_at(deployment)

    def _look_at(self, deployment: Json) -> None:
        replicas = deployment["spec"]["replicas"]
        does = self.does(deployment)
        there = 0 if does == QUOTA else replicas
        good = replicas if does == READY else 0
        good -= 1 if good and deployment["written"] in self.unready else 0
        before = deployment.get("status", {})
        since = deployment.setdefault("rolloutSince", self.now)
        complete = deployment.get("complete", False) or good == replicas
        deployment["complete"] = complete
        progressing = {"type": "Progressing", "status": "True", "lastTransitionTime": since.isoformat()}
        progressing["reason"] = "NewReplicaSetAvailable" if complete else "ReplicaSetUpdated"
        due = since + timedelta(seconds=deployment["spec"]["progressDeadlineSeconds"])
        if not complete and self.now >= due:
            progressing |= {
                "status": "False",
                "reason": "ProgressDeadlineExceeded",
                "lastTransitionTime": due.isoformat(),
            }
        conditions = [progressing]
        if does == QUOTA and replicas:
            refused = 'pods "x" is forbidden: exceeded quota: compute'
            conditions.append(
                {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": refused}
            )
        deployment["status"] = {
            **before,
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": there,
            "updatedReplicas": there,
            "readyReplicas": good,
            "availableReplicas": good,
            "conditions": conditions,
        }

    def does(self, deployment: Json) -> str:
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        if self.configured_with(deployment) - self.copies.keys():
            return NEVER
        command = container.get("command", [])
        if "--model" in command:
            key = command[command.index("--model") + 1].removeprefix("models:/")
        else:
            key = deployment["written"]
        return self.behaviour.get(key, READY)

    @staticmethod
    def configured_with(deployment: Json) -> set[str]:
        """The ConfigMaps that its pods use."""
        pod = deployment["spec"]["template"]["spec"]
        volumes = {volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume}
        variables = pod["containers"][0].get("envFrom", ())
        return volumes | {source["configMapRef"]["name"] for source in variables if "configMapRef" in source}

    def deadlines(self) -> list[datetime]:
        """When the Deployment controller will change its mind by itself."""
        return [
            due
            for deployment in self.deployments.values()
            if not deployment.get("complete")
            and deployment["spec"]["replicas"]
            and (due := deployment["rolloutSince"] + timedelta(seconds=deployment["spec"]["progressDeadlineSeconds"]))
            > self.now
        ]

    def replica_set_of(self, deployment: Json) -> Json:
        meta = deployment["metadata"]
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": meta["name"], "uid": meta["uid"]}
        return {
            "metadata": {
                "name": f"{meta['name']}-rs",
                "uid": f"rs-{meta['uid']}",
                "ownerReferences": [_controls(owner)],
            }
        }

    def pods_of(self, deployment: Json) -> list[Json]:
        owner = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": "rs",
            "uid": f"rs-{deployment['metadata']['uid']}",
        }
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        count = deployment.get("status", {}).get("replicas", 0)
        status: Json = {"name": "app", "image": container["image"], **_CONTAINER_STATES[self.does(deployment)]}
        if "imageID" in status:
            status["imageID"] = self.image_ids.get(deployment["written"], status["imageID"])
        if (ended := self.crashed.get(deployment["written"])) is not None:
            status["restartCount"] = 1
            status["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": ended.isoformat()}}
        last = count - 1 if deployment["written"] in self.moved else None
        return [
            {
                "metadata": {
                    "name": f"{deployment['metadata']['name']}-rs-{number}",
                    "uid": f"pod-{deployment['metadata']['uid']}-{number}",
                    "ownerReferences": [_controls(owner)],
                },
                "status": {
                    "phase": "Running",
                    "containerStatuses": [
                        status | ({"imageID": self.moved[deployment["written"]]} if number == last else {})
                    ],
                    "conditions": self._pod_conditions(deployment, number),
                },
            }
            for number in range(count)
        ]

    def _pod_conditions(self, deployment: Json, number: int) -> list[Json]:
        if self.does(deployment) == NO_ROOM:
            return [_UNSCHEDULABLE]
        since = self.unready.get(deployment["written"])
        if since is None or number > 0:
            since = self.ready.get(deployment["written"])
            return [{"type": "Ready", "status": "True", "lastTransitionTime": since.isoformat()}] if since else []
        return [{"type": "Ready", "status": "False", "lastTransitionTime": since.isoformat()}]


def _controls(owner: Json) -> Json:
    return {**owner, "controller": True}
