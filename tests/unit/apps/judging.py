"""Judgements as a cluster shows them: a Job, its pod, and what the pod's containers have ended with."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from tandem.api.meta import Json
from tests.unit.apps.deployments import START
from tests.unit.apps.world import World, app

ERRORS: Json = {"name": "errors", "max": "0.01", "pods": {"metric": "requestErrorRate"}}
SMOKE: Json = {"name": "smoke", "job": {"image": "ghcr.io/acme/smoke:2"}}


def candidate(*metrics: Json, resources: Json | None = None, **rollout: object) -> World:
    """Revision 1 serves; revision 2 is ready, and what judges it has just been asked for."""
    limited = {} if resources is None else {"resources": resources}
    world = app(scaleDownDelaySeconds=0, rollout={"analysis": list(metrics), **rollout}, **limited)
    world.annotations["tandem.dev/promote"] = "1"
    world.converge()
    world.annotations.clear()
    world.done.clear()
    world.change(image="shop:2")
    for _ in range(20):
        if world.jobs:
            return world
        world.reconcile()
        world.look()
    raise AssertionError(f"nothing is judged: {world.condition('RolledOut')}")


def report(**phases: str) -> str:
    """The last message of the container that measures."""
    metrics = [{"name": name, "phase": phase, "message": f"0.5 of {name}"} for name, phase in phases.items()]
    return json.dumps({"phase": "Successful", "metrics": metrics})


def terminated(name: str, exit_code: int = 0, message: str = "", reason: str = "Completed") -> Json:
    return {"name": name, "state": {"terminated": {"exitCode": exit_code, "reason": reason, "message": message}}}


def waiting(name: str, reason: str, message: str = "") -> Json:
    return {"name": name, "image": "smoke:2", "state": {"waiting": {"reason": reason, "message": message}}}


def running(name: str, started_at: datetime = START) -> Json:
    return {"name": name, "state": {"running": {"startedAt": started_at.isoformat()}}}


def pod_of(
    job: Json, *containers: Json, phase: str = "Running", conditions: tuple[Json, ...] = (), **status: object
) -> Json:
    meta = job["metadata"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"], "controller": True}
    made_at = status.pop("made_at", meta.get("creationTimestamp", START.isoformat()))
    return {
        "metadata": {
            "name": f"{meta['name']}-{status.pop('suffix', 'x')}",
            "uid": "pod-uid",
            "ownerReferences": [owner],
            "creationTimestamp": made_at,
        },
        "status": {"phase": phase, "containerStatuses": list(containers), "conditions": list(conditions), **status},
    }


def job_of(*conditions: Json, name: str = "shop-0123456789", **status: object) -> Json:
    meta = {"name": name, "namespace": "team", "uid": "job-uid", "creationTimestamp": START.isoformat()}
    return {"metadata": meta, "status": {"conditions": list(conditions), **status}}


def over(type_: str, reason: str = "", after: timedelta = timedelta()) -> Json:
    """A condition of a Job that has ended."""
    return {"type": type_, "status": "True", "reason": reason, "lastTransitionTime": (START + after).isoformat()}


def going_on(world: World) -> list[str]:
    return [name for name, job in world.jobs.items() if "conditions" not in job.get("status", {})]


def end(world: World, *containers: Json) -> str:
    """The one Job of the world that goes on ends with that; its name."""
    (name,) = going_on(world)
    failed = any(container["state"]["terminated"]["exitCode"] for container in containers)
    job = world.jobs[name]
    job["status"] = {
        "conditions": [
            {"type": "Failed" if failed else "Complete", "status": "True", "lastTransitionTime": world.now.isoformat()}
        ]
    }
    world.job_pods[name] = [pod_of(job, *containers, phase="Failed" if failed else "Succeeded")]
    return name
