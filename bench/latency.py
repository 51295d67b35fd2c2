"""How long a new resource waits for its Job, at a steady rate of creations."""

from __future__ import annotations

from functools import partial

from bench.actors import Actor, started
from bench.audit import Request, first_answers
from bench.client import Client, paced
from bench.ground import Ground
from bench.results import Latency
from bench.throughput import JOB
from bench.workload import Workload


def measure(ground: Ground, actor: Actor, per_second: float, seconds: float) -> Latency:
    """Raises :class:`bench.audit.Unsettled` when a resource has no Job in the end."""
    workload, numbers = ground.workload(), range(max(1, round(per_second * seconds)))
    creations = ground.client_tail()
    if not actor.is_process:
        ground.do(lambda client: paced(numbers, partial(client.create_with_job, workload), per_second))
        creations.await_that(lambda: len(first_answers(creations.requests, *JOB)) >= len(numbers), "all Jobs", 60)
        return Latency(actor.name, per_second, _waits(creations.requests, creations.requests))
    with started(ground.plane, actor, ground.mlflow) as process:
        ground.do(partial(_create, workload, numbers, per_second))
        jobs = process.tail
        jobs.await_that(lambda: len(first_answers(jobs.requests, *JOB)) >= len(numbers), "all Jobs", 60 + 2 * seconds)
        creations.read()
        return Latency(actor.name, per_second, _waits(creations.requests, jobs.requests))


async def _create(workload: Workload, numbers: range, per_second: float, client: Client) -> None:
    await paced(numbers, partial(client.create, workload), per_second)


def _waits(by_client: list[Request], by_actor: list[Request]) -> list[float]:
    created, jobs = first_answers(by_client, "create", "trainingjobs"), first_answers(by_actor, *JOB)
    return sorted(round((jobs[name] - at) * 1000, 2) for name, at in created.items())
