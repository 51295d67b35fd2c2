"""Whatever is wrong with an input ends in a condition that a person can act on, on a real cluster.

Everything is applied at once and waited for once; each row of a table is then a test of its own. What the API server
refuses is in tests/contract/crds: here only that a person at kubectl reads the same words.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest

from demo.kubectl import Json, Kubectl, KubectlFailed, condition, is_true
from demo.mlflow import Mlflow
from demo.setup import Site
from demo.stage import namespace_object
from tandem.api import names
from tests.e2e.diary import WITHIN, Diary, diary_of, in_words, says
from tests.e2e.mistakes import AD, CASES, OURS, THEIRS, TJ, Bad, job
from tests.e2e.scripts import resource, step

pytestmark = pytest.mark.e2e

STALLED = [case for case in CASES if case.stalled]

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


# What a namespace's quota leaves none of: where Kubernetes refuses the Job itself, and where it refuses its pod.
QUOTAS = {
    "count/jobs.batch": ("Forbidden", ("exceeded quota", "count/jobs.batch")),
    "pods": ("FailedCreate", ("no pod", "quota", "describe job iris-1")),
}


@dataclass(frozen=True)
class Place:
    """A namespace, and all that was ever seen in it."""

    kubectl: Kubectl
    diary: Diary

    def settled(self, case: Bad) -> Json:
        """The first version that says what the case ends in; without an end that is still to be told, too."""

        def told(object_: Json) -> bool:
            over = condition(object_, "Failed").get("status") == "True"
            return says("Ready", case.status, case.reason)(object_) and (over or not case.ended)

        return self.diary.until(case.target, told, f"{case.name} ends in {case.reason}")

    def apply_quota(self, limit: str, hard: str) -> None:
        quota = {"metadata": {"name": "small"}, "spec": {"hard": {limit: hard}}}
        self.kubectl.apply({"apiVersion": "v1", "kind": "ResourceQuota", **quota})
        path = limit.replace(".", "\\.")
        self.kubectl.wait_for("resourcequota/small", f"jsonpath={{.status.hard['{path}']}}={hard}")


@dataclass(frozen=True)
class World:
    """``cramped``: the places without quota, by what they have none of."""

    mlflow: Mlflow
    table: Place
    cramped: dict[str, Place]


@contextmanager
def place(site: Site, name: str) -> Iterator[Place]:
    site.kubectl.apply(namespace_object(name))
    kubectl = site.kubectl.within(name)
    with diary_of(kubectl, "trainingjobs", "appdeployments", "jobs", "events") as diary:
        yield Place(kubectl, diary)
    site.kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="module")
def world(site: Site) -> Iterator[World]:
    """Every mistake, made at the same moment."""
    site.mlflow.post(
        "registered-models/create", {"name": THEIRS, "tags": [{"key": names.TAG_NAMESPACE, "value": "elsewhere"}]}
    )
    with ExitStack() as places:
        table = places.enter_context(place(site, f"bad-input-{os.getpid()}"))
        cramped = {
            limit: places.enter_context(place(site, f"bad-input-{os.getpid()}-{number}"))
            for number, limit in enumerate(QUOTAS)
        }
        for limit, its in cramped.items():
            its.apply_quota(limit, "0")
            its.kubectl.apply(resource(TJ, "iris", job(step("train", "true"))))
        table.kubectl.apply(*(case.object for case in CASES))
        yield World(site.mlflow, table, cramped)
    for model in (OURS, THEIRS):
        if site.mlflow("registered-models/search", filter=f"name = '{model}'").get("registered_models"):
            site.mlflow.delete("registered-models/delete", {"name": model})


@pytest.fixture(scope="module")
def raised(world: World) -> World:
    """Each quota is raised as soon as it was told: a refused Job is tried again ever more rarely."""
    for limit, its in world.cramped.items():
        its.diary.until("trainingjobs/iris", says("Stalled", "True"), f"the quota for {limit} is told")
        its.apply_quota(limit, "5")
    return world


@pytest.fixture(scope="module")
def remedied(world: World) -> World:
    """Whatever else can be put right is put right, again all at the same moment."""
    for case in CASES:
        world.table.settled(case)
    owner = {"name": THEIRS, "key": names.TAG_NAMESPACE, "value": world.table.kubectl.namespace}
    world.mlflow.post("registered-models/set-tag", owner)
    world.table.kubectl.run("create", "configmap", "nowhere", "--from-literal=readme=here")
    return world


@pytest.mark.parametrize("limit", QUOTAS)
def test_a_quota_is_named(world: World, limit: str) -> None:
    reason, words = QUOTAS[limit]

    held = world.cramped[limit].diary.until("trainingjobs/iris", says("Stalled", "True", reason), f"quota for {limit}")

    assert all(word in condition(held, "Ready")["message"] for word in words), in_words(held)


@pytest.mark.parametrize("limit", QUOTAS)
def test_a_run_starts_when_the_quota_is_raised(raised: World, limit: str) -> None:
    diary = raised.cramped[limit].diary

    done = diary.until("trainingjobs/iris", says("Ready", "True"), f"the run goes on when {limit} is raised")

    assert done["status"]["run"]["number"] == 1
    assert list(diary.made("jobs").values()) == ["iris-1"]


def test_whoever_waits_for_stalled_is_told_of_every_failure_before_the_timeout(world: World) -> None:
    targets = [case.target for case in STALLED]
    world.table.kubectl.run("wait", "--for=condition=Stalled", *targets, f"--timeout={WITHIN:.0f}s")


@each_case
def test_the_condition_says_what_is_wrong_and_what_to_do(world: World, case: Bad) -> None:
    object_ = world.table.settled(case)

    ready, told = condition(object_, "Ready"), condition(object_, case.step)
    assert all(words in ready["message"] for words in case.says), in_words(object_)
    assert (told["status"], told["reason"], told["message"]) == (case.status, case.reason, ready["message"])
    assert condition(object_, "Stalled").get("reason") == (case.reason if case.stalled else None)
    assert condition(object_, "Reconciling").get("reason") == (None if case.stalled else case.reason)
    assert object_["status"]["observedGeneration"] == object_["metadata"]["generation"]


@each_case
def test_the_failure_is_told_in_parts_too(world: World, case: Bad) -> None:
    failure = world.table.settled(case)["status"].get("failure", {})

    assert {key: failure.get(key) for key in case.failure} == case.failure


@each_case
def test_each_thing_that_happened_is_one_event(world: World, case: Bad) -> None:
    world.table.settled(case)

    def mine(event: Json) -> bool:
        about = event["involvedObject"]
        return (about["kind"], about["name"]) == (case.kind, case.name)

    # An Event follows the status that it tells of, so the last one may be a moment late.
    if case.events:
        last = case.events[-1]
        world.table.diary.until_any(
            "events", lambda event: mine(event) and event["reason"] == last, f"{case.name}: {last}"
        )
    events = [event for event in world.table.kubectl.json("get", "events")["items"] if mine(event)]

    assert Counter(event["reason"] for event in events) == Counter(case.events)


@each_case
def test_no_status_is_told_a_second_time(world: World, case: Bad) -> None:
    """A back-off that goes round in circles must not make the status go round with it: each turn is a write."""
    world.table.settled(case)
    wrong = itertools.takewhile(lambda version: not is_true(version, "Ready"), world.table.diary.versions(case.target))

    changes = [words for words, _ in itertools.groupby(map(in_words, wrong))]

    assert [text for text, times in Counter(changes).items() if times > 1] == []


@pytest.mark.parametrize("case", [c for c in CASES if c.kind == TJ], ids=lambda case: case.name)
def test_one_job_is_made_and_a_hopeless_pod_is_not_tried_again(world: World, case: Bad) -> None:
    run = world.table.settled(case)["status"]["run"]

    assert [name for name in world.table.diary.made("jobs").values() if name == f"{case.name}-1"] == [f"{case.name}-1"]
    assert (run["number"], run["attempts"]) == (1, 1)


def test_an_image_is_given_a_minute_to_come_before_a_person_is_called(world: World) -> None:
    case = next(case for case in CASES if case.name == "no-such-image")
    world.table.settled(case)

    def waits(object_: Json) -> bool:
        return says("Ready", "Unknown", "ImagePullBackOff")(object_) and says("Reconciling", "True")(object_)

    assert any(map(waits, world.table.diary.versions(case.target)))


def test_an_app_that_never_served_is_not_available(world: World) -> None:
    apps = [world.table.settled(case) for case in CASES if case.kind == AD]

    assert {condition(app, "Available")["reason"] for app in apps} == {"NothingServes"}
    assert {condition(app, "Available")["status"] for app in apps} == {"False"}


def test_a_model_that_is_handed_over_is_registered_without_another_run(remedied: World) -> None:
    target = "trainingjobs/model-of-another"

    healed = remedied.table.diary.until(target, says("Ready", "True"), "the model is registered once it is handed over")

    assert healed["status"]["model"] == {"name": THEIRS, "version": "1", "alias": "challenger"}
    assert healed["status"]["run"]["number"] == 1
    assert remedied.mlflow.aliases(THEIRS) == {"challenger": "1"}


def test_a_missing_configmap_that_comes_lets_the_run_go_on(remedied: World) -> None:
    target = "trainingjobs/no-such-configmap"

    healed = remedied.table.diary.until(target, says("Ready", "True"), "the pod starts once its ConfigMap is there")

    assert (healed["status"]["run"]["number"], healed["status"]["run"]["attempts"]) == (1, 1)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (
            resource(TJ, "iris", job(step("train", "true"), gate={"metrics": [{"name": "accuracy"}]})),
            ("spec.gate.metrics[0]", "give min, max or both"),
        ),
        (resource(AD, "shop", {"replicas": 1}), ("spec", "give image (an app), model (a model server) or both")),
    ],
    ids=["a threshold without a bound", "neither image nor model"],
)
def test_what_the_api_server_refuses_reads_well_at_kubectl(kubectl: Kubectl, bad: Json, words: tuple[str, ...]) -> None:
    with pytest.raises(KubectlFailed) as refused:
        kubectl.apply(bad)

    assert all(word in refused.value.stderr for word in words)
