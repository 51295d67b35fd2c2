"""A plan's world whose Deployments are real."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from cluster.control_plane import ControlPlane
from tandem.api.plan import Apply, Create, Delete
from tests.unit.apps.world import World

Json: TypeAlias = dict[str, Any]


class Real:
    """A plan's world whose Deployments are real."""

    def __init__(self, plane: ControlPlane, world: World) -> None:
        self.plane, self.world = plane, world
        resource = {
            "apiVersion": "tandem.dev/v1alpha1",
            "kind": "AppDeployment",
            "metadata": {"name": world.name, "namespace": "team"},
            "spec": world.spec,
        }
        self.uid = json.loads(plane.kubectl("create", "-o", "json", "-f", "-", stdin=json.dumps(resource)))["metadata"][
            "uid"
        ]

    def reconcile(self) -> None:
        """One pass: the plan's actions on the real API server, and what that answers into the world."""
        made = self.world.reconcile()
        for action in made.actions:
            if isinstance(action, Delete):
                self.plane.kubectl("delete", action.kind, action.name, "-n", "team")
                continue
            assert isinstance(action, Create | Apply)
            body = json.loads(json.dumps(action.manifest).replace("app-uid", self.uid))
            if isinstance(action, Create):
                self.plane.kubectl("create", "-f", "-", stdin=json.dumps(body))
            else:
                apply(self.plane, body)

    def observe(self) -> None:
        for name, known in self.world.deployments.items():
            real = self.deployment(name)
            known["metadata"]["generation"] = real["metadata"]["generation"]
            known["status"] = real.get("status", {})

    def deployment(self, name: str) -> Json:
        return self.plane.get(f"/apis/apps/v1/namespaces/team/deployments/{name}")


def apply(plane: ControlPlane, body: Json) -> None:
    flags = ("--server-side", "--force-conflicts", "--field-manager=tandem", "-f", "-")
    plane.kubectl("apply", *flags, stdin=json.dumps(body))


def eventually(seen: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


def named(world: World, name: str) -> World:
    world.name = name
    return world
