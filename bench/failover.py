"""Two replicas, and what becomes of the work when the leader is killed, stopped, cut off or told to end.

Resources are created at a steady rate all the while. Seconds are reported and never asserted; what is counted (Jobs of
a resource, writes of the leader that was) is asserted by tests.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

from bench import restart
from bench.actors import REPLICA, Process, started
from bench.audit import Request, Tail, first_answers
from bench.client import Client, each
from bench.ground import Ground
from bench.network import Cable, cable
from bench.results import Failover
from bench.throughput import JOB
from bench.workload import Workload

KILLED, STOPPED, CUT_OFF, TOLD_TO_END = "kill -9", "stopped, resumed", "cut off from the API server", "SIGTERM"
FAULTS: Final = (KILLED, STOPPED, CUT_OFF, TOLD_TO_END)
STEADY: Final = 10.0  # creations a second
PAUSE: Final = 60.0
_PATIENCE: Final = 120.0
_WORK_BEFORE: Final = 10  # resources that the first leader has settled before anything happens to it


def measure(
    ground: Ground, fault: str, resources: int, pause: float = PAUSE, duration: int = 15, rate: float = STEADY
) -> Failover:
    """``resources`` are there and settled before; ``duration`` of the lease and ``pause`` of the leader in seconds."""
    jobs = Tail(ground.plane.audit_log, "")  # everybody's
    with ExitStack() as stack:
        way = stack.enter_context(cable(ground.plane.url))
        first = stack.enter_context(_replica(ground, "first", duration, way.url))
        first.tail.await_that(lambda: bool(_leading(first)), "the first leads", _PATIENCE)
        second = stack.enter_context(_replica(ground, "second", duration))
        creator = stack.enter_context(_creating(ground, rate))
        _await_jobs(first, _WORK_BEFORE)
        at = time.time()
        _strike(fault, first, way)
        second.tail.await_that(lambda: bool(_leading(second)), "the second leads", _PATIENCE + 4 * duration)
        _await_jobs(second, 1)
        resumed = _recover(fault, first, at + pause)
        creator.stop()
        names = {f"{creator.workload.namespace(n)}/{creator.workload.name(n)}" for n in range(creator.created)}

        def all_have_their_job() -> bool:
            first.tail.read()  # what it had asked for when it was struck may have been done after it
            return names <= _with_job(first, second)

        second.tail.await_that(all_have_their_job, "all have their Job", _PATIENCE)
        second.tail.await_quiet(1.0)
        first.tail.read()
        jobs.read()
    took_over = _leading(second)[0].answered
    return Failover(
        fault=fault,
        resources=resources,
        created=creator.created,
        lease_seconds=duration,
        takeover_seconds=took_over - at,
        first_job_seconds=min(first_answers(second.tail.requests, *JOB).values()) - at,
        most_live_jobs=most_live_jobs(jobs.requests),
        jobs=sum(r.code < 300 for r in jobs.requests if (r.verb, r.resource) == JOB),
        writes_after_resuming=sum(r.is_write and r.received >= resumed for r in first.tail.requests),
        writes_of_the_former=sum(r.is_write and r.received > took_over for r in first.tail.requests),
        writes_into_settled=_into_settled(first, second, creator.workload.prefix),
    )


def fill(ground: Ground, resources: int) -> None:
    restart.fill(ground, resources)


def most_live_jobs(requests: list[Request]) -> int:
    """Of one resource at any moment: every Job that was created lives until it is deleted."""
    live: Counter[str] = Counter()
    most = 0
    for request in sorted((r for r in requests if r.resource == "jobs" and r.code < 300), key=lambda r: r.answered):
        if request.verb == "create":
            live[request.resource_name] += 1
            most = max(most, live[request.resource_name])
        elif request.verb == "delete":
            live[request.resource_name] -= 1
    return most


@contextmanager
def _replica(ground: Ground, name: str, duration: int, url: str = "") -> Iterator[Process]:
    actor = replace(REPLICA, arguments=(*REPLICA.arguments, "--lease-duration", str(duration)))
    environ: Mapping[str, str] = {"POD_NAME": name, "POD_NAMESPACE": "default"}
    with started(ground.plane, actor, ground.mlflow, environ, url) as process:
        yield process


def _strike(fault: str, first: Process, way: Cable) -> None:
    strikes: dict[str, Callable[[], None]] = {
        KILLED: partial(first.send, signal.SIGKILL),
        STOPPED: partial(first.send, signal.SIGSTOP),
        CUT_OFF: way.cut,
        TOLD_TO_END: partial(first.send, signal.SIGTERM),
    }
    strikes[fault]()


def _recover(fault: str, first: Process, not_before: float) -> float:
    """The leader that was comes back, if it can, and ends; the moment at which it could have written again."""
    resumed = time.time()
    if fault == STOPPED:
        time.sleep(max(0.0, not_before - time.time()))
        resumed = time.time()
        first.send(signal.SIGCONT)
    first.await_end(_PATIENCE)
    return resumed


def _leading(process: Process) -> list[Request]:
    """Its successful writes of the Lease."""
    return [r for r in process.tail.requests if r.resource == "leases" and r.is_write and r.code < 300]


def _await_jobs(process: Process, number: int) -> None:
    process.tail.await_that(lambda: len(first_answers(process.tail.requests, *JOB)) >= number, "its Jobs", _PATIENCE)


def _with_job(*processes: Process) -> set[str]:
    return {name for process in processes for name in first_answers(process.tail.requests, *JOB)}


def _into_settled(first: Process, second: Process, prefix: str) -> int:
    """Writes about resources that were settled before."""
    ours = {"jobs", "trainingjobs", "trainingjobs/status"}
    requests = [r for process in (first, second) for r in process.tail.requests]
    return sum(r.is_write and r.resource in ours and f"/{prefix}-" not in r.name for r in requests)


class _Creator:
    def __init__(self, ground: Ground, rate: float) -> None:
        self.workload: Workload = ground.workload()
        self.created = 0
        self._ground = ground
        self._rate = rate
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._create, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    def _create(self) -> None:
        self._ground.do(self._steadily)

    async def _steadily(self, client: Client) -> None:
        async def one(number: int) -> None:
            await client.create(self.workload, number)
            self.created = number + 1

        while not self._stopped.wait(1 / self._rate):
            await each(range(self.created, self.created + 1), one, at_once=1)


@contextmanager
def _creating(ground: Ground, rate: float) -> Iterator[_Creator]:
    creator = _Creator(ground, rate)
    creator.start()
    try:
        yield creator
    finally:
        creator.stop()
