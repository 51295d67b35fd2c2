"""Case 6 of the list: an API server that refuses for longer than any list of retries (kopf's own ends after 54 s).

The waits grow, up to 20 s (tests/unit/engine/test_queue.py has the 90 s, on a clock of its own); here many more
refusals in a row than the three of test_cases_api.py, then an API server that refuses everything.
"""

from __future__ import annotations

import pytest

from tests.faults import endstate
from tests.faults.apiserver.faults import Fault, hang_up, refuse
from tests.faults.apiserver.watching import faithful
from tests.faults.scenarios import FIRST_RUN, deploy, ends, runs, serves, train, training_is
from tests.faults.world import OFTEN, World

MANY = 9  # 5 ms · 2ⁿ each: two and a half seconds

BURSTS: dict[str, Fault] = {
    "429 that names a time": refuse(429, "TooManyRequests", retry_after=1),
    "429 that names none": refuse(429, "TooManyRequests"),
    "500": refuse(500, "InternalError"),
    "503": refuse(503, "ServiceUnavailable"),
    "504": refuse(504, "Timeout"),
}


@pytest.mark.parametrize("write", ["create jobs", "patch trainingjobs/status", "create events"])
@pytest.mark.parametrize("fault", [BURSTS["429 that names none"], BURSTS["500"]], ids=["429", "500"])
async def test_case_06_a_long_burst_at_one_write_is_waited_out(write: str, fault: Fault) -> None:
    verb, resource = write.split()
    async with World(resync=OFTEN) as world:
        rule = world.server.faults.on(verb, resource, fault=fault, agent="tandem-operator", times=MANY)
        await FIRST_RUN.play(world)
        assert rule.seen >= (1 if resource == "events" else MANY), "it happened"
        assert endstate.violations(world) == []


@pytest.mark.parametrize("fault", [*BURSTS.values(), hang_up], ids=[*BURSTS, "no connection"])
async def test_case_06_an_api_server_that_refuses_everything_for_a_while_is_waited_out(fault: Fault) -> None:
    """Lists, watches and writes, in the middle of a run and of a roll-out; and the process stays."""
    async with World(resync=OFTEN) as world:
        train()(world)
        deploy(image="shop:1")(world)
        await world.until(lambda w: runs("iris-1")(w) and serves(1)(w))
        process = world.operator

        everything = world.server.faults.on(fault=fault, times=None)
        world.server.watches.meddle = lambda *_: [None]  # and every stream that has something to say breaks
        ends("iris-1")(world)
        await world.until(lambda _: everything.seen >= 25, "much is asked in vain")
        everything.lift()
        world.server.watches.meddle = faithful

        await world.until(training_is("Complete"))
        assert world.operator is process, "it has not ended"
        assert endstate.violations(world) == []
