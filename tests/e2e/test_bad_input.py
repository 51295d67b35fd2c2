"""Whatever is wrong with an input ends in a condition that a person can act on, on a real cluster.

Everything is applied at once, when the session begins (`mistaken.py`); each row of a table is then a test of its own.
What the API server refuses is in tests/contract/crds: here only that a person at kubectl reads the same words.
"""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from demo.kubectl import Json, Kubectl, KubectlFailed, condition
from tests.e2e.diary import in_words, says
from tests.e2e.mistaken import QUOTAS, World
from tests.e2e.mistakes import AD, CASES, THEIRS, TJ, Bad, job
from tests.e2e.scripts import resource, step

pytestmark = pytest.mark.e2e

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
WORDS_OF_QUOTAS = {
    "count/jobs.batch": ("Forbidden", ("exceeded quota", "count/jobs.batch")),
    "pods": ("FailedCreate", ("no pod", "quota", "describe job iris-1")),
}


@pytest.mark.parametrize("limit", QUOTAS)
def test_a_quota_is_named(world: World, limit: str) -> None:
    reason, words = WORDS_OF_QUOTAS[limit]

    held = world.cramped[limit].diary.until("trainingjobs/iris", says("Stalled", "True", reason), f"quota for {limit}")

    assert all(word in condition(held, "Ready")["message"] for word in words), in_words(held)


@pytest.mark.parametrize("limit", QUOTAS)
def test_a_run_starts_when_the_quota_is_raised(world: World, limit: str) -> None:
    world.raised[limit].result()
    diary = world.cramped[limit].diary

    done = diary.until("trainingjobs/iris", says("Ready", "True"), f"the run goes on when {limit} is raised")

    assert done["status"]["run"]["number"] == 1
    assert list(diary.made("jobs").values()) == ["iris-1"]


def test_whoever_waits_for_stalled_is_told_of_every_failure_before_the_timeout(world: World) -> None:
    world.waited.result()


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
    events = world.told.result()[case.name]

    assert Counter(event["reason"] for event in events) == Counter(case.events)


@each_case
def test_no_status_is_told_a_second_time(world: World, case: Bad) -> None:
    """A back-off that goes round in circles must not make the status go round with it: each turn is a write."""
    world.table.settled(case)
    versions = world.table.diary.versions(case.target)
    # What comes after the last such version is its healing, which may pass the same states as the beginning did.
    last = max(n for n, version in enumerate(versions) if says("Ready", case.status, case.reason)(version))

    # All mistakes are made at once: that a full node lets a pod wait for its turn is no turn of a back-off.
    told = (version for version in versions[: last + 1] if not says("Ready", "Unknown", "Unschedulable")(version))

    changes = [words for words, _ in itertools.groupby(map(in_words, told))]

    assert [text for text, times in Counter(changes).items() if times > 1] == [], "\n".join(changes)


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


def test_a_model_that_is_handed_over_is_registered_without_another_run(world: World) -> None:
    world.remedied.result()
    target = "trainingjobs/model-of-another"

    healed = world.table.diary.until(target, says("Ready", "True"), "the model is registered once it is handed over")

    assert healed["status"]["model"] == {"name": THEIRS, "version": "1", "alias": "challenger"}
    assert healed["status"]["run"]["number"] == 1
    assert world.mlflow.aliases(THEIRS) == {"challenger": "1"}


def test_a_missing_configmap_that_comes_lets_the_run_go_on(world: World) -> None:
    world.remedied.result()
    target = "trainingjobs/no-such-configmap"

    healed = world.table.diary.until(target, says("Ready", "True"), "the pod starts once its ConfigMap is there")

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
