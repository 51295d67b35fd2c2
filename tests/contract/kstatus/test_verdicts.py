"""Every state of both kinds, as kstatus judges it: what Flux waits for, and Helm, and whoever asks `kstatus`.

The rules are those of docs/spec/status.md; the judge is the real library.
"""

from __future__ import annotations

import re
from collections import defaultdict
from copy import deepcopy

import pytest

from tandem.api.meta import Json
from tests.contract.api_server import ApiServer
from tests.contract.crds.resources import resource
from tests.contract.kstatus.kstatus import verdicts
from tests.contract.kstatus.recording import Recordings, recorded
from tests.crds import KINDS, ROOT
from tests.reasons import refusals_of_mlflow, told_in_conditions

PAGE = ROOT / "docs/spec/status.md"

# Successes of steps that the next step under the same condition always has more to say than.
NEVER_TOLD = {"RunTracked", "OriginalFound"}


def condition(body: Json, type_: str) -> str:
    return next((str(c["status"]) for c in body["status"]["conditions"] if c["type"] == type_), "")


def expected(body: Json) -> str:
    if body["status"]["observedGeneration"] != body["metadata"]["generation"]:
        return "InProgress"
    if condition(body, "Ready") == "True":
        return "Current"
    return "Failed" if condition(body, "Stalled") == "True" else "InProgress"


def test_every_state_has_the_verdict_that_ready_and_stalled_give_it(recordings: Recordings) -> None:
    judged = verdicts(recordings)

    assert len(recordings) > 100, "nothing records any more"
    wrong = [(body, v) for body, v in zip(recordings, judged, strict=True) if v.status != expected(body)]
    assert wrong == []


def test_the_page_says_of_each_phase_what_becomes_of_it(recordings: Recordings) -> None:
    """Exactly: a verdict that is on the page has been recorded, one that was recorded is on the page."""
    found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for body, verdict in zip(recordings, verdicts(recordings), strict=True):
        if body["status"]["observedGeneration"] == body["metadata"]["generation"]:
            found[body["kind"], body["status"].get("phase", "none")].add(verdict.status)

    rows = re.findall(r"^\| (\w+) \| `?(\w+)`? \| ([\w, ]+) \|", PAGE.read_text(), re.MULTILINE)
    said = {(kind, phase): set(those.split(", ")) for kind, phase, those in rows if kind in KINDS}
    assert said == dict(found)


@pytest.mark.parametrize(("kind", "package"), [("TrainingJob", "training"), ("AppDeployment", "apps")])
def test_no_reason_of_the_code_was_left_out(recordings: Recordings, kind: str, package: str) -> None:
    """A reason that is missing here has no story in tests/unit/training or tests/unit/apps yet: write it there."""
    told = {c["reason"] for body in recordings if body["kind"] == kind for c in body["status"]["conditions"]}

    assert told_in_conditions(package) - NEVER_TOLD - told == set()


def test_no_refusal_of_mlflow_was_left_out(recordings: Recordings) -> None:
    told = {c["reason"] for body in recordings for c in body["status"]["conditions"]}

    assert refusals_of_mlflow() - told == set()


def test_a_change_that_nobody_has_seen_yet_is_in_progress_whatever_was_told_before(recordings: Recordings) -> None:
    behind = [deepcopy(body) for body in recordings]
    for body in behind:
        body["metadata"]["generation"] += 1

    assert {verdict.status for verdict in verdicts(behind)} == {"InProgress"}


def test_what_is_being_deleted_is_terminating_whatever_was_told_before(recordings: Recordings) -> None:
    going = [deepcopy(body) for body in recordings]
    for body in going:
        body["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"

    assert {verdict.status for verdict in verdicts(going)} == {"Terminating"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_just_created_is_in_progress_before_anybody_has_looked(
    api_server: ApiServer, namespace: str, kind: str
) -> None:
    """Else a tool that waits would take it for done: kstatus calls current whatever has no status."""
    created = api_server.create(resource(kind, namespace))

    (verdict,) = verdicts([created])

    assert verdict.status == "InProgress"
    assert verdict.message == f"{kind} generation is 1, but latest observed generation is -1"


def test_the_api_server_keeps_every_status_as_it_is_and_the_verdict_with_it(
    api_server: ApiServer, namespace: str, recordings: Recordings
) -> None:
    given = [deepcopy(body) for body in recordings]
    kept = []
    for number, body in enumerate(given):
        status = body["status"]
        created = api_server.create(resource(body["kind"], namespace, f"state-{number}"))
        for told in (status, *status["conditions"]):
            told["observedGeneration"] = 1
        kept.append(api_server.merge(created, {"status": status}, "/status"))

    assert [body["status"] for body in kept] == [body["status"] for body in given]
    as_new = [recorded(body["kind"], 1, body["status"]) for body in given]
    assert [v.status for v in verdicts(kept)] == [v.status for v in verdicts(as_new)]


def test_the_judge_sees_a_status_that_breaks_the_contract() -> None:
    """It would be no judge otherwise."""
    text = recorded("TrainingJob", 1, {"observedGeneration": "1"})
    phase_alone = recorded("TrainingJob", 1, {"phase": "Failed"})

    judged = verdicts([text, phase_alone])

    assert [verdict.status for verdict in judged] == ["Unknown", "Current"]
    assert "expected int64" in judged[0].message
