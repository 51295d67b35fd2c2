"""Every state in which a rollout can be, and everything that can happen to it there: a table of worlds.

Each is a canary of 25 % (until approved) and 50 % (five minutes), approved before it takes everything, and
watched for ten minutes after that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import pytest

from tandem.api import names
from tandem.api.facts import Unavailable
from tandem.api.meta import Json
from tandem.apps.analysis import Judgement
from tandem.apps.case import Case
from tests.unit.apps.deployments import CRASH, NEVER
from tests.unit.apps.world import World

GOOD, BAD = "shop:2", "shop:bad"
FREEZE: dict[str, object] = {"schedule": "0 0 * * *", "durationSeconds": 86400}
GATEWAY: dict[str, object] = {"parentRefs": [{"name": "public"}]}
STEPS: list[dict[str, object]] = [
    {"trafficPercent": 25, "pause": {}},
    {"trafficPercent": 50, "pause": {"durationSeconds": 300}},
]
_PASSES = 40


VERDICT: Final = f"{names.GROUP}/verdict"


@pytest.fixture(autouse=True)
def judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """What judgements say stands in an annotation of the test's own."""

    def analyse(case: Case, *_: object) -> Judgement:
        said = case.app.metadata.annotations.get(VERDICT, "Successful")
        return Judgement(said, "99 % of the requests failed")  # type: ignore[arg-type]

    monkeypatch.setattr("tandem.apps.steps.analyse", analyse)
    monkeypatch.setattr("tandem.apps.setback.analyse", analyse)


class Machine(World):
    """A world that goes on by itself.

    ``at_rest``: whether the pass before found nothing to do, and nothing to tell.
    """

    at_rest = False

    def passes(self) -> Iterator[None]:
        """One after the other until nothing changes, time standing still; the caller looks at each."""
        for _ in range(_PASSES):
            before = self._picture()
            made = self.reconcile()
            self.looked()
            self.at_rest = not made.actions and before == self._picture()
            if self.at_rest and self.condition("RolledOut").reason == "DividingTraffic":
                self.at_rest = False
                self.wait(3)  # the moment that a Gateway gets
            yield
            if self.at_rest:
                return
        raise AssertionError("it never comes to rest")

    def looked(self) -> None:
        """What Kubernetes and the Gateway do."""
        self.look()
        for route in self.routes.values():
            seen = {"type": "Accepted", "status": "True", "reason": "Accepted"}
            seen |= {"observedGeneration": route["metadata"]["generation"]}
            route["status"] = {"parents": [{"parentRef": {"name": "public"}, "conditions": [seen]}]}

    def settle(self) -> Machine:
        for _ in self.passes():
            pass
        return self

    def later(self, seconds: float) -> Machine:
        self.wait(seconds)
        self.looked()
        return self

    def until(self, reason: str) -> Machine:
        """It stops at the first pass that says so."""
        for _ in self.passes():
            if self.condition("RolledOut").reason == reason:
                return self
        raise AssertionError(f"{self.condition('RolledOut')} instead of {reason}")


def served(*, by_weight: bool) -> Machine:
    """Revision 1 serves."""
    machine = first(by_weight=by_weight)
    machine.say(promote="1")
    machine.settle()
    machine.say(promote=None)
    return machine.settle()


def first(*, by_weight: bool) -> Machine:
    rollout = {"strategy": "Canary", "steps": STEPS, "approval": "Required", "watchSeconds": 600}
    spec: Json = {
        "image": "shop:1",
        "model": {"name": "iris", "version": "1"},
        "configFrom": [{"configMapRef": {"name": "settings"}, "mountPath": "/etc/shop"}],
        "replicas": 4,
        "scaleDownDelaySeconds": 0,
        "progressDeadlineSeconds": 60,
        "rollout": rollout,
    }
    machine = Machine(spec | ({"gateway": GATEWAY} if by_weight else {}), behaviour={BAD: CRASH})
    machine.gateway_api = by_weight
    machine.versions = {"1": "READY"}
    machine.config_maps = {"settings": {"colour": "blue"}}
    return machine


def candidate(*, by_weight: bool) -> Machine:
    machine = served(by_weight=by_weight)
    machine.change(image=GOOD)
    return machine


def change_rollout(world: World, **rollout: object) -> None:
    merged = {**world.spec["rollout"], **rollout}
    world.change(rollout={key: value for key, value in merged.items() if value is not None})


# --- States ----------------------------------------------------------------------------------------------------------


def _starts(machine: Machine) -> Machine:
    machine.behaviour[GOOD] = NEVER
    return machine.settle()


def _judged(machine: Machine, phase: str) -> Machine:
    machine.say(verdict=phase)
    return machine.settle()


def _step_two(machine: Machine) -> Machine:
    machine.settle()
    machine.say(approved="2/1")
    return machine.settle()


def _grows(machine: Machine) -> Machine:
    """For step 2: its pods are asked for, and they are not there yet."""
    machine.settle()
    machine.say(approved="2/1")
    machine.reconcile()
    return machine


def _promotion(machine: Machine) -> Machine:
    return _step_two(machine).later(300).settle()


def _grows_approved(machine: Machine) -> Machine:
    """For the switch: as ``_switches``, but nobody wants to skip anything."""
    machine = _promotion(machine)
    machine.say(approved="2/promotion")
    machine.reconcile()
    return machine


def _switches(machine: Machine) -> Machine:
    """All its pods are asked for, and they are not there yet."""
    machine = machine.settle()
    machine.say(promote="2")
    machine.reconcile()
    return machine


def _watched(machine: Machine) -> Machine:
    machine.settle()
    machine.say(promote="2")
    return machine.settle().later(5)


def _falls_back(machine: Machine) -> Machine:
    """The verdict is written; the traffic is still where it was."""
    machine = _watched(machine)
    machine.crashed[GOOD] = machine.now
    machine.reconcile()
    return machine


def _gives_up(machine: Machine) -> Machine:
    machine = machine.settle().later(5)
    machine.crashed[GOOD] = machine.now
    machine.reconcile()
    return machine


def _set_aside(machine: Machine) -> Machine:
    machine = machine.settle()
    machine.say(abort="2")
    return machine.settle()


def _promoted(machine: Machine) -> Machine:
    return _watched(machine).later(700).settle()


def _rolls_back(machine: Machine) -> Machine:
    machine = _promoted(machine)
    machine.change(rollback={"toRevision": 1})
    machine.reconcile()
    return machine


def _suspended(machine: Machine) -> Machine:
    machine = machine.settle()
    machine.change(suspend=True)
    return machine.settle()


def _paused(machine: Machine) -> Machine:
    machine.say(pause="2")
    return machine.settle()


def _frozen(machine: Machine) -> Machine:
    change_rollout(machine, freeze=[FREEZE])
    return machine.settle()


STATES: dict[str, Callable[[bool], Machine]] = {
    "the first revision starts": lambda w: _first_starts(first(by_weight=w)),
    "the first revision awaits approval": lambda w: first(by_weight=w).settle(),
    "at rest": lambda w: served(by_weight=w),
    "a candidate starts": lambda w: _starts(candidate(by_weight=w)),
    "step 1 is frozen": lambda w: _frozen(candidate(by_weight=w)),
    "step 1 is judged": lambda w: _judged(candidate(by_weight=w), "Running"),
    "step 1 has no verdict": lambda w: _judged(candidate(by_weight=w), "Inconclusive"),
    "step 1 awaits approval": lambda w: candidate(by_weight=w).settle(),
    "step 1 is paused by a person": lambda w: _paused(candidate(by_weight=w)),
    "step 1 is suspended": lambda w: _suspended(candidate(by_weight=w)),
    "step 2 grows": lambda w: _grows(candidate(by_weight=w)),
    "step 2 pauses": lambda w: _step_two(candidate(by_weight=w)),
    "the promotion awaits approval": lambda w: _promotion(candidate(by_weight=w)),
    "it grows for the switch": lambda w: _grows_approved(candidate(by_weight=w)),
    "it is promoted and grows": lambda w: _switches(candidate(by_weight=w)),
    "it serves and is watched": lambda w: _watched(candidate(by_weight=w)),
    "it serves": lambda w: _promoted(candidate(by_weight=w)),
    "it failed while it was watched": lambda w: _falls_back(candidate(by_weight=w)),
    "it failed with a share of the traffic": lambda w: _gives_up(candidate(by_weight=w)),
    "it is set aside": lambda w: _set_aside(candidate(by_weight=w)),
    "a rollback starts": lambda w: _rolls_back(candidate(by_weight=w)),
    "a rollback holds": lambda w: _rolls_back(candidate(by_weight=w)).settle(),
}


def _first_starts(machine: Machine) -> Machine:
    machine.behaviour["shop:1"] = NEVER
    return machine.settle()


# --- Events ----------------------------------------------------------------------------------------------------------


def _crashes(world: World, image: str) -> None:
    world.wait(1)  # times have whole seconds, and what ended in the second of a step's begin is not told from before it
    world.crashed[image] = world.now


def _is_down(world: World, image: str) -> None:
    world.behaviour[image] = NEVER
    world.unready[image] = world.now
    world.look()


def _is_up(world: World) -> None:
    world.behaviour = {BAD: CRASH}
    world.unready.clear()
    world.look()


def _forget_note(world: World) -> None:
    world.wait(1)
    for deployment in world.deployments.values():
        deployment["metadata"]["annotations"].pop("tandem.dev/rollout", None)


def _select(world: World, number: int) -> None:
    """Somebody edits the selector by hand."""
    service = world.services.get(world.name)
    if service is not None:
        service["spec"]["selector"] = {names.APP_LABEL: world.name, names.REVISION_LABEL: str(number)}


def _is_away(world: World) -> None:
    """MLflow: which version is meant cannot be asked."""
    world.outage = Unavailable(world.now, "TrackingUnavailable", "cannot connect")


def _dies(world: World, after: int) -> None:
    """The operator, before it does what it was about to, or in the middle of it."""
    for action in world.plan().actions[:after]:
        world.carry_out(action)


EVENTS: dict[str, Callable[[World], object]] = {
    "nothing happens": lambda w: None,
    "step 1 is approved": lambda w: w.say(approved="2/1"),
    "the promotion is approved": lambda w: w.say(approved="2/promotion"),
    "the first revision is approved": lambda w: w.say(approved="1/promotion"),
    "it is promoted": lambda w: w.say(promote="2"),
    "it is aborted": lambda w: w.say(abort="2"),
    "it is paused": lambda w: w.say(pause="2"),
    "the pause is taken back": lambda w: w.say(pause=None),
    "it is tried again": lambda w: w.say(requestedAt="again"),
    "words for another revision": lambda w: w.say(promote="7", abort="7", pause="7", approved="7/1"),
    "a third image": lambda w: w.change(image="shop:3"),
    "an image that crashes": lambda w: w.change(image=BAD),
    "back to the first image": lambda w: w.change(image="shop:1"),
    "rollback to 1": lambda w: w.change(rollback={"toRevision": 1}),
    "rollback to 2": lambda w: w.change(rollback={"toRevision": 2}),
    "no rollback any more": lambda w: w.change(rollback=None),
    "suspended": lambda w: w.change(suspend=True),
    "not suspended": lambda w: w.change(suspend=False),
    "the strategy is BlueGreen": lambda w: change_rollout(w, strategy="BlueGreen", steps=None),
    "the strategy is RollingUpdate": lambda w: change_rollout(w, strategy="RollingUpdate", steps=None),
    "the first step is 60 %": lambda w: change_rollout(w, steps=[{"trafficPercent": 60, "pause": {}}]),
    "2 replicas": lambda w: w.change(replicas=2),
    "no replicas": lambda w: w.change(replicas=0),
    "a freeze begins": lambda w: change_rollout(w, freeze=[FREEZE]),
    "a freeze ends": lambda w: change_rollout(w, freeze=[]),
    "no automatic rollback": lambda w: change_rollout(w, autoRollback=False),
    "a container of revision 1 ends": lambda w: _crashes(w, "shop:1"),
    "a container of revision 2 ends": lambda w: _crashes(w, GOOD),
    "revision 1 is down": lambda w: _is_down(w, "shop:1"),
    "revision 2 is down": lambda w: _is_down(w, GOOD),
    "all pods are well": _is_up,
    "the status is lost": lambda w: w.lose_status(),
    "the notes of candidates are lost": _forget_note,
    "the Service is deleted": lambda w: w.services.pop(w.name, None),
    "the candidate's Service is deleted": lambda w: w.services.pop(f"{w.name}-candidate", None),
    "the route is deleted": lambda w: w.routes.clear(),
    "somebody selects revision 1": lambda w: _select(w, 1),
    "somebody selects revision 2": lambda w: _select(w, 2),
    "the Deployment of revision 1 is deleted": lambda w: w.deployments.pop(f"{w.name}-1", None),
    "the Deployment of revision 2 is deleted": lambda w: w.deployments.pop(f"{w.name}-2", None),
    "MLflow goes away": _is_away,
    "a ConfigMap is deleted": lambda w: w.config_maps.clear(),
    "a judgement fails it": lambda w: w.say(verdict="Failed"),
    "a judgement passes it": lambda w: w.say(verdict=None),
    "a judgement has no verdict": lambda w: w.say(verdict="Inconclusive"),
    "the operator dies before it acts": lambda w: _dies(w, 0),
    "the operator dies after one action": lambda w: _dies(w, 1),
    "the operator dies after two actions": lambda w: _dies(w, 2),
}
