"""Create → Job → status, as fast as it goes: 32 creations at a time over eight namespaces."""

from __future__ import annotations

from functools import partial

from msgspec.structs import replace

from bench.actors import Actor, started
from bench.audit import Request, Tail, finished, first_answers
from bench.client import Client, each
from bench.ground import Ground
from bench.results import Throughput
from bench.workload import Workload

STATUS = ("patch", "trainingjobs/status")
JOB = ("create", "jobs")
_QUIET = 1.5
_SECONDS_FOR_EACH = 0.5  # of a resource, at the slowest that is believed


def measure(ground: Ground, actor: Actor, resources: int) -> Throughput:
    """Raises :class:`bench.audit.Unsettled` when not all are settled in the end."""
    workload, numbers, asked = ground.workload(), range(resources), ground.asked_mlflow()
    if not actor.is_process:
        tail = ground.client_tail()
        settle = partial(Client.create_and_settle, asks_mlflow=actor.asks_mlflow)
        ground.do(lambda client: each(numbers, partial(settle, client, workload)))
        tail.await_quiet(_QUIET)
        own = [r for r in tail.requests if (r.verb, r.resource) != ("create", "trainingjobs")]
        found = _result(actor, workload, resources, tail.requests, own)
        return replace(found, asked_mlflow=dict(ground.asked_mlflow() - asked))
    with started(ground.plane, actor, ground.mlflow) as process:
        cpu_before, before = process.cpu_seconds, len(process.tail.requests)
        creations = ground.client_tail()
        ground.do(partial(_create, workload, numbers))
        patience = 30 + _SECONDS_FOR_EACH * resources
        process.tail.await_settled(lambda: len(_settled(process.tail)) >= resources, "all are settled", patience)
        process.tail.await_quiet(_QUIET)
        cpu, megabytes = process.cpu_seconds - cpu_before, process.memory("VmHWM")
        creations.read()
        own = process.tail.requests[before:]
        found = _result(actor, workload, resources, creations.requests, own)
        asked_now = dict(ground.asked_mlflow() - asked)
        return replace(found, cpu_seconds=cpu, megabytes_at_most=megabytes, asked_mlflow=asked_now)


async def _create(workload: Workload, numbers: range, client: Client) -> None:
    await each(numbers, partial(client.create, workload))


def _settled(tail: Tail) -> dict[str, float]:
    jobs, statuses = first_answers(tail.requests, *JOB), first_answers(tail.requests, *STATUS)
    return {name: max(at, statuses[name]) for name, at in jobs.items() if name in statuses}


def _result(
    actor: Actor, workload: Workload, resources: int, by_client: list[Request], own: list[Request]
) -> Throughput:
    names = {f"{workload.namespace(n)}/{workload.name(n)}" for n in range(resources)}
    created = [r for r in by_client if (r.verb, r.resource) == ("create", "trainingjobs") and r.name in names]
    jobs, statuses = first_answers(own, *JOB), first_answers(own, *STATUS)
    assert jobs.keys() == statuses.keys() == names, f"{actor.name}: some have no Job or no status"
    begun, ended = min(r.received for r in created), max(*jobs.values(), *statuses.values())
    requests = {f"{verb} {resource}": n for (verb, resource), n in sorted(finished(own).items())}
    return Throughput(actor.name, actor.what, resources, ended - begun, 0.0, requests)
