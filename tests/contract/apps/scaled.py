"""A real AppDeployment, its revision's Deployment, and whatever autoscaler there is for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

from cluster.control_plane import ControlPlane
from tandem.api import names
from tests.contract.apps.real import Json, Real, eventually, named
from tests.unit.apps.world import World, app

PATHS: Final = {
    "hpa": "/apis/autoscaling/v2/namespaces/team/horizontalpodautoscalers",
    "appdeployment": f"/apis/{names.API_VERSION}/namespaces/team/appdeployments",
}


class Scaled:
    """A real AppDeployment, its revision and its autoscaler."""

    def __init__(self, plane: ControlPlane, name: str, **autoscaling: object) -> None:
        """With the bounds that are given, or with an autoscaler of somebody else's where none are."""
        bounds: Json = {"autoscaling": {"minReplicas": 2, "maxReplicas": 4, **autoscaling}} if autoscaling else {}
        self.plane, self.real = plane, Real(plane, named(app(**bounds), name))

    @property
    def world(self) -> World:
        return self.real.world

    def get(self, kind: str, name: str = "") -> Json:
        return self.plane.get(f"{PATHS[kind]}/{name or self.world.name}")

    def settle(self, passes: int = 4) -> None:
        """As the operator does: the status is written, so that /scale tells what it tells."""
        for _ in range(passes):
            self.real.reconcile()
            self.world.look()
        patch = json.dumps({"status": self.world.status})
        words = ("appdeployment", self.world.name, "-n", "team", "--subresource=status", "--type=merge", "-p", patch)
        self.plane.kubectl("patch", *words)

    def condition(self, type_: str, name: str = "") -> tuple[str, str]:
        conditions = self.get("hpa", name).get("status", {}).get("conditions", [])
        found: Json = next((c for c in conditions if c["type"] == type_), {})
        return found.get("status", ""), found.get("reason", "")

    def until(self, seen: Callable[[], bool]) -> None:
        eventually(seen, seconds=60)

    def told(self) -> tuple[str, str]:
        """What the plan makes of what the real autoscaler says of itself."""
        self.world.autoscalers[self.world.name]["status"] = self.get("hpa")["status"]
        self.world.reconcile()
        condition = self.world.condition("Autoscaled")
        return condition.status, condition.reason

    def follow(self) -> int:
        """One look of the operator at what spec.replicas says by now; that number."""
        asked = int(self.get("appdeployment")["spec"].get("replicas", 1))
        self.world.change(replicas=asked)
        self.settle(passes=2)
        return asked

    def until_it_asks_for(self, pods: int) -> None:
        self.until(lambda: self.follow() == pods)


def path(name: str, subresource: str) -> str:
    return f"{PATHS['appdeployment']}/{name}/{subresource}"
