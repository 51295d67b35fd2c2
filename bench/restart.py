"""A start over resources that have all they need; then rest."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from bench.actors import ENGINE, TANDEM, Process, probe_port, seen, started
from bench.audit import finished, first_answers
from bench.client import Client, each
from bench.ground import Ground
from bench.observed import Seen
from bench.results import Restart
from bench.throughput import JOB, STATUS
from bench.workload import Workload

_PATIENCE = 600.0
_STILL = 0.02  # CPU seconds within one


def fill(ground: Ground, resources: int) -> None:
    """So many more resources, settled by Tandem itself."""
    if not resources:
        return
    with started(ground.plane, ENGINE, ground.mlflow) as process:
        requests = process.tail.requests
        ground.do(partial(_create, ground.workload(), range(resources)))
        for write in (JOB, STATUS):
            process.tail.await_that(
                lambda write=write: len(first_answers(requests, *write)) >= resources,  # type: ignore[misc]
                f"all have their {write[1]}",
                _PATIENCE,
            )
        process.tail.await_quiet(1.0)


async def _create(workload: Workload, numbers: range, client: Client) -> None:
    await each(numbers, partial(client.create, workload))


def measure(ground: Ground, resources: int, rest_seconds: float) -> Restart:
    port = probe_port()
    observed = replace(TANDEM, module="bench.observed", arguments=("--probe", str(port), *TANDEM.arguments))
    with started(ground.plane, observed, ground.mlflow) as process:
        looked = _await_all(process, port, resources)
        _await_stillness(process)
        cpu = process.cpu_seconds
        time.sleep(rest_seconds)
        rest = (process.cpu_seconds - cpu) / rest_seconds
        process.tail.read()
        return Restart(
            resources=resources,
            looked_at=seen(port).looked_at,
            writes=sum(request.is_write for request in process.tail.requests),
            requests={f"{verb} {what}": n for (verb, what), n in sorted(finished(process.tail.requests).items())},
            seconds=looked.seconds,
            cpu_seconds=looked.cpu_seconds,
            cpu_seconds_at_rest=cpu,
            tasks=seen(port).tasks,
            megabytes=process.memory(),
            megabytes_at_most=process.memory("VmHWM"),
            rest_cpu_percent=100 * rest,
        )


def _await_all(process: Process, port: int, resources: int) -> Seen:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        process.check()
        now = seen(port)
        if now.listed and now.looked_at >= resources:
            return now
        time.sleep(0.1)
    raise TimeoutError(f"{seen(port).looked_at} of {resources} were looked at within {_PATIENCE:.0f} s")


def _await_stillness(process: Process) -> None:
    """Two seconds in a row without anything to do."""
    still, deadline = 0, time.monotonic() + _PATIENCE
    while still < 2 and time.monotonic() < deadline:
        before = process.cpu_seconds
        time.sleep(1)
        still = still + 1 if process.cpu_seconds - before <= _STILL else 0
