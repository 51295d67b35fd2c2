"""Cases 47–49 of the list: MLflow, image registries, and a process that stands still."""

from __future__ import annotations

from tests.faults import endstate
from tests.faults.apiserver.kinds import JOBS
from tests.faults.controllers import PULL
from tests.faults.scenarios import (
    FIRST_RUN,
    MODEL_UPDATE,
    app_is,
    change_app,
    deploy,
    ends,
    ready_is,
    runs,
    serves,
    train,
    training_is,
)
from tests.faults.world import World


async def test_case_47_nothing_starts_while_mlflow_is_away_and_everything_does_when_it_is_back() -> None:
    async with World() as world:
        world.mlflow.breaks()
        train()(world)
        await world.until(lambda w: ready_is(w, "TrackingUnavailable"), "the condition")
        assert not list(world.server.database.of(JOBS))
        world.mlflow.recovers()
        await world.until(runs("iris-1"))


async def test_case_47_a_run_that_ends_while_mlflow_is_away_is_judged_when_it_is_back() -> None:
    async with World() as world:
        train()(world)
        await world.until(runs("iris-1"))
        await world.settled()
        world.mlflow.breaks()
        ends("iris-1")(world)
        await world.until(lambda w: ready_is(w, "TrackingUnavailable"), "the condition")
        world.mlflow.recovers()
        await world.until(training_is("Complete"))
        assert endstate.violations(world) == []


async def test_case_47_an_mlflow_that_comes_and_goes_changes_nothing_in_the_end() -> None:
    async with World() as alone:
        await FIRST_RUN.play(alone)
        wanted = endstate.picture(alone)
    async with World() as world:
        flapping = 0

        def flap() -> None:
            nonlocal flapping
            flapping += 1
            world.mlflow.breaks() if flapping % 2 else world.mlflow.recovers()

        for _ in range(2):
            flap()
        train()(world)
        await world.until(runs("iris-1"))
        flap()
        ends("iris-1")(world)
        await world.until(lambda w: ready_is(w, "TrackingUnavailable"), "the condition")
        flap()
        await world.until(training_is("Complete"))
        await world.settled()
        assert not endstate.differences(wanted, endstate.picture(world))


async def test_case_47_what_serves_goes_on_serving_while_mlflow_is_away() -> None:
    async with World() as world:
        await MODEL_UPDATE.play(world)
        before = endstate.picture(world)
        world.mlflow.breaks()
        await world.restart()
        await world.until(app_is("ModelResolved", "Unknown"), "it is told")
        after = endstate.picture(world)
        for name in ("Service/shop", "Deployment/shop-1", "Deployment/shop-2"):
            assert after.get(name) == before.get(name)


async def test_case_48_an_image_that_cannot_be_pulled_is_told_and_the_old_one_serves() -> None:
    async with World() as world:
        deploy(image="shop:1")(world)
        await world.until(serves(1))
        await world.settled()
        world.controllers.behaviour["shop:away"] = PULL
        change_app(image="shop:away")(world)
        await world.until(app_is("Stalled", "True"), "it is set aside")
        assert "ImagePullBackOff" in str(world.app()["conditions"])
        assert app_is("Available", "True")(world)


async def test_case_49_a_process_that_stands_still_for_a_while_goes_on_where_it_was() -> None:
    async with World() as world:
        train()(world)
        await world.until(runs("iris-1"))
        world.operator.pause(3)
        ends("iris-1")(world)
        await world.until(training_is("Complete"))
        assert endstate.violations(world) == []
