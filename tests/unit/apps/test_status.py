"""What the status tells: the state map of the project, in the words that kubectl, Flux and Argo CD read."""

from __future__ import annotations

import copy
from collections.abc import Callable

import jsonschema
import pytest

from tandem.api.facts import Unavailable
from tandem.api.meta import Json
from tests.crds import schema
from tests.unit.apps.deployments import CRASH, IMAGE_DIGEST, NEVER
from tests.unit.apps.world import World, app, model


def starting() -> World:
    world = app()
    world.reconcile()
    return world


def serving() -> World:
    return app(replicas=2).converge()


def rolling_out() -> World:
    world = serving()
    world.behaviour["shop:2"] = NEVER
    world.change(image="shop:2")
    for _ in range(3):
        world.reconcile()
        world.look()
    return world


def broken() -> World:
    return rolling_out().converge()


def broken_from_the_start() -> World:
    world = app("bad")
    world.behaviour["bad"] = CRASH
    return world.converge()


def suspended() -> World:
    world = serving()
    world.change(suspend=True, image="shop:2")
    return world.converge()


def registry_away() -> World:
    world = model().converge()
    world.outage = Unavailable(world.now, "TrackingUnavailable", "no answer")
    return world.converge()


def invalid() -> World:
    return World({}).converge()


def promoted() -> World:
    return model(promote_to="champion").converge()


# state: Ready, Reconciling, Stalled, Available, phase, what kstatus makes of it
STATES = {
    starting: ("Unknown", True, False, "False", "Progressing", "InProgress"),
    serving: ("True", False, False, "True", "Healthy", "Current"),
    rolling_out: ("Unknown", True, False, "True", "Progressing", "InProgress"),
    broken: ("False", False, True, "True", "Degraded", "Failed"),
    broken_from_the_start: ("False", False, True, "False", "Degraded", "Failed"),
    suspended: ("True", False, False, "True", "Paused", "Current"),
    registry_away: ("False", True, False, "True", "Progressing", "InProgress"),
    invalid: ("False", False, True, "False", "Degraded", "Failed"),
    promoted: ("True", False, False, "True", "Healthy", "Current"),
}
state = pytest.mark.parametrize("reached", STATES, ids=lambda reached: reached.__name__)


@state
def test_the_state_map(reached: Callable[[], World]) -> None:
    world = reached()
    conditions = world.conditions()
    ready, reconciling, stalled, available, phase, verdict = STATES[reached]
    assert conditions["Ready"] == ready
    assert ("Reconciling" in conditions, "Stalled" in conditions) == (reconciling, stalled)
    assert conditions["Available"] == available
    assert world.told.phase == phase
    assert kstatus(world.status, world.generation) == verdict


@state
def test_every_condition_speaks_of_the_generation_that_was_seen(reached: Callable[[], World]) -> None:
    world = reached()
    assert world.told.observed_generation == world.generation
    assert {condition.observed_generation for condition in world.told.conditions} == {world.generation}


@state
def test_the_status_is_what_the_crd_takes(reached: Callable[[], World]) -> None:
    jsonschema.validate(reached().status, closed(schema("AppDeployment")["properties"]["status"]))


def test_url_replicas_and_selector_are_those_of_what_serves() -> None:
    told = rolling_out().told
    assert told.url == "http://shop.team.svc.cluster.local"
    assert told.replicas == 2
    assert told.selector == "tandem.dev/app-deployment=shop,tandem.dev/revision=1"


def test_before_anything_serves_there_is_no_address_to_call() -> None:
    told = starting().told
    assert (told.url, told.replicas, told.selector, told.stable) == ("", 0, "", None)


def test_stable_and_candidate_are_told_apart_and_revisions_come_latest_first() -> None:
    told = rolling_out().told
    assert told.stable is not None
    assert told.candidate is not None
    assert (told.stable.revision, told.stable.image) == (1, "shop:1")
    assert (told.candidate.revision, told.candidate.image) == (2, "shop:2")
    assert [(record.revision, record.state) for record in told.revisions] == [(2, "Candidate"), (1, "Stable")]


def test_the_digest_of_a_tag_is_what_the_first_ready_pod_says() -> None:
    told = serving().told
    assert told.stable is not None
    assert told.stable.image_digest == IMAGE_DIGEST


def test_a_digest_that_is_known_stays_when_the_pod_is_gone() -> None:
    world = serving()
    world.behaviour["shop:1"] = CRASH
    world.look()
    world.converge()
    assert world.told.stable is not None
    assert world.told.stable.image_digest == IMAGE_DIGEST


def test_a_deployment_that_failed_is_told_as_failed_and_is_no_candidate() -> None:
    told = broken().told
    assert told.candidate is None
    assert [(record.revision, record.state, record.reason) for record in told.revisions] == [
        (2, "Failed", "NotReady"),
        (1, "Stable", ""),
    ]


def test_a_status_takes_no_more_revisions_than_the_crd_does() -> None:
    world = app("shop:1", revisionHistoryLimit=50).converge()
    for number in range(2, 90):
        world.deployments[f"shop-{number}"] = copied = copy.deepcopy(world.deployments["shop-1"])
        copied["metadata"] |= {"name": f"shop-{number}", "uid": f"copy-{number}"}
        copied["metadata"]["labels"]["tandem.dev/revision"] = str(number)
        copied["metadata"]["annotations"]["tandem.dev/spec-digest"] = f"other-{number}"
        copied["spec"]["replicas"] = 0
    world.reconcile()
    assert len(world.told.revisions) == 64
    jsonschema.validate(world.status, closed(schema("AppDeployment")["properties"]["status"]))
    world.converge()
    assert len(world.told.revisions) == 51


def test_messages_stay_short_whatever_the_log_says() -> None:
    world = broken_from_the_start()
    assert all(len(condition.message) <= 1024 for condition in world.told.conditions)
    assert "kubectl" in world.condition("Ready").message


def kstatus(status: Json, generation: int) -> str:
    """cli-utils' rules for a custom resource, in their order."""
    if status.get("observedGeneration") != generation:
        return "InProgress"
    for condition in status["conditions"]:
        if (condition["type"], condition["status"]) == ("Reconciling", "True"):
            return "InProgress"
        if (condition["type"], condition["status"]) == ("Stalled", "True"):
            return "Failed"
    ready = next(condition for condition in status["conditions"] if condition["type"] == "Ready")
    return "Current" if ready["status"] == "True" else "InProgress"


def closed(node: Json) -> Json:
    """The schema, with fields that it does not know refused: the API server would drop them."""
    made = {key: value for key, value in node.items() if key not in {"description", "default"}}
    if "properties" in made:
        made["properties"] = {name: closed(child) for name, child in made["properties"].items()}
        made["additionalProperties"] = False
    if isinstance(made.get("items"), dict):
        made["items"] = closed(made["items"])
    return made
