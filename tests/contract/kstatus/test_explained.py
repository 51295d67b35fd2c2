"""`kubectl tandem status` of every state: what it waits for, since when, and which command moves it."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta

import msgspec

from tandem.api import names
from tandem.api.appdeployment import AppDeployment
from tandem.api.meta import Json
from tandem.api.trainingjob import TrainingJob
from tandem.cli.explain import explain
from tests.argocd import health
from tests.contract.crds.resources import SMALLEST
from tests.contract.kstatus.recording import Recordings

NOW = datetime(2026, 12, 31, tzinfo=UTC)


def test_every_state_that_is_not_well_says_what_for_and_since_when(recordings: Recordings) -> None:
    seen = [body for body in recordings if is_seen(body) and reason(body, "Ready", "True") == ""]

    assert len(seen) > 100, "nothing records any more"
    for body in seen:
        lines = explained(body)
        heading = "  failed:" if reason(body, "Stalled", "True") else "  waits for:"
        assert [line for line in lines if line.startswith(heading) and line.split(": ", 1)[1].strip()], lines
        assert [line for line in lines if line.startswith("  since:     20")], lines


def test_whoever_is_asked_is_told_a_command(recordings: Recordings) -> None:
    asked = [body for body in recordings if is_seen(body) and health(body)["status"] in {"Suspended", "Degraded"}]

    assert len(asked) > 50, "nothing records any more"
    told = [explained(body) for body in asked]
    assert [lines for lines in told if not any(line.startswith("  next:") for line in lines)] == []


def test_what_nobody_has_looked_at_yet_waits_for_the_operator(recordings: Recordings) -> None:
    for body in recordings:
        changed = deepcopy(body)
        changed["metadata"]["generation"] += 1
        assert any("the operator, to look at generation" in line for line in explained(changed))


def explained(body: Json) -> list[str]:
    """With the spec and the annotations that belong to the status: recordings have the status alone."""
    whole = deepcopy(body)
    whole["spec"] = dict(SMALLEST[body["kind"]])
    whole["metadata"] |= {"namespace": "team", "annotations": {}}
    held = reason(body, "Ready", "Unknown")
    if held == "Suspended" or body["status"].get("phase") in {"Suspended", "Paused"}:
        whole["spec"]["suspend"] = held != "Paused"
    if held == "Paused":
        whole["metadata"]["annotations"][names.PAUSE_ANNOTATION] = str(body["status"]["candidate"]["revision"])
    kind: type[AppDeployment | TrainingJob] = AppDeployment if body["kind"] == names.APP_DEPLOYMENT else TrainingJob
    return explain(msgspec.convert(whole, kind), NOW + timedelta(days=1))


def is_seen(body: Json) -> bool:
    return bool(body["status"]["observedGeneration"] == body["metadata"]["generation"])


def reason(body: Json, type_: str, status: str) -> str:
    found = (c for c in body["status"]["conditions"] if c["type"] == type_ and c["status"] == status)
    return next((str(c["reason"]) for c in found), "")
