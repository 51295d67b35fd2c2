"""What probes and metrics say while something is wrong, and while nothing is: asked over HTTP, as the kubelet does.

A watch that brings nothing though there is something turns /healthz red (docs/design/liveness.md); an idle cluster, or
one whose connections break now and then, never does.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tandem.engine import watches
from tests.faults.apiserver.faults import hang
from tests.faults.apiserver.kinds import Json
from tests.faults.apiserver.server import WRITES
from tests.faults.apiserver.watching import Sent, Watch
from tests.faults.operators import OperatorProcess
from tests.faults.scenarios import FIRST_RUN, TAKEN_AWAY, Scenario, deploy, ends, runs, serves, train, training_is
from tests.faults.world import OFTEN, OPERATOR, PATIENCE, RARELY, World

WATCHED = (
    "trainingjobs",
    "appdeployments",
    "jobs",
    "pods",
    "deployments",
    "replicasets",
    "services",
    "configmaps",
    "networkpolicies",
    "poddisruptionbudgets",
    "horizontalpodautoscalers",
    "ingresses",
)
IMPATIENT = 0.6  # seconds; two minutes in real life


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Probes:
    """One process, as the kubelet and Prometheus see it."""

    process: OperatorProcess
    session: aiohttp.ClientSession

    async def get(self, path: str, within: float = PATIENCE) -> tuple[int, str]:
        """Status and text; 0 when nobody answers ``within`` so many seconds."""
        url = f"http://127.0.0.1:{self.process.options.health_port}{path}"
        try:
            async with self.session.get(url, timeout=aiohttp.ClientTimeout(total=within)) as answer:
                return answer.status, await answer.text()
        except (aiohttp.ClientError, TimeoutError):
            return 0, ""

    async def until(self, path: str, status: int) -> str:
        told = await self.get(path)
        async with asyncio.timeout(PATIENCE):
            while told[0] != status:
                await asyncio.sleep(0.02)
                told = await self.get(path)
        return told[1]

    async def metrics(self) -> dict[str, dict[tuple[str, ...], float]]:
        """Name of the sample → values of its labels, in the order of their names → value."""
        url = f"http://127.0.0.1:{self.process.options.metrics_port}/metrics"
        async with self.session.get(url, timeout=aiohttp.ClientTimeout(total=PATIENCE)) as answer:
            assert answer.status == 200
            text = await answer.text()
        found: dict[str, dict[tuple[str, ...], float]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                found.setdefault(sample.name, {})[tuple(value for _, value in sorted(sample.labels.items()))] = (
                    sample.value
                )
        return found


def start(world: World, resync: float = OFTEN, replica: str = "", **options: object) -> OperatorProcess:
    options |= {"health_port": free_port(), "metrics_port": free_port(), "watch_patience": IMPATIENT}
    return world.start(OPERATOR, resync, replica, **options)


@asynccontextmanager
async def probed(resync: float = OFTEN) -> AsyncIterator[tuple[World, Probes]]:
    """A world with one operator that is ready, and its probes."""
    async with World(empty=True) as world, aiohttp.ClientSession() as session:
        probes = Probes(start(world, resync), session)
        await probes.until("/readyz", 200)
        await world.until(lambda w: len(w.server.watches.open) == len(WATCHED), "kopf has connected")
        yield world, probes


def silence(world: World, kind: str) -> None:
    """The connection stands, and nothing comes any more; nobody has told."""
    for watch in world.server.watches.open:
        watch.silent = watch.silent or watch.kind.kind == kind


@asynccontextmanager
async def always_green(probes: Probes) -> AsyncIterator[None]:
    """/healthz is green all the time that this takes."""
    seen: Counter[tuple[int, str]] = Counter()

    async def look() -> None:
        while True:
            seen[await probes.get("/healthz")] += 1
            await asyncio.sleep(0.02)

    task = asyncio.create_task(look())
    yield
    task.cancel()
    assert set(seen) == {(200, "ok")}, seen


# --- deaf ------------------------------------------------------------------------------------------------------------


async def test_case_17_a_watch_that_withholds_our_own_write_turns_healthz_red_and_is_green_again_when_it_speaks() -> (
    None
):
    """No comparison is near: the answer to the write is what the watch has to bring, too."""
    async with probed(resync=RARELY) as (world, probes):
        silence(world, "Job")
        train()(world)

        told = await probes.until("/healthz", 500)

        assert told.startswith("the watch of jobs is deaf: version ")
        assert "default/iris-1" in told
        assert (await probes.metrics())["tandem_watch_deaf"][("jobs",)] == 1
        assert (await probes.metrics())["tandem_watch_deaf"][("pods",)] == 0
        assert (await probes.get("/readyz"))[0] == 200, "it goes on working as well as it can"

        for watch in world.server.watches.open:
            watch.silent = False
        ends("iris-1")(world)
        await probes.until("/healthz", 200)


async def test_case_17_a_watch_that_withholds_what_others_write_is_found_out_by_comparing() -> None:
    async with probed() as (world, probes):
        silence(world, "TrainingJob")
        train()(world)
        await world.until(runs("iris-1"), "it is done nevertheless, by comparing")

        assert "the watch of trainingjobs is deaf" in await probes.until("/healthz", 500)


async def test_a_watch_without_a_sign_of_life_stands_still_and_a_bookmark_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Through kopf's own connection: of bookmarks no object tells."""
    monkeypatch.setattr(watches, "STANDS_STILL", 1.0)
    async with probed() as (world, probes):

        async def until_still(number: int) -> str:
            async with asyncio.timeout(PATIENCE):
                while len((told := (await probes.get("/healthz"))[1]).splitlines()) != number or told == "ok":
                    await asyncio.sleep(0.02)
            return told

        assert "the watch of pods stands still" in await until_still(len(WATCHED))

        silence(world, "Pod")
        world.server.watches.bookmark()

        assert (await until_still(1)).startswith("the watch of pods stands still"), "the others have spoken"


# --- no false alarm --------------------------------------------------------------------------------------------------


async def test_case_24_an_idle_cluster_raises_no_alarm() -> None:
    async with probed(resync=0.1) as (world, probes):
        train()(world)
        deploy(image="shop:1")(world)
        await world.until(lambda w: runs("iris-1")(w) and serves(1)(w))
        await world.settled()
        async with always_green(probes):
            before = world.lists()
            await world.until(lambda w: w.lists() > before + 15, "many comparisons, longer than its patience")


def breaking(every: int, how: Sent) -> Callable[[Watch, Json], Sent]:
    """Every so many events the stream breaks, before the event is through."""
    events = 0

    def meddle(_: Watch, event: Json) -> Sent:
        nonlocal events
        events += 1
        return how if events % every == 0 else [event]

    return meddle


EXPIRED: Json = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "old"}}


@pytest.mark.parametrize("how", [[None], [EXPIRED], ['{"type": "MOD', None]], ids=["cut", "410", "truncated"])
@pytest.mark.parametrize("scenario", [FIRST_RUN, TAKEN_AWAY], ids=str)
async def test_connections_that_break_now_and_then_raise_no_alarm(scenario: Scenario, how: Sent) -> None:
    async with probed(resync=0.1) as (world, probes):
        world.server.watches.meddle = breaking(4, how)
        async with always_green(probes):
            await scenario.play(world)
            before = world.lists()
            await world.until(lambda w: w.lists() > before + 10)


# --- ready -----------------------------------------------------------------------------------------------------------


async def test_nobody_is_ready_before_everything_is_listed_and_alive_all_the_same() -> None:
    async with World(empty=True) as world, aiohttp.ClientSession() as session:
        rule = world.server.faults.on("list", "services", fault=hang, agent="tandem-operator", times=None)
        probes = Probes(start(world), session)
        await world.until(lambda _: rule.seen, "the last of the lists is asked for")

        assert await probes.get("/readyz") == (503, "listing")
        assert await probes.get("/healthz") == (200, "ok")


async def test_a_standby_is_ready_and_says_that_it_does_not_lead() -> None:
    async with World(empty=True) as world, aiohttp.ClientSession() as session:
        leader = Probes(start(world, replica="one", lease_namespace="default"), session)
        await leader.until("/readyz", 200)
        await world.until(lambda w: any(r.verb == "create" and r.resource == "leases" for r in w.server.requests))
        standby = Probes(start(world, replica="two", lease_namespace="default"), session)
        await standby.until("/readyz", 200)
        async with asyncio.timeout(PATIENCE):
            while (await leader.metrics())["tandem_leader"][()] != 1:
                await asyncio.sleep(0.02)

        assert (await standby.metrics())["tandem_leader"][()] == 0
        assert (await standby.get("/healthz")) == (200, "ok")


# --- metrics ---------------------------------------------------------------------------------------------------------


async def test_metrics_agree_with_what_the_api_server_has_seen() -> None:
    async with probed() as (world, probes):
        await FIRST_RUN.play(world)
        deploy(image="shop:1")(world)
        await world.until(serves(1))
        await world.settled()
        metrics = await probes.metrics()
        seen: Counter[tuple[str, str, str, str]] = Counter()
        for request in world.server.requests:
            if request.verb in WRITES and request.agent == world.operator.agent:
                resource, _, subresource = request.resource.partition("/")
                seen[resource, f"{request.code // 100}xx", subresource, request.verb] += 1

    assert metrics["tandem_writes_total"] == seen
    assert metrics["tandem_resources"] == {("TrainingJob", "Complete"): 1, ("AppDeployment", "Healthy"): 1}
    assert metrics["tandem_leader"][()] == 1
    assert metrics["tandem_queue_depth"][()] == 0
    looks = metrics["tandem_reconcile_duration_seconds_count"]
    assert {kind for kind, _ in looks} == {"TrainingJob", "AppDeployment"}
    assert looks["TrainingJob", "done"] >= 3
    assert set(metrics["tandem_watch_age_seconds"]) == {(plural,) for plural in WATCHED}
    assert max(metrics["tandem_watch_age_seconds"].values()) < PATIENCE


async def test_case_49_a_loop_that_stands_still_answers_no_probe_and_tells_it_afterwards() -> None:
    async with probed() as (world, probes):
        train()(world)
        await world.until(runs("iris-1"))
        world.operator.pause(2.5)
        await asyncio.sleep(0.2)
        assert (await probes.get("/healthz", within=1))[0] == 0, (
            "what the kubelet counts, and restarts for after a minute"
        )

        ends("iris-1")(world)
        await world.until(training_is("Complete"))

        assert (await probes.metrics())["tandem_event_loop_lag_seconds"][()] >= 1.4
        assert await probes.get("/healthz") == (200, "ok")
