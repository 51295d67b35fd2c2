"""A world with several resources of both kinds, where a kubelet starts ended processes anew: the machine's ground."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

from tandem.engine.lease import LeaseTimes
from tests.faults.apiserver.kinds import APP_DEPLOYMENTS, DEPLOYMENTS, JOBS, TRAINING_JOBS, Json, Kind
from tests.faults.apiserver.watching import faithful
from tests.faults.controllers import READY
from tests.faults.world import OFTEN, OPERATOR, World

TRAINING_NAMES: Final = ("iris", "rose")
APP_NAMES: Final = ("shop", "score")
IMAGES: Final = ("shop:1", "shop:2", "shop:3")
SERVED: Final = "served"  # the model of the app "score"; nobody trains it here
_KUBELET: Final = 0.05
_LEASE: Final = LeaseTimes(duration=2)


def training_spec(name: str, depth: int, minimum: str, *, suspend: bool = False) -> Json:
    return {
        "steps": [{"name": "train", "command": ["python", "t.py"]}],
        "parameters": {"depth": str(depth)},
        "gate": {"metrics": [{"name": "accuracy", "min": minimum}]},
        "model": {"name": name, "alias": "champion"},
        "suspend": suspend,
    }


def app_spec(name: str, image: str, replicas: int, *, suspend: bool = False) -> Json:
    quick: Json = {"scaleDownDelaySeconds": 0, "progressDeadlineSeconds": 1}
    model = {"name": SERVED, "alias": "challenger", "promoteTo": "champion"}
    what: Json = {"model": model} if name == "score" else {"image": image}
    return {**quick, **what, "replicas": replicas, "suspend": suspend}


def kind_of(name: str) -> Kind:
    return TRAINING_JOBS if name in TRAINING_NAMES else APP_DEPLOYMENTS


class Habitat(World):
    """``replicas``: 1 without a Lease, or more that elect one of them."""

    def __init__(self, replicas: int = 1) -> None:
        super().__init__(resync=OFTEN, empty=True)
        self.restarts = 0
        self._replicas = (OPERATOR,) if replicas == 1 else tuple(f"replica-{number}" for number in range(replicas))

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._names = self._replicas
        for name in self._names:
            if name == OPERATOR:
                self.start()
            else:
                self.start(OPERATOR, replica=name, lease_namespace="default", lease_times=_LEASE)
        self._kubelet = asyncio.create_task(self._start_what_ends())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kubelet.cancel()
        await asyncio.wait([self._kubelet])
        await super().__aexit__(kind, error, trace)

    async def _start_what_ends(self) -> None:
        while True:
            for name, process in list(self.processes.items()):
                if process.ended is not None and self.processes.get(name) is process:
                    self.restarts += 1
                    await self.restart(name)
            await asyncio.sleep(_KUBELET)

    def _check_lives(self) -> None:
        """What ends is started anew."""

    # --- users -------------------------------------------------------------------------------------------------------

    def wants(self, name: str, spec: Json) -> None:
        """Created, or changed to this."""
        kind = kind_of(name)
        if self.read(kind, name):
            self.change(kind, name, {"spec": spec})
        else:
            self.create(kind, name, spec)

    def spec(self, name: str) -> Json:
        spec: Json = self.read(kind_of(name), name).get("spec", {})
        return spec

    def status(self, name: str) -> Json:
        status: Json = self.read(kind_of(name), name).get("status", {})
        return status

    def asks(self, name: str, token: str) -> None:
        self.change(kind_of(name), name, {"metadata": {"annotations": {"tandem.dev/requestedAt": token}}})

    def registers(self) -> None:
        self.mlflow.aliases[SERVED, "challenger"] = self.mlflow.add_version(SERVED)

    # --- the cluster -------------------------------------------------------------------------------------------------

    def live_jobs(self) -> list[str]:
        return [
            body["metadata"]["name"] for body in self.server.database.of(JOBS) if body.get("status", {}).get("active")
        ]

    def pods_of(self, image: str, behaviour: str) -> None:
        """From now on pods of this image do this."""
        self.controllers.behaviour[image] = behaviour
        for place in list(self.server.database.all()):
            if place[0] is DEPLOYMENTS:
                self.controllers.look_soon(place)

    # --- faults end, and what they leave behind is repaired ----------------------------------------------------------

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self.server.faults.rules.clear()
        self.server.watches.meddle = faithful
        self.server.look_back(None)
        self.mlflow.recovers()
        self.die_after = None

    def repair(self) -> None:
        """Images work again, nothing is suspended, and a person asks once more for what has failed."""
        for image in list(self.controllers.behaviour):
            self.pods_of(image, READY)
        if (SERVED, "challenger") not in self.mlflow.aliases:
            self.registers()
        for name in (*TRAINING_NAMES, *APP_NAMES):
            if self.read(kind_of(name), name):
                self.change(kind_of(name), name, {"spec": {"suspend": False}})
                self.asks(name, "the last time")

    async def everything_completes(self) -> None:
        """Every Job that runs ends well, as do those that come of it."""
        await self.settled()
        while live := self.live_jobs():
            for job in live:
                self.completes(job)
            await self.settled()
