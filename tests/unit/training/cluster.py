"""The Jobs and pods of a TrainingJob, small enough to be values: what Kubernetes makes of them, and how they end.

A Job that is deleted goes on existing for a moment; one that is suspended loses its pods.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Self

import msgspec

from tandem.api.children import Job, Pod
from tandem.api.meta import Json
from tandem.training.case import TrainingChildren
from tests.unit.training.mlflow import START

POLL_JOB: Final = "iris-poll"
DIGEST: Final = "sha256:" + "ab" * 32
DATA_DIGEST: Final = "sha256:" + "cd" * 32
COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Cluster:
    spec: Json = field(default_factory=dict)
    now: datetime = START
    jobs: dict[str, Json] = field(default_factory=dict)
    pods: dict[str, Json] = field(default_factory=dict)
    services: dict[str, Json] = field(default_factory=dict)
    foreign_jobs: list[Json] = field(default_factory=list)
    says: dict[str, str] = field(default_factory=dict)  # what a container that succeeds tells, by its name
    store: dict[str, str] = field(default_factory=dict)  # the version that its store tells of a data set
    grace: int = 1  # for how many passes a deleted Job goes on existing
    _uids: int = 0

    @property
    def job_name(self) -> str:
        return [name for name in self.jobs if name != POLL_JOB][-1]

    @property
    def job(self) -> Json:
        return self.jobs[self.job_name]

    @property
    def live_jobs(self) -> list[str]:
        ended = {"Complete", "Failed"}
        return [
            name
            for name, job in self.jobs.items()
            if name != POLL_JOB and not ended & {condition["type"] for condition in job["status"].get("conditions", [])}
        ]

    @property
    def children(self) -> TrainingChildren:
        return TrainingChildren(
            jobs=tuple(msgspec.convert(job, Job) for job in [*self.jobs.values(), *self.foreign_jobs]),
            pods=tuple(msgspec.convert(pod, Pod) for pod in self.pods.values()),
        )

    def container_names(self) -> list[str]:
        pod = self.job["spec"]["template"]["spec"]
        return [container["name"] for container in (*pod["initContainers"], *pod["containers"])]

    # --- how pods go on, and end -------------------------------------------------------------------------------------

    def pod(self, phase: str = "Pending", states: Mapping[str, Json] | None = None, **status: object) -> Self:
        """The Job's newest pod; ``states`` by container, the others have no state."""
        name = f"{self.job_name}-{self.job['status'].get('failed', 0)}"
        known = self.pods.get(name, {}).get("metadata", {})
        made = known.get("creationTimestamp", self.now.isoformat())
        begun = self.pods.get(name, {}).get("begun", {})
        started = [one for one, state in (states or {}).items() if state.keys() & {"running", "terminated"}]
        begun |= {container: self.now.isoformat() for container in started if container not in begun}
        spec = self.job["spec"]["template"]["spec"]
        self.pods[name] = {
            "begun": begun,
            "metadata": {
                "name": name,
                "uid": f"pod-{name}",
                "creationTimestamp": made,
                "ownerReferences": [_owner("Job", self.job_name, self.job["metadata"]["uid"])],
            },
            "status": {
                "phase": phase,
                "initContainerStatuses": [_container(c, states or {}, begun) for c in spec["initContainers"]],
                "containerStatuses": [_container(c, states or {}, begun) for c in spec["containers"]],
                **status,
            },
        }
        self.job["status"]["active"] = 0 if phase in {"Succeeded", "Failed"} else 1
        return self

    def runs_step(self, step: str) -> Self:
        earlier = self.container_names()[: self.container_names().index(step)]
        states = {name: _terminated(self, name, 0) for name in earlier} | {step: {"running": {}}}
        return self.pod("Running", states, startTime=self.now.isoformat())

    def exits(self, step: str, code: int, message: str = "", reason: str = "Error") -> Self:
        """The pod's step exits; the Job has not heard of it yet."""
        earlier = self.container_names()[: self.container_names().index(step)]
        states = {name: _terminated(self, name, 0) for name in earlier}
        self.pod("Failed", {**states, step: _terminated(self, step, code, message, reason)})
        return self

    def fails(self, step: str = "train", code: int = 1, message: str = "", reason: str = "Error") -> Self:
        """The pod's step exits; no further attempt is left."""
        self.exits(step, code, message, reason)
        return self.job_fails("BackoffLimitExceeded", "Job has reached the specified backoff limit")

    def job_fails(self, reason: str, message: str = "") -> Self:
        return self._ends("Failed", reason, message, failed=1)

    def poll_ends(self, code: int = 0, message: str | None = None, told: Mapping[str, Json] | None = None) -> Self:
        """The polling pod reports what the store has, or what is ``told`` of a data set; or it exits with ``code``."""
        wanted = json.loads(env_of(self.jobs[POLL_JOB])["TANDEM_POLL"])["data"]
        data = [
            {"name": d["name"], **(told or {}).get(d["name"], {"version": self.store.get(d["name"], "")})}
            for d in wanted
        ]
        said = json.dumps({"data": data}) if message is None else message
        job = self.jobs[POLL_JOB]
        state = {"terminated": {"exitCode": code, "message": said, "reason": "Error" if code else "Completed"}}
        owner = _owner("Job", POLL_JOB, job["metadata"]["uid"])
        meta = {"name": f"{POLL_JOB}-x", "uid": "pod-poll", "ownerReferences": [owner]}
        container = {"name": "poll", "state": state}
        phase = "Failed" if code else "Succeeded"
        self.pods[f"{POLL_JOB}-x"] = {"metadata": meta, "status": {"phase": phase, "containerStatuses": [container]}}
        type_, reason = ("Failed", "BackoffLimitExceeded") if code else ("Complete", "CompletionsReached")
        job["status"] = {"conditions": [{"type": type_, "status": "True", "reason": reason, "message": reason}]}
        return self

    def succeeds(self) -> Self:
        """Every container of the pod exits with 0, and the Job is complete."""
        self.pod("Succeeded", {name: _terminated(self, name, 0) for name in self.container_names()})
        return self._ends("Complete", "CompletionsReached", "", succeeded=1)

    # --- what is done to Jobs ----------------------------------------------------------------------------------------

    def create(self, manifest: Json) -> None:
        name = manifest["metadata"]["name"]
        if manifest["kind"] == "Service":
            self.services.setdefault(name, manifest)
            return
        if name in self.jobs:
            return  # 409, with our own uid
        self._uids += 1
        manifest["metadata"] |= {"uid": f"job-{self._uids}", "creationTimestamp": self.now.isoformat()}
        self.jobs[name] = manifest | {"status": {}}

    def delete_job(self, name: str | None = None) -> Self:
        """A person deletes it."""
        self._forget(name or self.job_name)
        return self

    def delete(self, name: str, uid: str) -> None:
        if name in self.jobs and self.jobs[name]["metadata"]["uid"] == uid:
            self.jobs[name]["metadata"]["deletionTimestamp"] = self.now.isoformat()

    def apply(self, manifest: Json) -> None:
        """Server-side apply of a Job that is there: what was applied before and is left out goes."""
        job = self.jobs[manifest["metadata"]["name"]]
        applied = job.get("applied", {"annotations": {}, "spec": {}})
        spec, annotations = manifest["spec"], manifest["metadata"]["annotations"]
        assert "suspend" in spec, "what is left out falls back to Kubernetes' default"
        for mine, before, after in (
            (job["spec"], applied["spec"], spec),
            (job["metadata"]["annotations"], applied["annotations"], annotations),
        ):
            for gone in before.keys() - after.keys():
                mine.pop(gone, None)
            mine.update(after)
        job["applied"] = {"annotations": annotations, "spec": spec}
        self._job_controller(job)

    def _job_controller(self, job: Json) -> None:
        """Suspends, resumes and ends; a pod that a suspension takes away is not counted (tests/contract/training)."""
        name, status = job["metadata"]["name"], job["status"]
        if any(c["type"] in {"Complete", "Failed"} for c in status.get("conditions", [])):
            return
        suspend = job["spec"].get("suspend", False)
        if suspend and status.get("active"):
            status["active"] = 0
            self.pods = {key: pod for key, pod in self.pods.items() if not key.startswith(f"{name}-")}
        told = {"type": "Suspended", "status": "True" if suspend else "False", "reason": "JobSuspended"}
        status["conditions"] = [{**told, "lastTransitionTime": self.now.isoformat()}]
        if job["spec"].get("activeDeadlineSeconds") == 1:
            self.pods = {key: pod for key, pod in self.pods.items() if not key.startswith(f"{name}-")}
            self.job_fails("DeadlineExceeded")

    def take_away(self) -> None:
        """What was deleted and whose moment is over."""
        for name in [name for name, job in self.jobs.items() if "deletionTimestamp" in job["metadata"]]:
            self.jobs[name]["grace"] = self.jobs[name].get("grace", self.grace) - 1
            if self.jobs[name]["grace"] <= 0:
                self._forget(name)

    def _forget(self, name: str) -> None:
        self.jobs.pop(name, None)
        self.pods = {key: pod for key, pod in self.pods.items() if not key.startswith(f"{name}-")}

    def _ends(self, type_: str, reason: str, message: str, **counts: int) -> Self:
        at = self.now.isoformat()
        condition = {"type": type_, "status": "True", "reason": reason, "message": message, "lastTransitionTime": at}
        self.job["status"] = {"conditions": [condition], **counts}
        return self


def env_of(job: Json) -> dict[str, str]:
    given = job["spec"]["template"]["spec"]["containers"][0]["env"]
    return {entry["name"]: entry.get("value", "") for entry in given}


def _owner(kind: str, name: str, uid: str) -> Json:
    return {"apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": True}


def _container(container: Json, states: Mapping[str, Json], begun: Mapping[str, str]) -> Json:
    state = {
        kind: {"startedAt": begun[container["name"]], **told} if kind in {"running", "terminated"} else told
        for kind, told in states.get(container["name"], {}).items()
    }
    started = {"imageID": f"docker.io/library/x@{DIGEST}"} if state.keys() & {"running", "terminated"} else {}
    return {"name": container["name"], "image": container["image"], "state": state, **started}


def _terminated(cluster: Cluster, name: str, code: int, message: str = "", reason: str = "") -> Json:
    if name == "fetch" and code == 0:
        data = [
            {"name": d["name"], "digest": DATA_DIGEST, "bytes": 4}
            | ({"version": cluster.store[d["name"]]} if d["name"] in cluster.store else {})
            for d in cluster.spec.get("data", [])
        ]
        message = json.dumps({"commit": COMMIT, "data": data})
    elif code == 0:
        message = cluster.says.get(name, message)
    finished = cluster.now.isoformat()
    why = reason or ("Completed" if code == 0 else "Error")
    return {"terminated": {"exitCode": code, "message": message, "reason": why, "finishedAt": finished}}
