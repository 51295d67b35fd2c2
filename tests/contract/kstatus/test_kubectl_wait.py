"""`kubectl wait --for=condition=…` on each condition that either kind tells, against a real API server.

`--timeout=0` asks once and does not wait, so nothing here is decided by time.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TypeAlias

import pytest

from cluster.errors import ClusterError
from tandem.api.meta import Json
from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.contract.kstatus.recording import Recordings
from tests.crds import KINDS

Told: TypeAlias = tuple[str, str]  # kind, condition

ABOUT_ITSELF = ("Ready", "Reconciling", "Stalled")
CONDITIONS: dict[str, tuple[str, ...]] = {
    "TrainingJob": (
        *ABOUT_ITSELF,
        *("Complete", "Failed", "Suspended", "Scheduled", "DataPolled", "Reproduced"),
        *("DataValidated", "Trained", "Blessed", "Registered", "Promoted", "Drifted"),
    ),
    "AppDeployment": (
        *(*ABOUT_ITSELF, "Available", "RolledOut", "Protected", "Routed", "Autoscaled"),
        *("ModelResolved", "ConfigurationResolved", "Promoted"),
    ),
}
EACH = [(kind, type_) for kind in KINDS for type_ in CONDITIONS[kind]]


class Waits:
    def __init__(self, api_server: ApiServer) -> None:
        self._api_server = api_server

    def ends(self, body: Json, condition: str) -> bool:
        """Whether a wait for this (``Ready``, ``Ready=False``) would be over now."""
        meta = body["metadata"]
        what = f"{body['kind'].lower()}/{meta['name']}"
        asked = ["wait", what, f"--for=condition={condition}", "--timeout=0", f"--namespace={meta['namespace']}"]
        try:
            return "condition met" in self._api_server.plane.kubectl(*asked)
        except ClusterError as error:
            # With a timeout of 0 kubectl says so and fails; anything else is an error of this test.
            if "error: condition not met" not in str(error):
                raise
            return False


@pytest.fixture
def waits(api_server: ApiServer) -> Waits:
    return Waits(api_server)


def tell(api_server: ApiServer, namespace: str, recorded: Json) -> Json:
    """A resource with this status, as the operator would have written it of the resource as it is now."""
    status = deepcopy(recorded["status"])
    created = api_server.create(resource(recorded["kind"], namespace))
    for told in (status, *status["conditions"]):
        told["observedGeneration"] = created["metadata"]["generation"]
    return api_server.merge(created, {"status": status}, "/status")


def state_with(recordings: Recordings, kind: str, **told: str) -> Json:
    """The first that tells all of these conditions so."""
    return next(body for body in recordings if body["kind"] == kind and told.items() <= said(body).items())


def said(body: Json) -> dict[str, str]:
    return {c["type"]: c["status"] for c in body["status"]["conditions"]}


def test_every_condition_that_is_ever_told_is_tried_here(recordings: Recordings) -> None:
    told = {(body["kind"], c["type"]) for body in recordings for c in body["status"]["conditions"]}

    assert told - {("TrainingJob", "Accepted")} == set(EACH), "Accepted is what a resource tells that cannot be read"


@pytest.mark.parametrize("told", EACH, ids=" ".join)
def test_a_wait_for_a_condition_ends_when_it_is_true_of_this_generation_and_not_before(
    api_server: ApiServer, namespace: str, recordings: Recordings, waits: Waits, told: Told
) -> None:
    body = tell(api_server, namespace, state_with(recordings, told[0], **{told[1]: "True"}))
    assert waits.ends(body, told[1])

    # given a change that nobody has looked at yet
    changed = {"TrainingJob": {"historyLimit": 7}, "AppDeployment": {"revisionHistoryLimit": 7}}[told[0]]
    assert api_server.merge(body, {"spec": changed})["metadata"]["generation"] == 2
    assert not waits.ends(body, told[1]), "what is told of the former spec is no answer"


@pytest.mark.parametrize("told", EACH, ids=" ".join)
def test_a_wait_does_not_end_before_the_first_status(
    api_server: ApiServer, namespace: str, waits: Waits, told: Told
) -> None:
    created = api_server.create(resource(told[0], namespace))

    assert created["status"] == {"observedGeneration": -1}
    assert not waits.ends(created, told[1])


@pytest.mark.parametrize("kind", KINDS)
def test_a_failure_ends_the_wait_for_stalled_and_not_that_for_ready(
    api_server: ApiServer, namespace: str, recordings: Recordings, waits: Waits, kind: str
) -> None:
    body = tell(api_server, namespace, state_with(recordings, kind, Stalled="True"))

    assert waits.ends(body, "Stalled")
    assert waits.ends(body, "Ready=False")
    assert not waits.ends(body, "Ready")
    assert not waits.ends(body, "Reconciling")


def test_a_rollout_that_failed_is_still_available_while_the_old_revision_serves(
    api_server: ApiServer, namespace: str, recordings: Recordings, waits: Waits
) -> None:
    body = tell(api_server, namespace, state_with(recordings, "AppDeployment", Available="True", Stalled="True"))

    assert waits.ends(body, "Available")
    assert waits.ends(body, "Stalled")
    assert not waits.ends(body, "Ready")
