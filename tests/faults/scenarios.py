"""What users do with both kinds, step by step, and what each step comes to. Every fault is tried on each of these."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.apiserver.kinds import (
    APP_DEPLOYMENTS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    SERVICES,
    TRAINING_JOBS,
    Json,
)
from tests.faults.controllers import CRASH
from tests.faults.world import World


@dataclass(frozen=True)
class Step:
    """What somebody does, and what holds when it has come to its end."""

    act: Callable[[World], object]
    until: Callable[[World], object]
    title: str = ""


@dataclass(frozen=True)
class Scenario:
    name: str
    steps: tuple[Step, ...]
    drift: bool = False  # the model-drift controller runs, too

    def __str__(self) -> str:
        return self.name

    async def play(self, world: World) -> None:
        for step in self.steps:
            step.act(world)
            await world.until(step.until, f"{self.name}: {step.title}")
            await world.settled()


TRAINING: Json = {
    "steps": [{"name": "features", "command": ["python", "f.py"]}, {"name": "train", "command": ["python", "t.py"]}],
    "gate": {"metrics": [{"name": "accuracy", "min": "0.9"}]},
    "model": {"name": "iris", "alias": "champion"},
}
DRIFT: Json = {
    "drift": {"signals": [{"metric": "accuracy", "min": "0.85", "breaches": {"count": 1}}]},
    "cooldown": "1h",
}


def train(**spec: object) -> Callable[[World], object]:
    return lambda world: world.create(TRAINING_JOBS, "iris", {**TRAINING, **spec})


def change_training(spec: Json) -> Callable[[World], object]:
    return lambda world: world.change(TRAINING_JOBS, "iris", {"spec": spec})


def runs(job: str) -> Callable[[World], bool]:
    return lambda world: world.runs(job)


def ends(job: str, accuracy: float = 0.95) -> Callable[[World], object]:
    return lambda world: world.completes(job, accuracy)


def training_is(phase: str, run: int = 1) -> Callable[[World], bool]:
    return lambda world: (world.training().get("phase"), world.training().get("run", {}).get("number")) == (phase, run)


def deploy(**spec: object) -> Callable[[World], object]:
    quick = {"scaleDownDelaySeconds": 0, "progressDeadlineSeconds": 1}
    return lambda world: world.create(APP_DEPLOYMENTS, "shop", {**quick, **spec})


def change_app(**spec: object) -> Callable[[World], object]:
    return lambda world: world.change(APP_DEPLOYMENTS, "shop", {"spec": spec})


def serves(revision: int) -> Callable[[World], bool]:
    """The Service selects this revision, and the status says that all is well."""

    def holds(world: World) -> bool:
        selector = world.read(SERVICES, "shop").get("spec", {}).get("selector", {})
        return bool(selector.get("tandem.dev/revision") == str(revision)) and app_is("Ready", "True")(world)

    return holds


def app_is(type_: str, status: str) -> Callable[[World], bool]:
    def holds(world: World) -> bool:
        current = world.read(APP_DEPLOYMENTS, "shop").get("metadata", {}).get("generation")
        conditions = {c["type"]: c for c in world.app().get("conditions", ())}
        found = conditions.get(type_, {})
        return bool(found.get("status") == status and found.get("observedGeneration") == current)

    return holds


def registers(alias: str) -> Callable[[World], object]:
    """Another version of the model, and the alias that names it."""

    def act(world: World) -> None:
        world.mlflow.aliases["iris", alias] = world.mlflow.add_version("iris")

    return act


def breaks(image: str) -> Callable[[World], object]:
    def act(world: World) -> None:
        world.controllers.behaviour[image] = CRASH
        change_app(image=image)(world)

    return act


def both(*acts: Callable[[World], object]) -> Callable[[World], object]:
    return lambda world: [act(world) for act in acts]


def drifts(world: World) -> None:
    world.mlflow.monitor("iris", world.mlflow.aliases["iris", "champion"], "accuracy", 0.8)


def nothing_is_left(world: World) -> bool:
    return not any(kind in {JOBS, PODS, DEPLOYMENTS, SERVICES} for kind, _, _ in world.server.database.all())


FIRST_RUN = Scenario(
    "a first run becomes the champion",
    (
        Step(train(), runs("iris-1"), "the Job runs"),
        Step(ends("iris-1"), training_is("Complete"), "it is complete"),
    ),
)
DRIFT_RETRAINS = Scenario(
    "drift asks for a second run",
    (
        Step(train(retrain=DRIFT), runs("iris-1"), "the Job runs"),
        Step(ends("iris-1"), training_is("Complete"), "it is complete"),
        Step(drifts, runs("iris-2"), "drift has started a second run"),
        Step(ends("iris-2", 0.97), training_is("Complete", 2), "the second one is complete"),
    ),
    drift=True,
)
CHANGED_WHILE_IT_RUNS = Scenario(
    "a changed spec stops the run and starts another",
    (
        Step(train(), runs("iris-1"), "the Job runs"),
        Step(change_training({"parameters": {"depth": "3"}}), runs("iris-2"), "another one runs"),
        Step(ends("iris-2"), training_is("Complete", 2), "it is complete"),
    ),
)
FAILED_RUN = Scenario(
    "a failed run is told, and a person asks for another",
    (
        Step(train(), runs("iris-1"), "the Job runs"),
        Step(lambda world: world.fails("iris-1"), training_is("Failed"), "it has failed"),
        Step(
            lambda world: world.change(
                TRAINING_JOBS, "iris", {"metadata": {"annotations": {"tandem.dev/requestedAt": "again"}}}
            ),
            runs("iris-2"),
            "another one runs",
        ),
        Step(ends("iris-2"), training_is("Complete", 2), "it is complete"),
    ),
)
REJECTED_RUN = Scenario(
    "the gate rejects a model, then is lowered",
    (
        Step(train(), runs("iris-1"), "the Job runs"),
        Step(ends("iris-1", 0.7), lambda world: ready_is(world, "ThresholdNotMet"), "the gate has said no"),
        Step(
            change_training({"gate": {"metrics": [{"name": "accuracy", "min": "0.6"}]}}),
            training_is("Complete"),
            "it is complete",
        ),
    ),
)
MODEL_UPDATE = Scenario(
    "a model server follows its alias",
    (
        Step(
            both(
                registers("challenger"), deploy(model={"name": "iris", "alias": "challenger", "promoteTo": "champion"})
            ),
            serves(1),
            "version 1 serves",
        ),
        Step(registers("challenger"), serves(2), "version 2 serves"),
    ),
)
BROKEN_IMAGE = Scenario(
    "a broken image is set aside, the next one serves",
    (
        Step(deploy(image="shop:1"), serves(1), "the first serves"),
        Step(breaks("shop:broken"), app_is("Stalled", "True"), "the broken one is set aside"),
        Step(change_app(image="shop:2"), serves(3), "the repaired one serves"),
    ),
)


def configure(greeting: str) -> Callable[[World], object]:
    def act(world: World) -> None:
        if not world.read(CONFIG_MAPS, "settings"):
            world.create(CONFIG_MAPS, "settings", {})
        world.change(CONFIG_MAPS, "settings", {"data": {"GREETING": greeting}})

    return act


NEW_CONFIGURATION = Scenario(
    "a changed ConfigMap is a revision, and a rollback restores the first",
    (
        Step(
            both(configure("hello"), deploy(image="shop:1", envFrom=[{"configMapRef": {"name": "settings"}}])),
            serves(1),
            "the first serves",
        ),
        Step(configure("good evening"), serves(2), "the changed one serves"),
        Step(change_app(rollback={"toRevision": 1}), serves(1), "the first serves again"),
    ),
)


def says(**words: str) -> Callable[[World], object]:
    """What people say of a rollout, by annotation."""
    annotations = {f"tandem.dev/{word}": of for word, of in words.items()}
    return lambda world: world.change(APP_DEPLOYMENTS, "shop", {"metadata": {"annotations": annotations}})


def shares(revision: int) -> Callable[[World], bool]:
    """This one has some of the traffic, and waits for a person."""

    def holds(world: World) -> bool:
        selector = world.read(SERVICES, "shop").get("spec", {}).get("selector", {})
        waits = any(c["reason"] == "AwaitingApproval" for c in world.app().get("conditions", ()))
        candidate = world.app().get("candidate", {}).get("revision")
        return "tandem.dev/revision" not in selector and waits and candidate == revision

    return holds


def is_set_aside(stays: int) -> Callable[[World], bool]:
    def holds(world: World) -> bool:
        selector = world.read(SERVICES, "shop").get("spec", {}).get("selector", {})
        return bool(selector.get("tandem.dev/revision") == str(stays)) and app_is("Stalled", "True")(world)

    return holds


def is_watched(revision: int) -> Callable[[World], bool]:
    def holds(world: World) -> bool:
        reasons = {c["reason"] for c in world.app().get("conditions", ())}
        return world.app().get("stable", {}).get("revision") == revision and "Watching" in reasons

    return holds


def crashes(image: str, deployment: str) -> Callable[[World], object]:
    def act(world: World) -> None:
        world.controllers.behaviour[image] = CRASH
        world.controllers.look_soon((DEPLOYMENTS, "default", deployment))

    return act


CANARY = Scenario(
    "a canary is approved, and the next one aborted",
    (
        Step(
            deploy(
                image="shop:1",
                replicas=2,
                rollout={"strategy": "Canary", "steps": [{"trafficPercent": 25, "pause": {}}]},
            ),
            serves(1),
            "the first serves",
        ),
        Step(change_app(image="shop:2"), shares(2), "the second has its share"),
        Step(says(approved="2/1"), serves(2), "the second serves"),
        Step(change_app(image="shop:3"), shares(3), "the third has its share"),
        Step(says(abort="3"), is_set_aside(2), "the second has it all again"),
    ),
)
GIVES_BACK = Scenario(
    "a revision that breaks after the switch gives the traffic back",
    (
        Step(deploy(image="shop:1", rollout={"watchSeconds": 600}), serves(1), "the first serves"),
        Step(change_app(image="shop:2"), is_watched(2), "the second serves and is watched"),
        Step(crashes("shop:2", "shop-2"), is_set_aside(1), "the first serves again"),
    ),
)


def is_judged(revision: int, moment: str) -> Callable[[World], bool]:
    """What measures it is at work, and the status knows."""

    def holds(world: World) -> bool:
        told = world.app().get("analysis", {})
        wanted = (revision, moment, "Running")
        found = (told.get("revision"), told.get("moment"), told.get("phase"))
        return found == wanted and world.runs(told["jobName"])

    return holds


def measured(phase: str) -> Callable[[World], object]:
    """What measures it comes to its end with this verdict."""
    report = json.dumps({"phase": phase, "metrics": [{"name": "errors", "phase": phase, "message": "0.5"}]})
    return lambda world: world.controllers.end_job("default", world.app()["analysis"]["jobName"], said=report)


JUDGED = Scenario(
    "a first revision passes its judgement, and a canary fails the second of its own",
    (
        Step(
            deploy(
                image="shop:1",
                rollout={
                    "strategy": "Canary",
                    "steps": [{"trafficPercent": 50}],
                    "analysis": [{"name": "errors", "max": "0.01", "pods": {"metric": "requestErrorRate"}}],
                },
            ),
            is_judged(1, "promotion"),
            "the first is judged before anybody is sent to it",
        ),
        Step(measured("Successful"), serves(1), "the first serves"),
        Step(change_app(image="shop:2"), is_judged(2, "step-1"), "the second is judged at its step"),
        Step(measured("Successful"), is_judged(2, "promotion"), "the second is judged once more"),
        Step(measured("Failed"), is_set_aside(1), "the first has it all again"),
    ),
)
TAKEN_AWAY = Scenario(
    "both are deleted, and nothing is left",
    (
        Step(both(train(), deploy(image="shop:1")), lambda w: runs("iris-1")(w) and serves(1)(w), "both are there"),
        Step(
            both(lambda world: world.delete(TRAINING_JOBS, "iris"), lambda w: w.delete(APP_DEPLOYMENTS, "shop")),
            nothing_is_left,
            "nothing is left",
        ),
    ),
)


def ready_is(world: World, reason: str) -> bool:
    return any(c["type"] == "Ready" and c["reason"] == reason for c in world.training().get("conditions", ()))


SCENARIOS = (
    FIRST_RUN,
    DRIFT_RETRAINS,
    CHANGED_WHILE_IT_RUNS,
    FAILED_RUN,
    REJECTED_RUN,
    MODEL_UPDATE,
    BROKEN_IMAGE,
    NEW_CONFIGURATION,
    CANARY,
    GIVES_BACK,
    JUDGED,
    TAKEN_AWAY,
)
