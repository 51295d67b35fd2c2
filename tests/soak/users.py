"""Users: so many resources of both kinds, and whatever people do with them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Final

from tandem.api import names
from tests.soak.client import Client, Json, Refused

NAMESPACES: Final = tuple(f"team-{number}" for number in range(8))
BROKEN: Final = "registry.example.com/broken:1"
_IMAGES: Final = (*(f"registry.example.com/app:{number}" for number in range(1, 4)), BROKEN)
_PLURALS: Final = {names.TRAINING_JOB: "trainingjobs", names.APP_DEPLOYMENT: "appdeployments"}
_AT_ONCE: Final = 16
_APPS: Final = 0.3  # of all


def path(kind: str, namespace: str, name: str = "") -> str:
    return f"/apis/{names.API_VERSION}/namespaces/{namespace}/{_PLURALS[kind]}" + (f"/{name}" if name else "")


class Users:
    def __init__(self, client: Client, resources: int, dice: random.Random) -> None:
        self.did: Counter[str] = Counter()
        self._client = client
        self._dice = dice
        self._names = [
            (names.APP_DEPLOYMENT if number < resources * _APPS else names.TRAINING_JOB, NAMESPACES[number % 8], number)
            for number in range(resources)
        ]
        self._tokens = 0

    async def create_all(self) -> None:
        left = iter(self._names)

        async def work() -> None:
            for kind, namespace, number in left:
                await self._create(kind, namespace, f"r{number}")

        await asyncio.gather(*(work() for _ in range(_AT_ONCE)))

    async def go_on(self, per_second: float) -> None:
        """For ever."""
        doings = [
            (self._edit, 10),
            (self._ask, 4),
            (self._suspend, 3),
            (self._delete, 2),
            (self._lose_a_child, 1),
        ]
        acts, weights = zip(*doings, strict=True)
        while True:
            await asyncio.sleep(self._dice.expovariate(per_second))
            kind, namespace, number = self._dice.choice(self._names)
            (act,) = self._dice.choices(acts, weights)
            try:
                await act(kind, namespace, f"r{number}")
            except Refused as refused:
                self.did[f"refused: {refused.code}"] += 1

    async def let_everything_run(self) -> None:
        """The last wish: nothing is suspended, everything is there."""
        for kind, namespace, number in self._names:
            try:
                await self._client.ask("PATCH", path(kind, namespace, f"r{number}"), {"spec": {"suspend": False}})
            except Refused:
                await self._create(kind, namespace, f"r{number}")

    async def _create(self, kind: str, namespace: str, name: str) -> None:
        meta = {"name": name, "namespace": namespace}
        body = {"apiVersion": names.API_VERSION, "kind": kind, "metadata": meta, "spec": self._spec(kind, name)}
        try:
            await self._client.ask("POST", path(kind, namespace), body)
            self.did[f"{kind} created"] += 1
        except Refused as refused:
            if refused.code != 409:
                raise

    async def _edit(self, kind: str, namespace: str, name: str) -> None:
        await self._client.ask("PATCH", path(kind, namespace, name), {"spec": self._spec(kind, name)})
        self.did[f"{kind} changed"] += 1

    async def _ask(self, kind: str, namespace: str, name: str) -> None:
        self._tokens += 1
        note = {names.REQUESTED_AT_ANNOTATION: f"token {self._tokens}"}
        await self._client.ask("PATCH", path(kind, namespace, name), {"metadata": {"annotations": note}})
        self.did[f"{kind} asked for again"] += 1

    async def _suspend(self, kind: str, namespace: str, name: str) -> None:
        suspend = self._dice.random() < 0.5
        await self._client.ask("PATCH", path(kind, namespace, name), {"spec": {"suspend": suspend}})
        self.did[f"{kind} {'suspended' if suspend else 'resumed'}"] += 1

    async def _delete(self, kind: str, namespace: str, name: str) -> None:
        await self._client.ask("DELETE", path(kind, namespace, name))
        self.did[f"{kind} deleted"] += 1
        await asyncio.sleep(self._dice.choice([0.0, 0.2, 2.0]))
        await self._create(kind, namespace, name)

    async def _lose_a_child(self, kind: str, namespace: str, name: str) -> None:
        group = "batch/v1" if kind == names.TRAINING_JOB else "apps/v1"
        plural = "jobs" if kind == names.TRAINING_JOB else "deployments"
        label = names.TRAINING_JOB_LABEL if kind == names.TRAINING_JOB else names.APP_LABEL
        at = f"/apis/{group}/namespaces/{namespace}/{plural}"
        found = (await self._client.ask("GET", at, labelSelector=f"{label}={name}"))["items"]
        if found:
            child = self._dice.choice(found)["metadata"]["name"]
            await self._client.ask("DELETE", f"{at}/{child}", {"propagationPolicy": "Background"})
            self.did[f"child of a {kind} deleted by hand"] += 1

    def _spec(self, kind: str, name: str) -> Json:
        if kind == names.APP_DEPLOYMENT:
            return {
                "image": self._dice.choices(_IMAGES, [3, 3, 3, 1])[0],
                "replicas": self._dice.randint(1, 2),
                "progressDeadlineSeconds": 20,
                "scaleDownDelaySeconds": 1,
            }
        with_model = int(name.removeprefix("r")) % 2 == 0
        return {
            "steps": [{"name": "train", "command": ["python", "train.py"]}],
            "parameters": {"depth": str(self._dice.randint(1, 3))},
            "backoffLimit": self._dice.randint(0, 1),
            "gate": {"metrics": [{"name": "accuracy", "min": self._dice.choice(["0.5", "0.9"])}]},
            **({"model": {"name": name, "alias": "champion"}} if with_model else {}),
        }
