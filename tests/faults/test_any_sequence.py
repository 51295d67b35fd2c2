"""Whatever users, the cluster and misfortune do, in whatever order: the invariants hold, and it ends as it should.

A Hypothesis state machine on the stand-in. When the faults end, everything comes to rest (and rests: no write over
resyncs); when what they left is repaired, every resource ends exactly as one of the same spec that never saw a fault.

In ``make test`` few sequences, always the same ones, so that red means the change and not the dice; with ``FAULTS=all``
many, other ones each time, or with ``FAULTS_EXAMPLES=n`` so many. A failure prints a line ``@reproduce_failure(…)``:
put above the class, it plays the same moves again. Threads and sockets are real, so not every failure comes again.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from typing import Final

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tandem.api import names
from tests.examples import ALL
from tests.faults import endstate
from tests.faults.apiserver.faults import Fault, garble, hang_up, lose_answer, refuse
from tests.faults.apiserver.kinds import DEPLOYMENTS, JOBS, LEASES, SERVICES, Json, Kind
from tests.faults.apiserver.watching import Sent, Watch, faithful
from tests.faults.controllers import CRASH, PULL, READY
from tests.faults.habitat import (
    APP_NAMES,
    IMAGES,
    SERVED,
    TRAINING_NAMES,
    Habitat,
    app_spec,
    kind_of,
    training_spec,
)
from tests.faults.mlflow import Mlflow
from tests.faults.world import OPERATOR

EXAMPLES: Final = int(os.environ.get("FAULTS_EXAMPLES", "150" if ALL else "5"))
STEPS: Final = 40 if ALL else 25
PROFILE: Final = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    derandomize=not ALL and "FAULTS_EXAMPLES" not in os.environ,
    database=None,  # nothing is left behind, nothing depends on what was run before
    print_blob=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.generate, Phase.shrink) if ALL else (Phase.explicit, Phase.generate),
)

TRAININGS, APPS = st.sampled_from(TRAINING_NAMES), st.sampled_from(APP_NAMES)
NAMES = st.sampled_from(TRAINING_NAMES + APP_NAMES)
PAUSES = st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.3])  # seconds until the next thing happens
FAULTS: dict[str, Fault] = {
    "409": refuse(409, "Conflict"),
    "429": refuse(429, "TooManyRequests"),
    "500": refuse(500),
    "504": refuse(504, "Timeout"),
    "410": refuse(410, "Expired"),
    "401": refuse(401, "Unauthorized"),
    "403": refuse(403, "Forbidden", "for a while"),
    "no answer": hang_up,
    "the answer is lost": lose_answer,
    "a proxy's page": garble,
}
CHILDREN: dict[str, Kind] = {kind.kind: kind for kind in (JOBS, DEPLOYMENTS, SERVICES)}
VERBS = st.sampled_from(["create", "patch", "apply", "delete", "get", "list", "watch", "update"])
_EXPIRED: Json = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "old"}}
STREAM: dict[str, Callable[[Json], Sent]] = {
    "lost": lambda _: [],
    "twice": lambda event: [event, event],
    "410": lambda _: [_EXPIRED],
    "cut": lambda event: [event, None],
    "garbled": lambda _: ['{"type": "MODIFIED", "object": {', None],
}

_oracles: dict[str, Json] = {}


class AnySequence(RuleBasedStateMachine):
    """One operator, no Lease."""

    replicas = 1

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.world = Habitat(self.replicas)
        self.runner.run(self.world.__aenter__())
        self.tokens = 0

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.runner.run(self.ends_well())
        finally:
            self.runner.run(self.world.__aexit__(None, None, None))
            self.runner.close()

    def does(self, act: Callable[[Habitat], object], pause: float = 0.0) -> None:
        async def acted() -> None:
            act(self.world)
            await asyncio.sleep(pause)

        self.runner.run(acted())

    # --- users -------------------------------------------------------------------------------------------------------

    @rule(name=TRAININGS, depth=st.integers(1, 2), bound=st.sampled_from(["0.9", "0.6"]), pause=PAUSES)
    def a_training_job_is_wanted(self, name: str, depth: int, bound: str, pause: float) -> None:
        self.does(lambda world: world.wants(name, training_spec(name, depth, bound)), pause)

    @rule(name=APPS, image=st.sampled_from(IMAGES), replicas=st.integers(1, 2), pause=PAUSES)
    def an_app_is_wanted(self, name: str, image: str, replicas: int, pause: float) -> None:
        self.does(lambda world: world.wants(name, app_spec(name, image, replicas)), pause)

    def there(self, name: str) -> bool:
        return bool(self.world.read(kind_of(name), name))

    @rule(name=NAMES, suspend=st.booleans(), pause=PAUSES)
    def it_is_suspended_or_not(self, name: str, suspend: bool, pause: float) -> None:
        if self.there(name):
            self.does(lambda world: world.change(kind_of(name), name, {"spec": {"suspend": suspend}}), pause)

    @rule(name=NAMES, pause=PAUSES)
    def a_person_asks_for_another_try(self, name: str, pause: float) -> None:
        if self.there(name):
            self.tokens += 1
            self.does(lambda world: world.asks(name, f"token {self.tokens}"), pause)

    @rule(name=NAMES, pause=PAUSES)
    def it_is_deleted(self, name: str, pause: float) -> None:
        if self.there(name):
            self.does(lambda world: world.delete(kind_of(name), name), pause)

    @rule(name=NAMES)
    def its_status_is_wiped(self, name: str) -> None:
        if self.there(name):
            self.does(lambda world: world.change(kind_of(name), name, {"status": None}, status=True))

    @rule(kind=st.sampled_from(sorted(CHILDREN)), which=st.integers(0, 3))
    def a_child_is_deleted(self, kind: str, which: int) -> None:
        children = [body["metadata"]["name"] for body in self.world.server.database.of(CHILDREN[kind])]
        if children:
            self.does(lambda world: world.delete(CHILDREN[kind], children[which % len(children)]))

    # --- the cluster, and the registry -------------------------------------------------------------------------------

    @rule(which=st.integers(0, 1), how=st.sampled_from([0.95, 0.95, 0.7, None]), pause=PAUSES)
    def a_job_ends(self, which: int, how: float | None, pause: float) -> None:
        def act(world: Habitat) -> None:
            live = world.live_jobs()
            if live:
                job = live[which % len(live)]
                world.fails(job) if how is None else world.completes(job, how)

        self.does(act, pause)

    @rule(image=st.sampled_from(IMAGES), behaviour=st.sampled_from([READY, CRASH, PULL]))
    def pods_of_an_image_behave_differently(self, image: str, behaviour: str) -> None:
        self.does(lambda world: world.pods_of(image, behaviour))

    @rule(pause=PAUSES)
    def another_version_is_registered(self, pause: float) -> None:
        self.does(lambda world: world.registers(), pause)

    @rule(away=st.booleans())
    def mlflow_goes_or_comes(self, away: bool) -> None:
        self.does(lambda world: world.mlflow.breaks() if away else world.mlflow.recovers())

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.2]))
    def time_passes(self, seconds: float) -> None:
        self.does(lambda _: None, seconds)

    # --- misfortune --------------------------------------------------------------------------------------------------

    @rule(verb=VERBS, fault=st.sampled_from(sorted(FAULTS)), times=st.integers(1, 3))
    def requests_will_fail(self, verb: str, fault: str, times: int) -> None:
        self.does(lambda world: world.server.faults.on(verb, fault=FAULTS[fault], times=times, agent="tandem"))

    @rule(what=st.sampled_from(sorted(STREAM)), number=st.integers(1, 3))
    def events_will_be_disturbed(self, what: str, number: int) -> None:
        left = number

        def meddle(_: Watch, event: Json) -> Sent:
            nonlocal left
            left -= 1
            if left < 0:
                return faithful(_, event)
            return STREAM[what](event)

        self.world.server.watches.meddle = meddle

    @rule()
    def the_past_is_forgotten(self) -> None:
        """Whoever has to begin a watch anew is told 410."""
        self.world.server.database.compact()

    @rule(after=st.integers(1, 4))
    def the_operator_will_crash_after_a_write(self, after: int) -> None:
        self.world.die_after = len(self.world.written) + after

    @rule(which=st.integers(0, 1))
    def an_operator_is_killed(self, which: int) -> None:
        names = list(self.world.processes)
        if names:
            self.runner.run(self.world.restart(names[which % len(names)]))

    @rule(back=st.integers(1, 30), seconds=st.sampled_from([0.1, 0.3]))
    def all_are_started_anew_and_see_the_past_for_a_while(self, back: int, seconds: float) -> None:
        async def seen() -> None:
            world = self.world
            world.server.look_back(max(world.server.database.oldest, world.server.database.revision - back))
            for name in list(world.processes):
                await world.restart(name)
            await asyncio.sleep(seconds)
            world.server.look_back(None)

        self.runner.run(seen())

    # --- the end -----------------------------------------------------------------------------------------------------

    async def ends_well(self) -> None:
        world = self.world
        world.calm()
        await world.settled()
        assert endstate.violations(world) == []
        await self.rests()
        world.repair()
        await world.everything_completes()
        assert endstate.violations(world) == []
        for name in (*TRAINING_NAMES, *APP_NAMES):
            if self.there(name):
                wanted = await oracle(world.spec(name), name, world.mlflow)
                told = endstate.differences(wanted, outcome(world, name))
                assert not told, f"{name} does not end as one that never saw a fault:\n{told}\n{world.told()}"

    async def rests(self) -> None:
        """No write while everything is listed twice and looked at again."""
        world = self.world
        if self.replicas > 1:  # a Lease that was deleted is made again when it is due to be renewed
            await world.until(lambda w: list(w.server.database.of(LEASES)), "a Lease")
        before, seen = len(world.written), world.lists()
        await world.until(lambda w: w.lists() >= seen + 2 * len(w.processes), "two comparisons each")
        await world.settled()
        renewals = f"update leases {OPERATOR}"
        assert [write for write in world.written[before:] if write.what != renewals] == [], world.told()


class AnySequenceOfTwo(AnySequence):
    """Two replicas with a Lease."""

    replicas = 2

    @rule(seconds=st.sampled_from([0.5, 3.0]))
    def an_operator_stands_still(self, seconds: float) -> None:
        for process in list(self.world.processes.values())[:1]:
            process.pause(seconds)

    @rule()
    def the_lease_is_deleted(self) -> None:
        place = next((p for p in self.world.server.database.all() if p[0].plural == "leases"), None)
        if place is not None:
            self.does(lambda world: world.delete(place[0], place[2]))

    @rule(which=st.integers(0, 1), requests=st.integers(3, 30))
    def one_of_them_is_cut_off_for_a_while(self, which: int, requests: int) -> None:
        # No precondition: whether one of them has just ended is told by threads, and a rule must not depend on those.
        agents = [process.agent for process in self.world.processes.values()]
        if len(agents) == self.replicas:
            self.does(lambda world: world.server.faults.on(fault=hang_up, times=requests, agent=agents[which]))


async def oracle(spec: Json, name: str, registry: Mlflow) -> Json:
    """What this spec comes to where nothing ever goes wrong."""
    served = [version for version in registry.versions if version.name == SERVED] if name in APP_NAMES else []
    question = json.dumps([name, spec, len(served)])
    if question not in _oracles:
        async with Habitat() as world:
            world.mlflow.versions += served
            if served:
                world.mlflow.aliases[SERVED, "challenger"] = registry.aliases[SERVED, "challenger"]
            world.wants(name, spec)
            await world.everything_completes()
            _oracles[question] = outcome(world, name)
    return _oracles[question]


def outcome(world: Habitat, name: str) -> Json:
    """What a resource has come to, the numbers of runs, versions and revisions left out."""
    status = world.status(name)
    conditions = {c["type"]: [c["status"], c["reason"]] for c in status.get("conditions", ())}
    told = {"conditions": conditions, "phase": status.get("phase")}
    return told | (_trained(world, name) if name in TRAINING_NAMES else _served(world, name))


def _trained(world: Habitat, name: str) -> Json:
    status, champion = world.status(name), world.mlflow.aliases.get((name, "champion"))
    runs = {v.version: v.run_id for v in world.mlflow.versions if v.name == name}
    run = world.mlflow.runs.get(runs.get(champion or "", ""))
    return {
        **{field: status.get(field) for field in ("metrics", "gate", "image")},
        "digest": status.get("run", {}).get("specDigest"),
        "champion": run and run.tags.get("tandem.dev/spec-digest"),
        "the champion is the latest run's": status.get("model", {}).get("version") == champion,
    }


def _served(world: Habitat, name: str) -> Json:
    selector = world.read(SERVICES, name).get("spec", {}).get("selector")
    mine = [d for d in world.server.database.of(DEPLOYMENTS) if d["metadata"]["labels"][names.APP_LABEL] == name]
    (serving,) = (d for d in mine if d["spec"]["selector"]["matchLabels"] == selector)
    pod = serving["spec"]["template"]["spec"]
    return {
        "pod": {key: value for key, value in pod.items() if key != "topologySpreadConstraints"},
        "replicas": serving["spec"]["replicas"],
        "replicas of others": sum(d["spec"]["replicas"] for d in mine if d is not serving),
        "stable": world.status(name).get("stable", {}).get("digest"),
        "champion": world.mlflow.aliases.get((SERVED, "champion")) if name == "score" else "",
    }


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = PROFILE
TestAnySequenceOfTwo = AnySequenceOfTwo.TestCase
TestAnySequenceOfTwo.settings = PROFILE
