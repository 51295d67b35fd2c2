"""What a spec comes to does not depend on the way to it: the state after S1, S2, S1 is the state after S1."""

from __future__ import annotations

from tests.faults.apiserver.kinds import DEPLOYMENTS, SERVICES, Json
from tests.faults.scenarios import change_app, change_training, deploy, ends, runs, serves, train, training_is
from tests.faults.world import World


def trained(world: World) -> Json:
    """What the status says of the latest run, the numbers of runs and versions left out."""
    status = world.training()
    version = world.mlflow.aliases["iris", "champion"]
    (champion,) = (v for v in world.mlflow.versions if v.version == version)
    digest = world.mlflow.runs[champion.run_id].tags["tandem.dev/spec-digest"]
    conditions = {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}
    told = {name: status.get(name) for name in ("phase", "metrics", "gate", "image")}
    return {**told, "conditions": conditions, "digest": status["run"]["specDigest"], "champion": digest}


def served(world: World) -> Json:
    """Who answers, with how many pods, and what the status says."""
    selector = world.read(SERVICES, "shop")["spec"]["selector"]
    deployments = list(world.server.database.of(DEPLOYMENTS))
    (serving,) = (d for d in deployments if d["spec"]["selector"]["matchLabels"] == selector)
    pods = {d["metadata"]["name"]: d["spec"]["replicas"] for d in deployments if d["spec"]["replicas"]}
    conditions = {c["type"]: (c["status"], c["reason"]) for c in world.app()["conditions"]}
    return {
        "pod": serving["spec"]["template"]["spec"],
        "replicas": sum(pods.values()),
        "conditions": conditions,
        "stable": world.app()["stable"]["digest"],
        "url": world.app()["url"],
    }


async def test_a_training_job_that_is_changed_and_changed_back_ends_as_it_was() -> None:
    async with World() as world:
        train(parameters={"depth": "3"})(world)
        await world.until(runs("iris-1"))
        ends("iris-1")(world)
        await world.until(training_is("Complete"))
        await world.settled()
        first = trained(world)
        change_training({"parameters": {"depth": "5"}})(world)
        await world.until(runs("iris-2"))
        ends("iris-2", 0.91)(world)
        await world.until(training_is("Complete", 2))
        await world.settled()
        assert trained(world) != first
        change_training({"parameters": {"depth": "3"}})(world)
        await world.until(runs("iris-3"))
        ends("iris-3")(world)
        await world.until(training_is("Complete", 3))
        await world.settled()
        assert trained(world) == first


async def test_an_app_that_is_changed_and_changed_back_ends_as_it_was() -> None:
    async with World() as world:
        deploy(image="shop:1", replicas=2)(world)
        await world.until(serves(1))
        await world.settled()
        first = served(world)
        change_app(image="shop:2", replicas=1)(world)
        await world.until(serves(2))
        await world.settled()
        assert served(world) != first
        change_app(image="shop:1", replicas=2)(world)
        await world.until(lambda w: serves(1)(w) or serves(3)(w))
        await world.settled()
        assert served(world) == first
