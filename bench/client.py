"""A bare aiohttp client: what any operator in Python could reach at best on this API server."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import kubernetes.config
from kubernetes.client import Configuration

from bench.mlflow_stub import API as MLFLOW
from bench.workload import JOBS, NAMESPACES, TRAINING_JOBS, Workload
from tandem.api.names import TAG_RESOURCE_UID, TAG_RUN

AT_ONCE = 32
_EVENTS = "/apis/events.k8s.io/v1/namespaces/{}/events"


class Client:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def send(self, method: str, path: str, body: bytes, content_type: str = "application/json") -> bytes:
        """Raises :class:`aiohttp.ClientResponseError` for anything but 2xx."""
        async with self._session.request(method, path, data=body, headers={"Content-Type": content_type}) as answer:
            data = await answer.read()
            answer.raise_for_status()
            return data

    async def create(self, workload: Workload, number: int) -> str:
        """Create one TrainingJob; its uid."""
        path = TRAINING_JOBS.format(workload.namespace(number))
        uid: str = json.loads(await self.send("POST", path, workload.resource(number)))["metadata"]["uid"]
        return uid

    async def create_with_job(self, workload: Workload, number: int) -> str:
        uid = await self.create(workload, number)
        await self.send("POST", JOBS.format(workload.namespace(number)), workload.job(number, uid))
        return uid

    async def create_and_settle(self, workload: Workload, number: int, *, asks_mlflow: bool = False) -> None:
        """The three writes: the resource, its Job, its status; and the run in MLflow, before its Job."""
        uid = await self.create(workload, number)
        if asks_mlflow:
            await self._make_run(workload, number, uid)
        await self.send("POST", JOBS.format(workload.namespace(number)), workload.job(number, uid))
        path = f"{TRAINING_JOBS.format(workload.namespace(number))}/{workload.name(number)}/status"
        await self.send("PATCH", path, workload.status(number, uid), "application/merge-patch+json")

    async def _make_run(self, workload: Workload, number: int, uid: str) -> None:
        """What Tandem asks MLflow for before it makes a Job: is there an experiment; then that and a run, please."""
        at = f"{workload.mlflow_uri}{MLFLOW}"
        name = f"{workload.namespace(number)}/{workload.name(number)}"
        tags = [{"key": TAG_RESOURCE_UID, "value": uid}, {"key": TAG_RUN, "value": "1"}]
        async with self._session.get(f"{at}experiments/get-by-name", params={"experiment_name": name}) as answer:
            await answer.read()
        experiment = json.loads(await self.send("POST", f"{at}experiments/create", _json(name=name)))["experiment_id"]
        run = _json(experiment_id=experiment, run_name=f"{name}-1", start_time=0, tags=tags)
        await self.send("POST", f"{at}runs/create", run)

    async def clear(self, *collections: str) -> None:
        """Delete all that any row has made. (Jobs by the default policy would wait for a collector that never runs.)"""
        options = json.dumps({"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"}).encode()
        for namespace in NAMESPACES:
            for collection in collections or (TRAINING_JOBS, JOBS, _EVENTS):
                await self.send("DELETE", collection.format(namespace), options)


def _json(**fields: object) -> bytes:
    return json.dumps(fields).encode()


@asynccontextmanager
async def connected(url: str, kubeconfig: Path) -> AsyncIterator[Client]:
    tls = Configuration()
    kubernetes.config.load_kube_config(str(kubeconfig), client_configuration=tls)  # type: ignore[no-untyped-call]
    context = ssl.create_default_context(cafile=tls.ssl_ca_cert)
    assert tls.cert_file is not None, "the kubeconfig has no client certificate"
    context.load_cert_chain(tls.cert_file, tls.key_file)
    connector = aiohttp.TCPConnector(limit=2 * AT_ONCE, ssl=context)
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
        yield Client(session)


async def each(numbers: range, do: Callable[[int], Awaitable[object]], at_once: int = AT_ONCE) -> None:
    """All of them, so many at a time."""
    left = iter(numbers)

    async def work() -> None:
        for number in left:
            await do(number)

    async with asyncio.TaskGroup() as workers:
        for _ in range(at_once):
            workers.create_task(work())


async def paced(numbers: range, do: Callable[[int], Awaitable[object]], per_second: float) -> None:
    """Each at its own moment, whether those before have ended or not."""
    clock = asyncio.get_running_loop().time
    start = clock()
    async with asyncio.TaskGroup() as tasks:
        for number in numbers:
            await asyncio.sleep(start + (number - numbers.start) / per_second - clock())
            tasks.create_task(_awaited(do(number)))


async def _awaited(doing: Awaitable[object]) -> None:
    await doing
