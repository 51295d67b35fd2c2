"""A world for one scenario: stand-in, controllers, MLflow, and Tandem's processes, with users who do things."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from tandem.api import names
from tandem.engine.process import Options
from tandem.main import Configuration, app_controller, drift_controller, training_controller
from tests.faults.apiserver.faults import Request
from tests.faults.apiserver.kinds import APP_DEPLOYMENTS, JOBS, TRAINING_JOBS, Json, Kind
from tests.faults.apiserver.server import StandIn
from tests.faults.apiserver.writes import Target
from tests.faults.controllers import Controllers
from tests.faults.mlflow import Mlflow, Tracking
from tests.faults.operators import Mind, OperatorProcess

CONFIGURATION: Final = Configuration("http://mlflow.mlflow:5000", "tandem-runtime:1", timedelta(seconds=1))
PATIENCE: Final = 40.0  # seconds; a few of them on a quiet machine
# For so many seconds an operator has to have nothing to do to be at rest. One that sees the past goes on asking, ever
# more seldom, whether that is the present.
REST, REST_IN_THE_PAST = 5.0, 0.1
RARELY: Final = 600.0
OFTEN: Final = 0.3
OPERATOR, DRIFT = "tandem-operator", "tandem-drift"


@dataclass(frozen=True)
class Write:
    """One write of Tandem's, into the cluster or into MLflow."""

    agent: str
    what: str


class World:
    """``empty``: no process runs before a test starts one.

    ``die_after``: the process that makes this write (1 is the first) is killed right after it, and started anew.
    """

    def __init__(
        self, *, resync: float = RARELY, drift: bool = False, die_after: int | None = None, empty: bool = False
    ) -> None:
        self.server = StandIn()
        self.mlflow = Mlflow()
        self.controllers = Controllers(self.server)
        self.written: list[Write] = []
        self.die_after = die_after
        self.died: Write | None = None
        self.before_restart: Callable[[], None] = lambda: None
        self.processes: dict[str, OperatorProcess] = {}
        self._started: dict[str, Callable[[], OperatorProcess]] = {}
        self._names: tuple[str, ...] = (OPERATOR, DRIFT) if drift else (OPERATOR,)
        if empty:
            self._names = ()
        self._resync = resync
        self._incarnation = 0
        self._restarts: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self.server.__aenter__()
        self.server.wrote = self._wrote
        for name in self._names:
            self.start(name)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*self._restarts, return_exceptions=True)
        for process in list(self.processes.values()):
            await process.kill()
        await self.server.__aexit__(kind, error, trace)

    # --- Tandem's processes ------------------------------------------------------------------------------------------

    def start(
        self, name: str = OPERATOR, resync: float | None = None, replica: str = "", **options: object
    ) -> OperatorProcess:
        self._incarnation += 1
        instance = f"{self._incarnation}"
        agent = f"{name}/{instance}"
        source = Tracking(self.mlflow, lambda what: self._count(agent, what), asyncio.get_running_loop())
        kinds = (drift_controller(),)
        if name == OPERATOR:
            kinds = (training_controller(CONFIGURATION), app_controller(CONFIGURATION))  # type: ignore[assignment]
        period = self._resync if resync is None else resync
        process = OperatorProcess(
            self.server,
            source,
            kinds,
            Options(name, instance, resync_period=period, configuration_poll=CONFIGURATION.poll_every, **options),  # type: ignore[arg-type]
        )
        self.processes[replica or name] = process
        self._started[replica or name] = lambda: self.start(name, resync, replica, **options)
        process.start()
        return process

    @property
    def operator(self) -> OperatorProcess:
        return self.processes[OPERATOR]

    async def restart(self, name: str = OPERATOR) -> None:
        """kill -9, and what the kubelet does then."""
        process = self.processes.pop(name, None)
        if process is None:
            return  # somebody else is at it
        await process.kill()
        self.before_restart()
        self._started[name]()

    def _wrote(self, request: Request) -> None:
        self._count(request.agent, f"{request.verb} {request.resource} {request.name}")

    def _count(self, agent: str, what: str) -> None:
        self.written.append(Write(agent, what))
        if len(self.written) == self.die_after:
            self.died = self.written[-1]
            name = next((name for name, process in self.processes.items() if process.agent == agent), None)
            if name is None:
                return  # it is being killed already
            self.processes[name].cut_off()
            task = asyncio.create_task(self.restart(name))
            self._restarts.add(task)
            task.add_done_callback(self._restarts.discard)

    # --- users -------------------------------------------------------------------------------------------------------

    def create(self, kind: Kind, name: str, spec: Json, **meta: object) -> Json:
        body = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": name, **meta}, "spec": spec}
        return self.server.writes.create(Target(kind, "default", name, manager="user"), json.loads(json.dumps(body)))

    def change(self, kind: Kind, name: str, patch: Json, *, status: bool = False) -> Json:
        return self.server.writes.merge(Target(kind, "default", name, status, "user"), patch)

    def delete(self, kind: Kind, name: str) -> None:
        self.server.writes.delete(Target(kind, "default", name, manager="user"), {})

    def read(self, kind: Kind, name: str) -> Json:
        return self.server.database.get((kind, "default", name)) or {}

    def training(self, name: str = "iris") -> Json:
        status: Json = self.read(TRAINING_JOBS, name).get("status", {})
        return status

    def app(self, name: str = "shop") -> Json:
        status: Json = self.read(APP_DEPLOYMENTS, name).get("status", {})
        return status

    def completes(self, job: str, accuracy: float = 0.95) -> None:
        """The Job's script logs its figure and its model, and exits 0."""
        environment = self.controllers.environment("default", job)
        self.mlflow.logs(environment["MLFLOW_RUN_ID"], {"accuracy": accuracy})
        self.controllers.end_job("default", job)

    def fails(self, job: str) -> None:
        self.controllers.end_job("default", job, failed="ValueError: no data")

    def runs(self, job: str) -> bool:
        return bool(self.read(JOBS, job).get("status", {}).get("active"))

    # --- waiting -----------------------------------------------------------------------------------------------------

    async def until(self, holds: Callable[[World], object], what: str = "") -> None:
        clock = asyncio.get_running_loop().time
        try:
            async with asyncio.timeout(PATIENCE):
                looked = clock()
                while not holds(self):
                    self._check_lives()
                    # Whoever looks at a thousand objects leaves as much time to those who make them.
                    await asyncio.sleep(max(0.005, clock() - looked))
                    looked = clock()
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE:.0f} s: {what or holds}\n{self.told()}") from None

    async def settled(self, *, in_the_past: bool = False) -> None:
        """Everybody has nothing left to do and knows everything (or thinks so), three times in a row."""
        try:
            async with asyncio.timeout(PATIENCE):
                in_a_row = 0
                while in_a_row < 3:
                    self._check_lives()
                    in_a_row = in_a_row + 1 if await self._at_rest(in_the_past) else 0
                    await asyncio.sleep(0.015)
        except TimeoutError:
            raise AssertionError(f"no rest within {PATIENCE:.0f} s\n{self.told()}") from None

    def listens(self) -> bool:
        """All watches of all processes are open. (Who is ready has listed everything, and may still open them.)"""
        kinds = [process.kinds for process in self.processes.values()]
        return all(kinds) and len(self.server.watches.open) == sum(kinds)

    def _check_lives(self) -> None:
        for process in self.processes.values():
            if process.ended is not None:
                raise AssertionError(f"{process.agent} has ended") from process.ended

    async def _at_rest(self, in_the_past: bool) -> bool:
        before = self._situation()
        if self._restarts or self.controllers.busy or self.server.garbage.busy:
            return False
        if any(name not in self.processes for name in self._names):
            return False
        rest = REST_IN_THE_PAST if in_the_past else REST
        minds = [await process.mind(rest) for process in list(self.processes.values())]
        led = not minds or any(mind.leads for mind in minds)
        idle = led and before == self._situation() and all(mind.idle for mind in minds)
        return idle and (in_the_past or all(self._is_true(mind) for mind in minds))

    def _situation(self) -> tuple[int, int, int]:
        return self.server.database.revision, len(self.written), len(self._restarts)

    def _is_true(self, mind: Mind) -> bool:
        """What it has in mind is what there is, in the cluster and in MLflow."""
        there: dict[tuple[str, str], dict[str, str]] = {place: {} for place in mind.known}
        for (kind, _, _), body in self.server.database.all().items():
            meta = body["metadata"]
            managed = (meta.get("labels") or {}).get(names.MANAGED_BY_LABEL) == names.MANAGED_BY
            if (kind.group, kind.plural) in there and (kind.schema is not None or managed):
                there[kind.group, kind.plural][meta["uid"]] = meta["resourceVersion"]
        return mind.known == there and all(self.mlflow.answer(q) == answer for q, answer in mind.answers.items())

    def lists(self) -> int:
        """Comparisons that the processes of now have begun."""
        agents = {process.agent for process in self.processes.values()}
        lists = [r for r in self.server.requests if r.verb == "list" and r.resource == "trainingjobs"]
        return sum(r.agent in agents for r in lists) - len(agents)  # the first list of each is no comparison

    def told(self) -> str:
        """What a person would look at first."""
        last = "\n".join(f"  {write.agent} {write.what}" for write in self.written[-30:])
        states = [(name, self.server.database.get((kind, ns, name))) for kind, ns, name in self.server.database.all()]
        shown = [
            f"{body['kind']} {name}: {json.dumps(body.get('status', {}).get('conditions'))}"
            for name, body in states
            if body is not None and body["kind"] in {"TrainingJob", "AppDeployment", "Job", "Deployment"}
        ]
        return "\n".join(["writes:", last, *shown])
