"""Argo CD's judgement of every state of both kinds, beside that of kstatus: they say the same.

The states are recorded, the scripts run as Argo CD runs those of argocd-cm, and kstatus is the real library.
"""

from __future__ import annotations

from collections import Counter

from tandem.api.meta import Json
from tests.argocd import health
from tests.contract.kstatus.kstatus import verdicts
from tests.contract.kstatus.recording import Recordings

SAME = {"Current": {"Healthy"}, "Failed": {"Degraded"}, "InProgress": {"Progressing", "Suspended"}}


def test_argocd_and_kstatus_say_the_same_of_every_state(recordings: Recordings) -> None:
    found = [
        (body, verdict.status, health(body)) for body, verdict in zip(recordings, verdicts(recordings), strict=True)
    ]

    assert len(found) > 100, "nothing records any more"
    assert [(body, said) for body, status, said in found if said["status"] not in SAME[status]] == []
    assert Counter(said["status"] for _, _, said in found).keys() == {"Healthy", "Degraded", "Progressing", "Suspended"}


def test_a_message_is_there_for_every_state(recordings: Recordings) -> None:
    assert [body for body in recordings if not health(body)["message"]] == []


def test_suspended_is_what_a_person_holds_or_is_asked_for(recordings: Recordings) -> None:
    """A paused rollout must not look like one that goes on: Argo CD would wait for it without a word."""
    reasons = {ready(body)["reason"] for body in recordings if health(body)["status"] == "Suspended"}

    assert {"AwaitingApproval", "Suspended"} <= reasons
    assert "Progressing" not in reasons


def ready(body: Json) -> Json:
    return next(c for c in body["status"]["conditions"] if c["type"] == "Ready")
