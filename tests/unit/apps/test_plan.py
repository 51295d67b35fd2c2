"""The plan as a whole: it comes to rest, it survives a crash anywhere, and it never takes down what serves."""

from __future__ import annotations

import contextlib
import copy
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tandem.api.facts import Unavailable
from tandem.api.meta import Json
from tandem.api.plan import Apply, Delete
from tests.examples import examples
from tests.unit.apps.deployments import CRASH, NEVER, PULL, QUOTA, READY
from tests.unit.apps.world import Crash, World, app, model

CONFIGURED: Json = {
    "envFrom": [{"configMapRef": {"name": "shop"}}],
}


def configured() -> World:
    files = [{"mountPath": "/etc/shop", "configMapRef": {"name": "files"}}]
    world = app(replicas=2, **CONFIGURED, configFrom=files)
    world.config_maps |= {"shop": {"A": "1"}, "files": {"a.toml": "[a]"}}
    return world


def first_app() -> World:
    return app(replicas=2)


def first_model() -> World:
    return model("1", promote_to="champion")


def new_image() -> World:
    world = app(replicas=2).converge()
    world.change(image="shop:2")
    return world


def new_version() -> World:
    world = model("1", promote_to="champion").converge()
    assert world.aliases is not None
    world.aliases["challenger"] = "2"
    return world


def broken_image() -> World:
    world = new_image()
    world.behaviour["shop:2"] = CRASH
    return world


def second_try() -> World:
    world = broken_image().converge()
    world.behaviour["shop:2"] = READY
    world.annotations["tandem.dev/requestedAt"] = "now"
    return world


def full_history() -> World:
    world = app("shop:1", revisionHistoryLimit=1).converge()
    for number in (2, 3):
        world.change(image=f"shop:{number}")
        world.converge()
    world.change(image="shop:4")
    return world


def new_configuration() -> World:
    world = app("shop:1", **CONFIGURED)
    world.config_maps["shop"] = {"GREETING": "hello"}
    world.converge()
    world.config_maps["shop"] = {"GREETING": "good evening"}
    return world


def rolled_back() -> World:
    world = new_configuration().converge()
    world.change(rollback={"toRevision": 1}, image="shop:3")
    return world


def nothing_registered() -> World:
    world = model()
    world.aliases = None
    return world


CANARY: Json = {
    "strategy": "Canary",
    "steps": [{"trafficPercent": 20, "pause": {"durationSeconds": 60}}, {"trafficPercent": 50}],
}


def canary(**rollout: object) -> World:
    world = app(replicas=2, rollout={**CANARY, **rollout}).converge()
    world.change(image="shop:2")
    return world


def held_canary() -> World:
    return canary(steps=[{"trafficPercent": 20, "pause": {}}])


def broken_canary() -> World:
    world = canary()
    world.behaviour["shop:2"] = CRASH
    return world


def aborted_canary() -> World:
    world = held_canary().converge()
    world.say(abort="2")
    return world


def superseded_canary() -> World:
    world = held_canary().converge()
    world.change(image="shop:3")
    return world


def promoted_canary() -> World:
    world = held_canary().converge()
    world.say(promote="2")
    return world


def canary_behind_a_gateway() -> World:
    world = held_canary()
    world.gateway_api = True
    world.change(gateway={"parentRefs": [{"name": "public"}]})
    return world


def watched() -> World:
    world = new_image()
    world.change(rollout={"watchSeconds": 300})
    return world


def failed_in_the_watch() -> World:
    world = watched()
    while world.serving != 2:
        world.reconcile()
        world.look()
    world.wait(1)
    world.crashed["shop:2"] = world.now
    return world


STORIES: list[Callable[[], World]] = [
    *(canary, held_canary, broken_canary, aborted_canary, superseded_canary, promoted_canary, canary_behind_a_gateway),
    *(watched, failed_in_the_watch),
    *(first_app, first_model, new_image, new_version, broken_image, second_try, full_history, nothing_registered),
    *(configured, new_configuration, rolled_back),
]
story = pytest.mark.parametrize("begin", STORIES, ids=lambda begin: begin.__name__)


@story
def test_at_rest_there_is_nothing_to_do_and_nothing_to_write(begin: Callable[[], World]) -> None:
    world = begin().converge()
    writes = world.status_writes
    for _ in range(3):
        world.wait(600)
        world.look()
        made = world.reconcile()
        assert (made.actions, made.events, made.requeue_after) == ((), (), None)
        assert made.status == world.status
    assert world.status_writes == writes


@story
def test_the_same_observation_gives_the_same_plan(begin: Callable[[], World]) -> None:
    world = begin()
    assert world.plan() == world.plan()


@story
@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.differing_executors])
@given(crashes=st.lists(st.integers(0, 2), max_size=12))
def test_a_crash_after_any_action_ends_where_it_would_have_ended(
    begin: Callable[[], World], crashes: list[int]
) -> None:
    expected = begin().converge()
    world = begin()
    for crash_after in crashes:
        try:
            world.reconcile(crash_after)
        except Crash:
            world.look()
    world.converge()
    assert end(world) == end(expected)


@story
def test_a_lost_status_is_told_again_and_changes_nothing_else(begin: Callable[[], World]) -> None:
    world = begin().converge()
    before = end(world)
    world.done.clear()
    world.lose_status()
    world.converge()
    assert (end(world), world.done) == (before, [])


def end(world: World) -> object:
    told = world.told
    stable = told.stable.image_digest and (told.stable.revision, told.stable.digest) if told.stable else None
    return (
        world.serving,
        world.scale,
        world.shared,
        world.weights,
        sorted(world.services),
        world.aliases,
        sorted(world.copies),
        sorted(world.budgets),
        sorted(world.network_policies),
        told.phase,
        stable,
        [(record.revision, record.state) for record in told.revisions],
        world.conditions(),
    )


IMAGES = st.sampled_from(["shop:1", "shop:2", "shop:3"])


class AnythingHappens(RuleBasedStateMachine):
    """People, registry, nodes and the operator itself do what they like, in any order."""

    world: World

    @initialize(with_model=st.booleans(), replicas=st.integers(0, 2))
    def start(self, with_model: bool, replicas: int) -> None:
        self.world = model("1", promote_to="champion", replicas=replicas) if with_model else app(replicas=replicas)

    @rule(image=IMAGES)
    def change_the_image(self, image: str) -> None:
        self.world.change(image=image)

    @rule(configured=st.booleans())
    def refer_to_a_config_map(self, configured: bool) -> None:
        self.world.change(envFrom=CONFIGURED["envFrom"] if configured else [])

    @rule(data=st.sampled_from([{"A": "1"}, {"A": "2"}, None]))
    def change_the_config_map(self, data: dict[str, str] | None) -> None:
        if data is None:
            self.world.config_maps.pop("shop", None)
        else:
            self.world.config_maps["shop"] = data

    @rule(number=st.none() | st.integers(1, 4))
    def roll_back(self, number: int | None) -> None:
        self.world.change(rollback={"toRevision": number} if number else None)

    @rule(replicas=st.integers(0, 3))
    def scale(self, replicas: int) -> None:
        self.world.change(replicas=replicas)

    @rule(delay=st.sampled_from([0, 30]), limit=st.integers(0, 2), deadline=st.sampled_from([10, 600]))
    def change_the_rules(self, delay: int, limit: int, deadline: int) -> None:
        change = {"scaleDownDelaySeconds": delay, "revisionHistoryLimit": limit, "progressDeadlineSeconds": deadline}
        self.world.change(**change)

    @rule(
        strategy=st.sampled_from(["BlueGreen", "Canary", "RollingUpdate"]),
        pause=st.sampled_from([None, {}, {"durationSeconds": 30}]),
        approval=st.sampled_from(["Automatic", "Required"]),
        watch=st.sampled_from([None, 0, 120]),
        back=st.booleans(),
    )
    def change_the_rollout(
        self, strategy: str, pause: Json | None, approval: str, watch: int | None, back: bool
    ) -> None:
        rollout: Json = {"strategy": strategy, "approval": approval, "autoRollback": back}
        rollout |= {"watchSeconds": watch} if watch is not None else {}
        if strategy == "Canary":
            paused = {"pause": pause} if pause is not None else {}
            rollout["steps"] = [{"trafficPercent": 25} | paused, {"trafficPercent": 70}]
        self.world.change(rollout=rollout)

    @rule(gateway=st.booleans())
    def put_it_behind_a_gateway(self, gateway: bool) -> None:
        self.world.gateway_api = True
        self.world.change(gateway={"parentRefs": [{"name": "public"}]} if gateway else None)

    @rule(
        word=st.sampled_from(["promote", "abort", "pause", "approved"]),
        number=st.integers(1, 4),
        step_=st.sampled_from(["1", "2", "promotion"]),
    )
    def somebody_says(self, word: str, number: int, step_: str) -> None:
        self.world.say(**{word: f"{number}/{step_}" if word == "approved" else str(number)})

    @rule()
    def words_are_taken_back(self) -> None:
        self.world.say(promote=None, abort=None, pause=None, approved=None)

    @rule(image=IMAGES)
    def a_container_ends(self, image: str) -> None:
        self.world.crashed[image] = self.world.now

    @rule(suspend=st.booleans())
    def suspend(self, suspend: bool) -> None:
        self.world.change(suspend=suspend)

    @precondition(lambda self: self.world.aliases is not None)
    @rule(alias=st.sampled_from(["challenger", "champion"]), version=st.sampled_from(["1", "2", "3"]))
    def move_an_alias(self, alias: str, version: str) -> None:
        assert self.world.aliases is not None
        self.world.aliases[alias] = version

    @rule(
        what=st.sampled_from(["shop:1", "shop:2", "iris/1", "iris/2"]),
        does=st.sampled_from([READY, NEVER, CRASH, PULL, QUOTA]),
    )
    def pods_change_their_mind(self, what: str, does: str) -> None:
        self.world.behaviour[what] = does

    @rule(away=st.booleans())
    def the_registry_goes_or_comes_back(self, away: bool) -> None:
        self.world.outage = Unavailable(self.world.now, "TrackingUnavailable", "no answer") if away else None

    @rule()
    def somebody_asks_again(self) -> None:
        self.world.annotations["tandem.dev/requestedAt"] = str(self.world.now)

    @rule()
    def the_status_is_lost(self) -> None:
        self.world.lose_status()

    @rule()
    def the_service_is_deleted(self) -> None:
        self.world.services.clear()

    @rule(seconds=st.sampled_from([1, 31, 601]))
    def time_passes(self, seconds: int) -> None:
        self.world.wait(seconds)

    @rule()
    def kubernetes_looks(self) -> None:
        self.world.look()

    @rule()
    def a_pass(self) -> None:
        self._checked_pass(None)

    @rule(after=st.integers(0, 2))
    def a_pass_that_dies(self, after: int) -> None:
        self._checked_pass(after)

    def _checked_pass(self, crash_after: int | None) -> None:
        world = self.world
        serving, wanted, shared = world.serving, world.spec["replicas"], world.shared
        before = copy.deepcopy(world.deployments)
        world.done.clear()
        with contextlib.suppress(Crash):
            world.reconcile(crash_after)
        for action in world.done:
            match action:
                case Delete(kind="Deployment", name=name):
                    assert name != f"shop-{serving}", "what serves is deleted"
                    assert before[name]["spec"]["replicas"] == 0, "a revision with pods is deleted"
                case Apply(manifest) if manifest["kind"] == "Deployment":
                    if manifest["metadata"]["name"] == f"shop-{serving}":
                        assert manifest["spec"]["replicas"] == wanted, "what serves is scaled past the spec"
        if world.shared and not shared:
            self._shared_rightly(before)
        if shared:
            made = {name for name in world.deployments if name not in before}
            assert made <= {f"shop-{serving}"}, "a new revision would have traffic before its time"
        if world.serving != serving and world.serving is not None:
            # What a lost Service is made for again, and what a first one is, had pods when it was seen.
            self._took_over_rightly(before[f"shop-{world.serving}"], serving)

    def _took_over_rightly(self, deployment: dict[str, dict[str, int]], was: int | None) -> None:
        available = deployment.get("status", {}).get("availableReplicas", 0)
        remembered = was is None and self.world.told.stable is not None
        assert remembered or available >= self.world.spec["replicas"], "a revision that is not ready takes the traffic"
        assert remembered or not self._failed(deployment), "a revision that failed takes the traffic"

    def _shared_rightly(self, deployments: dict[str, Json]) -> None:
        with_pods = [
            deployment
            for name, deployment in deployments.items()
            if name != f"shop-{self.world.serving}" and (deployment["spec"]["replicas"] or _pods(deployment))
        ]
        assert len(with_pods) == 1, "others than one candidate share the traffic"
        assert not self._failed(with_pods[0]), "a revision that failed shares the traffic"
        ready = with_pods[0]["status"]["availableReplicas"]
        assert ready >= with_pods[0]["spec"]["replicas"], "a candidate that is not ready shares the traffic"

    def _failed(self, deployment: Json) -> bool:
        """Whether there is a verdict on it that nothing has lifted."""
        verdict = json.loads(deployment["metadata"]["annotations"].get("tandem.dev/failed", "null"))
        if verdict is None or verdict["deadline"] < self.world.spec.get("progressDeadlineSeconds", 600):
            return False
        token = self.world.annotations.get("tandem.dev/requestedAt", "")
        return token in {"", verdict.get("requestedAt", "")}

    @invariant()
    def what_serves_exists(self) -> None:
        if hasattr(self, "world") and self.world.serving is not None:
            assert f"shop-{self.world.serving}" in self.world.deployments

    @invariant()
    def every_revision_has_its_configuration(self) -> None:
        if hasattr(self, "world"):
            for deployment in self.world.deployments.values():
                assert self.world.configured_with(deployment) <= self.world.copies.keys()

    def teardown(self) -> None:
        """Whatever happened: when it is over, the plan comes to rest."""
        if hasattr(self, "world"):
            self.world.converge()
            self.world.wait(1)
            made = self.world.plan()
            assert made.actions == ()
            assert made.status == self.world.status


def _pods(deployment: Json) -> int:
    return int(deployment.get("status", {}).get("replicas", 0))


AnythingHappens.TestCase.settings = settings(max_examples=examples(150), stateful_step_count=30, deadline=None)
TestAnythingHappens = AnythingHappens.TestCase


def test_the_next_pass_is_asked_for_when_time_alone_brings_it() -> None:
    world = app(scaleDownDelaySeconds=45).converge()
    world.change(image="shop:2")
    for _ in range(3):
        world.reconcile()
        world.look()
    assert world.reconcile().requeue_after == timedelta(seconds=45)
