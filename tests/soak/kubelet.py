"""What a node would do: pods start, and end; scripts log to MLflow. Everything else is Kubernetes' own controllers."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from datetime import UTC, datetime
from typing import Final

import aiohttp

from tests.soak.client import Client, Json, Refused
from tests.soak.users import BROKEN

_LOOK_EVERY: Final = 0.5  # seconds
_DIGEST: Final = "registry.example.com/x@sha256:" + "ab" * 32
_API: Final = "/api/2.0/mlflow/"


class Kubelet:
    def __init__(self, client: Client, mlflow: str, dice: random.Random) -> None:
        self.did: Counter[str] = Counter()
        self._client = client
        self._mlflow = mlflow
        self._dice = dice
        self._seen: set[str] = set()
        self._pods: set[asyncio.Task[None]] = set()

    @property
    def busy(self) -> bool:
        return bool(self._pods)

    async def run(self) -> None:
        """For ever."""
        # A few at a time: a hundred at once bring an MLflow with SQLite to a standstill that it never left (measured).
        few, patient = aiohttp.TCPConnector(limit=4), aiohttp.ClientTimeout(total=None, sock_read=60)
        async with aiohttp.ClientSession(self._mlflow, connector=few, timeout=patient) as scripts:
            while True:
                waiting = await self._client.ask("GET", "/api/v1/pods", fieldSelector="status.phase=Pending")
                for pod in waiting["items"]:
                    if pod["metadata"]["uid"] not in self._seen and "deletionTimestamp" not in pod["metadata"]:
                        self._seen.add(pod["metadata"]["uid"])
                        task = asyncio.create_task(self._live(pod, scripts))
                        self._pods.add(task)
                        task.add_done_callback(self._pods.discard)
                await asyncio.sleep(_LOOK_EVERY)

    async def _live(self, pod: Json, scripts: aiohttp.ClientSession) -> None:
        try:
            if "batch.kubernetes.io/job-name" in pod["metadata"]["labels"]:
                await self._train(pod, scripts)
            elif pod["spec"]["containers"][0]["image"] == BROKEN:
                waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
                await self._tell(pod, "Pending", waiting, ready=False)
                self.did["pods that never became ready"] += 1
            else:
                await asyncio.sleep(self._dice.uniform(0.1, 2))
                await self._tell(pod, "Running", {"running": {"startedAt": _now()}}, ready=True)
                self.did["pods that became ready"] += 1
        except Refused as refused:
            if refused.code not in {404, 409, 422}:
                raise
            self.did["pods that were taken away"] += 1

    async def _train(self, pod: Json, scripts: aiohttp.ClientSession) -> None:
        began = {"startedAt": _now()}
        await self._tell(pod, "Running", {"running": began}, ready=True)
        await asyncio.sleep(self._dice.uniform(0.2, 6))
        fate = self._dice.random()
        if fate < 0.15:
            end = {**began, "exitCode": 1, "reason": "Error", "message": "ValueError: no data", "finishedAt": _now()}
            await self._tell(pod, "Failed", {"terminated": end}, ready=False)
            self.did["scripts that failed"] += 1
            return
        await self._log(pod, scripts, accuracy=0.95 if fate < 0.8 else 0.4)
        end = {**began, "exitCode": 0, "reason": "Completed", "finishedAt": _now()}
        await self._tell(pod, "Succeeded", {"terminated": end}, ready=False)
        self.did["scripts that ended well"] += 1

    async def _log(self, pod: Json, scripts: aiohttp.ClientSession, accuracy: float) -> None:
        (container,) = pod["spec"]["containers"]
        environment = {entry["name"]: entry.get("value", "") for entry in container["env"]}
        run_id, moment = environment["MLFLOW_RUN_ID"], int(datetime.now(UTC).timestamp() * 1000)
        point = {"run_id": run_id, "key": "accuracy", "value": accuracy, "timestamp": moment, "step": 1}
        await _post(scripts, "runs/log-metric", point)
        experiment = environment["MLFLOW_EXPERIMENT_ID"]
        made = await _post(
            scripts, "logged-models", {"experiment_id": experiment, "name": "model", "source_run_id": run_id}
        )
        if made is not None:
            model = made["model"]["info"]["model_id"]
            ready = {"model_id": model, "status": "LOGGED_MODEL_READY"}
            await _post(scripts, f"logged-models/{model}", ready, "PATCH")
        await _post(scripts, "runs/update", {"run_id": run_id, "status": "FINISHED", "end_time": moment})

    async def _tell(self, pod: Json, phase: str, state: Json, *, ready: bool) -> None:
        meta, spec = pod["metadata"], pod["spec"]
        done = {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": _now()}}
        statuses = {
            "initContainerStatuses": [_status(c, done, ready=False) for c in spec.get("initContainers", ())],
            "containerStatuses": [_status(c, state, ready=ready) for c in spec["containers"]],
        }
        conditions = [
            {"type": type_, "status": str(ready), "lastTransitionTime": _now()}
            for type_ in ("Ready", "ContainersReady")
        ]
        body = {"status": {"phase": phase, "startTime": _now(), "conditions": conditions, **statuses}}
        await self._client.ask("PATCH", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status", body)


async def _post(scripts: aiohttp.ClientSession, path: str, body: Json, method: str = "POST") -> Json | None:
    """Asked until MLflow answers; None when it says no (the run was closed meanwhile)."""
    while True:
        try:
            async with scripts.request(method, _API + path, json=body) as answer:
                if answer.status < 400:
                    result: Json = await answer.json(content_type=None)
                    return result
                if answer.status < 500:
                    return None
        except (aiohttp.ClientError, TimeoutError, OSError):
            pass
        await asyncio.sleep(1)


def _status(container: Json, state: Json, *, ready: bool) -> Json:
    name, image = container["name"], container["image"]
    return {"name": name, "image": image, "imageID": _DIGEST, "ready": ready, "restartCount": 0, "state": state}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
