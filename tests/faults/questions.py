"""Questions to an API server, real or not, and what of an answer has to be the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import aiohttp

Json: TypeAlias = dict[str, Any]

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


@dataclass
class Interview:
    """Asks, and notes what was answered; the notes of two servers are compared."""

    session: aiohttp.ClientSession
    url: str
    namespace: str

    def __post_init__(self) -> None:
        self.notes: list[str] = []

    async def ask(
        self, method: str, path: str, body: Json | None = None, patch: str = "", *, token: str = "", **query: str
    ) -> tuple[int, Json]:
        if token:
            query["continue"] = token
        headers = {"Content-Type": patch or "application/json", "User-Agent": "somebody/1"}
        if query.pop("metadata_only", ""):
            headers["Accept"] = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
        sent = None if body is None else json.dumps(body)
        async with self.session.request(method, self.url + path, data=sent, headers=headers, params=query) as answer:
            text = await answer.text()
            return answer.status, json.loads(text) if text.startswith("{") else {}

    async def note(self, what: str, asked: Awaitable[tuple[int, Json]], *told: str) -> Json:
        """Note the code and reason of an answer, and what ``told`` names of it (a path with dots)."""
        code, body = await asked
        causes = sorted({cause.get("field", "") for cause in (body.get("details") or {}).get("causes", ())})
        causes = [field for field in causes if field != "<nil>"]  # "CEL rules were not checked": these are not ours
        refused = f" {body.get('reason')} {causes}" if code >= 400 else ""
        values = [f" {path}={json.dumps(_at(body, path), sort_keys=True)}" for path in told]
        self.notes.append(f"{what}: {code}{refused}{''.join(values)}")
        return body

    def add(self, what: str, value: object) -> None:
        self.notes.append(f"{what}: {value}")

    async def events(self, path: str, count: int, **query: str) -> list[Json]:
        """The first events of a watch."""
        found: list[Json] = []
        params = {"watch": "true", **query}
        async with self.session.get(self.url + path, params=params) as answer:
            if answer.status != 200:
                return [{"type": f"HTTP {answer.status}", "object": await answer.json()}]
            async with asyncio.timeout(10):
                async for line in answer.content:
                    found.append(json.loads(line))
                    if len(found) == count:
                        break
        return found

    def at(self, resource: str, name: str = "", namespace: str = "") -> str:
        roots = {
            "trainingjobs": "/apis/tandem.dev/v1alpha1",
            "appdeployments": "/apis/tandem.dev/v1alpha1",
            "jobs": "/apis/batch/v1",
            "deployments": "/apis/apps/v1",
            "services": "/api/v1",
            "events": "/apis/events.k8s.io/v1",
            "leases": "/apis/coordination.k8s.io/v1",
        }
        path = f"{roots[resource]}/namespaces/{namespace or self.namespace}/{resource}"
        return f"{path}/{name}" if name else path


Question: TypeAlias = Callable[[Interview], Awaitable[None]]


def training_job(name: str, **spec: object) -> Json:
    steps = [{"name": "train", "command": ["python", "train.py"]}]
    meta = {"name": name}
    return {
        "apiVersion": "tandem.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": meta,
        "spec": {"steps": steps, **spec},
    }


def job(name: str, command: str = "true", **meta: object) -> Json:
    container = {"name": "c", "image": "busybox", "command": [command]}
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, **meta}, "spec": spec}


def deployment(name: str, replicas: int | None = None, **meta: object) -> Json:
    labels = {"app": name}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
    spec: Json = {"selector": {"matchLabels": labels}, "template": pod}
    if replicas is not None:
        spec["replicas"] = replicas
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, **meta}, "spec": spec}


def scale(name: str, replicas: int, **meta: object) -> Json:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, **meta},
        "spec": {"replicas": replicas},
    }


def _at(body: Any, path: str) -> Any:
    for part in path.split("."):
        body = body.get(part) if isinstance(body, dict) else None
    return body
