"""Argo CD's scripts, run as Argo CD runs them: which buttons there are, and what each of them says to the operator.

How every state is judged: tests/contract/kstatus/test_argocd_health.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
import yaml
from lupa.lua51 import LuaError

from checks.argocd import KINDS, SCRIPTS, assembled, target
from tandem.api import names
from tandem.api.meta import Json
from tests.argocd import act, health, merge_patch, offered, run

CANDIDATE: Json = {"candidate": {"revision": 5}}
WAITS: Json = {"approval": {"revision": 5, "step": "2", "state": "Awaiting"}}


def body(kind: str, annotations: Mapping[str, str] | None = None, **status: object) -> Json:
    meta: Json = {"name": "shop", "generation": 3} | ({"annotations": dict(annotations)} if annotations else {})
    return {"kind": kind, "metadata": meta, "spec": {}, "status": {"observedGeneration": 3, **status}}


def said(type_: str, status: str, reason: str = "Any") -> Json:
    return {"type": type_, "status": status, "reason": reason, "message": f"{type_} is {status}"}


WATCHED: Json = {"stable": {"revision": 4}, "conditions": [said("RolledOut", "Unknown", "Watching")]}


def annotated(before: Json, action: str) -> dict[str, str | None]:
    """What the action writes; it writes annotations only."""
    patch = merge_patch(before, act(before, action))
    assert patch.keys() <= {"metadata"}
    metadata = patch.get("metadata", {})
    assert metadata.keys() <= {"annotations"}
    return dict(metadata.get("annotations", {}))


def is_about(decided: str | None, what: str) -> bool:
    """Which word the name belongs to, and when: the same word, said again, is another one."""
    return re.fullmatch(rf"{re.escape(what)} \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ", decided or "") is not None


# --- health ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ([said("Ready", "True")], "Healthy"),
        ([said("Ready", "Unknown"), said("Reconciling", "True")], "Progressing"),
        ([said("Ready", "False"), said("Reconciling", "True", "ProgressingWithRetry")], "Progressing"),
        ([said("Ready", "False"), said("Stalled", "True")], "Degraded"),
        ([said("Ready", "Unknown")], "Suspended"),
        ([said("Ready", "Unknown", "Suspended"), said("Reconciling", "True", "Suspended")], "Suspended"),
        ([said("Ready", "Unknown", "Frozen"), said("Reconciling", "True", "Frozen")], "Suspended"),
        ([], "Progressing"),
    ],
)
def test_health_is_what_ready_reconciling_and_stalled_say(kind: str, conditions: list[Json], status: str) -> None:
    assert health(body(kind, conditions=conditions))["status"] == status


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_healthy_before_the_operator_has_looked_at_this_generation(kind: str) -> None:
    """Argo CD takes what is healthy for done, and goes on with the next wave (argo-cd#14442)."""
    unseen: list[Json] = [
        {"observedGeneration": -1},
        {"observedGeneration": 2, "conditions": [said("Ready", "True")]},
        {},
    ]
    for status in unseen:
        assert health(body(kind) | {"status": status})["status"] == "Progressing"
    assert health({"kind": kind, "metadata": {"generation": 1}})["status"] == "Progressing"


@pytest.mark.parametrize("kind", KINDS)
def test_the_message_is_that_of_ready(kind: str) -> None:
    assert health(body(kind, conditions=[said("Ready", "True")]))["message"] == "Ready is True"


# --- actions of an AppDeployment -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "buttons"),
    [
        (body("AppDeployment"), set()),
        (body("AppDeployment", **CANDIDATE), {"promote", "abort", "pause"}),
        (body("AppDeployment", **CANDIDATE, **WAITS), {"promote", "abort", "pause", "approve"}),
        (body("AppDeployment", {names.PAUSE_ANNOTATION: "5"}, **CANDIDATE), {"promote", "abort", "resume"}),
        (body("AppDeployment", {names.PAUSE_ANNOTATION: "4"}, **CANDIDATE), {"promote", "abort", "pause"}),
        (body("AppDeployment", {names.PAUSE_ANNOTATION: ""}, **CANDIDATE), {"promote", "abort", "pause"}),
        (body("AppDeployment", conditions=[said("Stalled", "True")]), {"retry"}),
        (body("AppDeployment", **WATCHED), {"abort"}),
        (
            body("AppDeployment", **CANDIDATE, conditions=[said("RolledOut", "Unknown", "AnalysisInconclusive")]),
            {"promote", "abort", "pause", "retry"},
        ),
        ({"kind": "AppDeployment", "metadata": {"name": "new"}}, set()),
    ],
    ids=[
        *("nothing goes on", "candidate", "step waits", "paused", "an older one was paused", "resumed"),
        *("failed", "watched", "no verdict", "new"),
    ],
)
def test_a_button_can_be_pressed_when_it_would_do_something(given: Json, buttons: set[str]) -> None:
    found = offered(given)

    assert found.keys() == {"promote", "approve", "abort", "pause", "resume", "retry"}
    assert {name for name, enabled in found.items() if enabled} == buttons


@pytest.mark.parametrize(
    ("action", "annotation", "says"),
    [
        ("promote", names.PROMOTE_ANNOTATION, "5"),
        ("abort", names.ABORT_ANNOTATION, "5"),
        ("pause", names.PAUSE_ANNOTATION, "5"),
        ("approve", names.APPROVED_ANNOTATION, "5/2"),
    ],
)
def test_an_action_names_the_revision_that_it_means_and_who_decided(action: str, annotation: str, says: str) -> None:
    """Also where somebody else decided before: that name must not stand under this decision."""
    for before in ({}, {names.DECIDED_BY_ANNOTATION: "anna", annotation: "4"}):
        given = body("AppDeployment", before, **CANDIDATE, **WAITS)
        written = annotated(given, action)
        assert is_about(written.pop(names.DECIDED_ANNOTATION), f"{annotation.removeprefix('tandem.dev/')} {says}")
        assert written == {annotation: says, names.DECIDED_BY_ANNOTATION: "argocd"}


def test_a_reason_that_somebody_gave_before_does_not_stand_under_this_decision() -> None:
    before = {names.DECIDED_BY_ANNOTATION: "anna", names.DECIDED_BECAUSE_ANNOTATION: "looks good"}
    given = body("AppDeployment", before, **CANDIDATE)

    assert annotated(given, "abort")[names.DECIDED_BECAUSE_ANNOTATION] is None


def test_what_is_watched_is_aborted_by_its_own_number() -> None:
    assert annotated(body("AppDeployment", **WATCHED), "abort")[names.ABORT_ANNOTATION] == "4"


def test_a_rollout_is_resumed_by_an_empty_word_not_by_none() -> None:
    """An annotations map that a script has emptied comes back as a list, and Argo CD puts the old map back."""
    paused = body("AppDeployment", {names.PAUSE_ANNOTATION: "5"}, **CANDIDATE)

    written = annotated(paused, "resume")
    assert is_about(written.pop(names.DECIDED_ANNOTATION), "pause none")
    assert written == {names.PAUSE_ANNOTATION: "", names.DECIDED_BY_ANNOTATION: "argocd"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_failed_is_tried_again_by_a_token_that_was_not_there(kind: str) -> None:
    given = body(kind, {names.REQUESTED_AT_ANNOTATION: "2026-01-01T00:00:00Z"}, conditions=[said("Stalled", "True")])

    written = annotated(given, "retry")

    token = written.pop(names.REQUESTED_AT_ANNOTATION)
    assert written == {names.REQUESTED_BY_ANNOTATION: "argocd", names.REQUESTED_ANNOTATION: token}
    assert token is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", token)
    assert token > "2026-01-01T00:00:00Z"


WORDS = {names.ABORT_ANNOTATION: "5", names.PROMOTE_ANNOTATION: "5", names.APPROVED_ANNOTATION: "5/2"}


def test_another_try_takes_away_what_was_said_of_the_one_before() -> None:
    before = {**WORDS, names.PAUSE_ANNOTATION: "5", "mine": "stays"}
    written = annotated(body("AppDeployment", before, conditions=[said("Stalled", "True")]), "retry")

    assert {name for name, value in written.items() if value is None} == WORDS.keys()


def test_another_judgement_of_what_is_on_its_way_takes_no_word_away() -> None:
    undecided = [said("RolledOut", "Unknown", "AnalysisInconclusive")]
    written = annotated(body("AppDeployment", WORDS, **CANDIDATE, conditions=undecided), "retry")

    assert None not in written.values()


@pytest.mark.parametrize("action", ["promote", "approve", "abort", "pause", "resume"])
def test_a_button_that_is_pressed_too_late_changes_nothing(action: str) -> None:
    """Between the look at the page and the click the rollout may have ended."""
    assert annotated(body("AppDeployment"), action) == {}


# --- actions of a TrainingJob ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "annotation"), [("approve", names.APPROVED_ANNOTATION), ("reject", names.REJECTED_ANNOTATION)]
)
def test_a_run_is_decided_on_by_its_mlflow_id_while_it_waits(action: str, annotation: str) -> None:
    waiting = body("TrainingJob", approval={"state": "Awaiting", "mlflowRunId": "abc123"})
    decided = body("TrainingJob", approval={"state": "Approved", "mlflowRunId": "abc123"})

    assert offered(waiting)[action]
    written = annotated(waiting, action)
    assert is_about(written.pop(names.DECIDED_ANNOTATION), f"{annotation.removeprefix('tandem.dev/')} abc123")
    assert written == {annotation: "abc123", names.DECIDED_BY_ANNOTATION: "argocd"}
    for other in (decided, body("TrainingJob")):
        assert not offered(other)[action]
        assert annotated(other, action) == {}


def test_a_run_can_be_asked_for_at_any_time() -> None:
    assert offered(body("TrainingJob")) == {"approve": False, "reject": False, "retry": True}


# --- the two forms ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_argocd_cm_has_the_scripts_of_the_folders(kind: str) -> None:
    """Otherwise: python -m checks.argocd"""
    text = target(kind).read_text()
    assert text == assembled(kind)

    actions = yaml.safe_load(text)
    folder = SCRIPTS / kind / "actions"
    assert actions["discovery.lua"] == (folder / "discovery.lua").read_text()
    found = {one["name"]: one["action.lua"] for one in actions["definitions"]}
    assert found == {path.parent.name: path.read_text() for path in folder.glob("*/action.lua")}


@pytest.mark.parametrize("kind", KINDS)
def test_every_button_has_its_script(kind: str) -> None:
    assert {path.parent.name for path in (SCRIPTS / kind / "actions").glob("*/action.lua")} == offered(
        body(kind)
    ).keys()


def test_the_sandbox_is_as_poor_as_argocds() -> None:
    """Scripts that pass here pass there: no string, math, io or debug, and no methods on strings."""
    with pytest.raises(LuaError, match="attempt to index a string value"):
        run('return ("x"):find("x")', {})
    missing = run(
        "return {a = string == nil, b = math == nil, c = io == nil, d = debug == nil, e = os.execute == nil}", {}
    )
    assert set(missing.values()) == {True}
