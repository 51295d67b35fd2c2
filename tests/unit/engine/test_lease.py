"""Leadership, by virtual time and an API server that fails in the ways that split brains."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from tandem.engine.api import ApiError, ApiServer, ApiUnavailable
from tandem.engine.lease import LeadershipLost, Lease, LeaseTimes

pytestmark = [pytest.mark.asyncio, pytest.mark.looptime]

Json = dict[str, Any]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class LeaseServer:
    """One Lease object with the API server's rule: a PUT of an old version is a conflict."""

    def __init__(self) -> None:
        self.lease: Json | None = None
        self.fault: Callable[[str], Awaitable[None]] | None = None
        self.writers: list[tuple[float, str]] = []

    async def request(self, method: str, path: str, names: Json, body: Json | None = None, **_: object) -> Json:
        if self.fault is not None:
            await self.fault(method)
        if method == "GET":
            if self.lease is None:
                raise ApiError(404, "NotFound", "")
            return cast("Json", {**self.lease, "metadata": dict(self.lease["metadata"])})
        assert body is not None
        if method == "PUT":
            assert self.lease is not None
            if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
                raise ApiError(409, "Conflict", "")
        elif self.lease is not None:
            raise ApiError(409, "AlreadyExists", "")
        version = int(body["metadata"].get("resourceVersion", 0)) + 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        self.writers.append((asyncio.get_running_loop().time(), body["spec"]["holderIdentity"]))
        return self.lease

    @property
    def spec(self) -> Json:
        assert self.lease is not None
        return cast("Json", self.lease["spec"])


@pytest.fixture
def server() -> LeaseServer:
    return LeaseServer()


def candidate(server: LeaseServer, identity: str, skew: timedelta = timedelta()) -> Lease:
    """``skew``: how wrong the clock of its machine is."""

    def now() -> datetime:
        return EPOCH + skew + timedelta(seconds=asyncio.get_running_loop().time())

    return Lease(cast("ApiServer", server), "ns", "tandem", identity, now, LeaseTimes(15))


def time() -> float:
    return asyncio.get_running_loop().time()


async def hang(_: str) -> None:
    await asyncio.sleep(1e6)


async def refuse_connection(_: str) -> None:
    raise ApiUnavailable("connection refused")


async def answer_nonsense(_: str) -> None:
    raise KeyError("spec")


async def test_the_first_takes_it_at_once_and_says_who_and_since_when(server: LeaseServer) -> None:
    await candidate(server, "a").acquire()

    assert time() == 0
    assert server.spec == {
        "holderIdentity": "a",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-01T00:00:00.000000Z",
        "renewTime": "2026-01-01T00:00:00.000000Z",
        "leaseTransitions": 0,
    }


async def test_it_is_renewed_every_two_seconds_and_stays_acquired_since_the_first(server: LeaseServer) -> None:
    lease = candidate(server, "a")
    await lease.acquire()
    keeping = asyncio.create_task(lease.keep())
    await asyncio.sleep(60.5)
    keeping.cancel()

    assert len(server.writers) == 31
    assert server.spec["acquireTime"].startswith("2026-01-01T00:00:00")
    assert server.spec["renewTime"].startswith("2026-01-01T00:01:00")
    assert server.spec["leaseTransitions"] == 0


@pytest.mark.parametrize("skew", [-3600, 0, 3600], ids=["an hour slow", "right", "an hour fast"])
async def test_another_takes_over_only_after_the_duration_by_its_own_clock(server: LeaseServer, skew: int) -> None:
    await candidate(server, "dead").acquire()
    await asyncio.sleep(5)

    await candidate(server, "b", timedelta(seconds=skew)).acquire()

    assert 5 + 15 <= time() <= 5 + 15 + 2.5, "from when it first saw the record, whatever the record says"
    assert (server.spec["holderIdentity"], server.spec["leaseTransitions"]) == ("b", 1)


async def test_nobody_takes_it_from_one_who_renews(server: LeaseServer) -> None:
    leader = candidate(server, "a")
    await leader.acquire()
    keeping = asyncio.create_task(leader.keep())
    standby = asyncio.create_task(candidate(server, "b").acquire())
    await asyncio.sleep(600)

    assert not standby.done()
    assert {writer for _, writer in server.writers} == {"a"}
    for task in (keeping, standby):
        task.cancel()


async def test_of_many_that_wait_exactly_one_takes_over(server: LeaseServer) -> None:
    await candidate(server, "dead").acquire()
    tasks = [asyncio.create_task(candidate(server, name).acquire()) for name in "bcdef"]
    await asyncio.sleep(18)

    assert sum(task.done() for task in tasks) == 1
    for task in tasks:
        task.cancel()


@pytest.mark.parametrize("fault", [hang, refuse_connection, answer_nonsense])
async def test_who_cannot_renew_ends_at_the_deadline_before_another_may_take_over(
    server: LeaseServer, fault: Callable[[str], Awaitable[None]]
) -> None:
    leader = candidate(server, "a")
    await leader.acquire()
    standby = asyncio.create_task(candidate(server, "b").acquire())
    keeping = asyncio.create_task(leader.keep())
    await asyncio.sleep(6.5)  # renewed at 6 for the last time
    faults = {"a": fault}

    async def only_for_the_leader(method: str) -> None:
        task = asyncio.current_task()
        if task is keeping:
            await faults["a"](method)

    server.fault = only_for_the_leader
    with pytest.raises(LeadershipLost, match="not renewed for 10 s"):
        await keeping
    lost_at = time()
    await standby

    assert lost_at == pytest.approx(16, abs=0.01)
    assert time() >= lost_at + 4, "a pause between the last write of one and the first of the next"


async def test_the_deadline_counts_from_before_the_request_that_renewed(server: LeaseServer) -> None:
    """The server may have written at any moment of it, and others count from then."""

    async def slow(_: str) -> None:
        await asyncio.sleep(1.9)  # a GET and a PUT: 3.8 of the 4 seconds that an attempt may take

    leader = candidate(server, "a")
    server.fault = slow
    await leader.acquire()
    server.fault = refuse_connection

    with pytest.raises(LeadershipLost):
        await leader.keep()
    assert time() == pytest.approx(10, abs=0.01)


async def test_an_api_server_that_takes_seconds_for_each_answer_has_answered(server: LeaseServer) -> None:
    """Under load it does; what is renewed in time by the clock from before the request is renewed."""

    async def slow(_: str) -> None:
        await asyncio.sleep(1.9)

    leader = candidate(server, "a")
    await leader.acquire()
    server.fault = slow
    keeping = asyncio.create_task(leader.keep())
    await asyncio.sleep(120)

    assert not keeping.done()
    keeping.cancel()


async def test_a_short_failure_costs_nothing(server: LeaseServer) -> None:
    leader = candidate(server, "a")
    await leader.acquire()
    keeping = asyncio.create_task(leader.keep())
    server.fault = refuse_connection
    await asyncio.sleep(8)
    server.fault = None
    await asyncio.sleep(60)

    assert not keeping.done()
    keeping.cancel()


async def test_who_sees_another_in_it_ends_at_once(server: LeaseServer) -> None:
    """Paused for a minute, or edited by hand: two leaders are worse than none."""
    leader = candidate(server, "a")
    await leader.acquire()
    keeping = asyncio.create_task(leader.keep())
    await asyncio.sleep(0.5)
    server.spec["holderIdentity"] = "b"

    with pytest.raises(LeadershipLost, match="taken by another"):
        await keeping
    assert time() == pytest.approx(2)
    assert server.spec["holderIdentity"] == "b"


async def test_a_lease_that_was_deleted_is_made_again(server: LeaseServer) -> None:
    leader = candidate(server, "a")
    await leader.acquire()
    keeping = asyncio.create_task(leader.keep())
    server.lease = None
    await asyncio.sleep(30)

    assert not keeping.done()
    assert server.spec["holderIdentity"] == "a"
    keeping.cancel()


async def test_a_released_lease_is_taken_at_the_next_look(server: LeaseServer) -> None:
    leader = candidate(server, "a")
    await leader.acquire()
    standby = asyncio.create_task(candidate(server, "b").acquire())
    await asyncio.sleep(7)
    await leader.release()
    await standby

    assert time() - 7 <= 2
    assert server.spec["holderIdentity"] == "b"


async def test_who_does_not_hold_it_releases_nothing(server: LeaseServer) -> None:
    await candidate(server, "a").acquire()
    await candidate(server, "b").release()

    assert server.spec["holderIdentity"] == "a"


async def test_releasing_never_takes_longer_than_two_seconds(server: LeaseServer) -> None:
    leader = candidate(server, "a")
    await leader.acquire()
    server.fault = hang
    await leader.release()

    assert time() == pytest.approx(2)


async def test_the_same_process_started_anew_goes_on_leading(server: LeaseServer) -> None:
    await candidate(server, "pod-1").acquire()
    await candidate(server, "pod-1").acquire()

    assert time() == 0
    assert server.spec["leaseTransitions"] == 0


async def test_it_is_held_for_certain_until_the_deadline_and_not_a_moment_longer(server: LeaseServer) -> None:
    """Asked before each write: a process that was stopped has lost the lease without having been told."""
    lease = candidate(server, "a")
    await asyncio.sleep(100)
    assert not lease.holds
    await lease.acquire()
    assert lease.holds

    await asyncio.sleep(9.9)
    assert lease.holds
    await asyncio.sleep(0.2)
    assert not lease.holds, "another may take it after 15 s"
