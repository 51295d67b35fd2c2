"""Cases 38–46 of the list: what users, other controllers and old objects do to the state."""

from __future__ import annotations

from aiohttp import web

from tests.faults.apiserver.faults import Serve
from tests.faults.apiserver.kinds import TRAINING_JOBS
from tests.faults.scenarios import change_training, runs, train
from tests.faults.world import World


async def test_case_40_a_spec_that_changes_while_the_status_is_written_is_seen_at_once() -> None:
    """The answer to our own write shows somebody else's change, too: the event that tells it is no news any more."""
    async with World() as world:

        async def meanwhile(serve: Serve) -> web.StreamResponse:
            change_training({"parameters": {"depth": "3"}})(world)
            return await serve()

        world.server.faults.on("patch", "trainingjobs/status", fault=meanwhile)
        train()(world)
        await world.until(runs("iris-2"), "a run of the changed spec")
        assert world.read(TRAINING_JOBS, "iris")["metadata"]["generation"] == 2
