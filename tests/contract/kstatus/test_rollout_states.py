"""The states of a rollout, as a real API server gives them out: kstatus, Argo CD's health, and the buttons that work.

Told by the plans' own stories; what Argo CD and kstatus get to see has been through the API server and its schema.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from tandem.api.meta import Json
from tests.argocd import act, health, merge_patch, offered
from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.contract.kstatus.kstatus import verdicts
from tests.unit.apps.test_steps import UNTIL_APPROVED, canary, step
from tests.unit.apps.world import World
from tests.unit.cli.test_waiting_states import APPS, said, until

STORIES = {state.reason: state.story for state in APPS}  # of two of one reason the latter


class State(NamedTuple):
    reason: str
    story: Callable[[], World]
    kstatus: str
    argocd: str
    buttons: set[str]


def failed_while_watched() -> World:
    world = until(canary(watchSeconds=900), "Watching")
    return said(world, abort="2").converge()


def rolled_back() -> World:
    world = canary().converge()
    world.change(rollback={"toRevision": 1})
    return world.converge()


ON_ITS_WAY = {"promote", "abort", "pause"}

STATES = [
    State("NotReady", STORIES["NotReady"], "InProgress", "Progressing", ON_ITS_WAY),
    State("StepPaused", STORIES["StepPaused"], "InProgress", "Progressing", ON_ITS_WAY),
    State(
        "AwaitingApproval",
        lambda: canary(step(20, UNTIL_APPROVED)),
        "InProgress",
        "Suspended",
        {"approve", *ON_ITS_WAY},
    ),
    State("Paused", STORIES["Paused"], "InProgress", "Suspended", {"promote", "abort", "resume"}),
    State("Frozen", STORIES["Frozen"], "InProgress", "Suspended", ON_ITS_WAY),
    State("AnalysisRunning", STORIES["AnalysisRunning"], "InProgress", "Progressing", ON_ITS_WAY),
    State("AnalysisInconclusive", STORIES["AnalysisInconclusive"], "InProgress", "Suspended", {"retry", *ON_ITS_WAY}),
    State("Watching", STORIES["Watching"], "InProgress", "Progressing", {"abort"}),
    State("Serving", lambda: canary().converge(), "Current", "Healthy", set()),
    State("Aborted", lambda: STORIES["Aborted"]().converge(), "Failed", "Degraded", {"retry"}),
    State("Aborted", failed_while_watched, "Failed", "Degraded", {"retry"}),
    State("RolledBack", rolled_back, "Current", "Healthy", set()),
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.reason)
def test_each_state_is_judged_alike_and_its_buttons_are_taken(
    api_server: ApiServer, namespace: str, state: State
) -> None:
    body = recorded(api_server, namespace, until(state.story(), state.reason))

    assert [verdict.status for verdict in verdicts([body])] == [state.kstatus]
    assert health(body)["status"] == state.argocd
    assert health(body)["message"]
    buttons = {name for name, enabled in offered(body).items() if enabled}
    assert buttons == state.buttons
    for button in buttons:
        patch = merge_patch(body, act(body, button))
        assert patch.keys() == {"metadata"}
        taken = api_server.merge(body, patch)
        assert taken["metadata"]["generation"] == body["metadata"]["generation"], "the spec is Git's"
        assert taken["status"] == body["status"]


def recorded(api_server: ApiServer, namespace: str, world: World) -> Json:
    """As the API server gives it out, with the spec, the annotations and the status of this moment."""
    manifest = resource("AppDeployment", namespace, "shop", **world.spec)
    manifest["metadata"]["annotations"] = dict(world.annotations)
    created = api_server.create(manifest)
    status = dict(world.status)
    status["observedGeneration"] = created["metadata"]["generation"]
    status["conditions"] = [
        {**told, "observedGeneration": status["observedGeneration"]} for told in world.status["conditions"]
    ]
    return api_server.merge(created, {"status": status}, "/status")
