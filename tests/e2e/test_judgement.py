"""Judgements on real pods (`judged.py`): what a revision's own pods do decides who serves, and nothing else does."""

from __future__ import annotations

import pytest

from demo.kubectl import Json, condition, is_true
from tandem.cli.app import run
from tests.e2e import judged as scenarios
from tests.e2e.judged import CANARY, EVICTED, FIRST, HELD, LAPSED, PLAIN, WATCHED, Judged

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def reasons(judged: Judged, app: str) -> list[str]:
    """Of RolledOut, in the order in which they were first there."""
    return list(dict.fromkeys(condition({"status": status}, "RolledOut")["reason"] for status in judged.statuses(app)))


def message(judged: Judged, app: str, reason: str) -> str:
    """Of the first RolledOut with this reason."""
    told = (condition({"status": status}, "RolledOut") for status in judged.statuses(app))
    found: str = next(one["message"] for one in told if one["reason"] == reason)
    return found


def record(app: Json, revision: int) -> Json:
    found: Json = next(one for one in app["status"]["revisions"] if one["revision"] == revision)
    return found


def metrics(analysis: Json) -> dict[str, Json]:
    return {metric["name"]: metric for metric in analysis["metrics"]}


# --- Before it has all the traffic -----------------------------------------------------------------------------------


def test_the_first_revision_is_judged_before_anybody_is_sent_to_it(judged: Judged) -> None:
    judged.end(CANARY)
    before = [status for status in judged.statuses(CANARY) if "stable" not in status]
    assert {status["analysis"]["phase"] for status in before if "analysis" in status} >= {"Running"}
    verdicts = [status["analysis"] for status in judged.statuses(CANARY) if "analysis" in status]
    passed = next(one for one in verdicts if one["phase"] == "Successful")
    assert (passed["revision"], passed["moment"]) == (1, "promotion")
    assert {name: one["phase"] for name, one in metrics(passed).items()} == {
        "asked": "Successful",
        "errors": "Successful",
    }


def test_a_first_revision_that_fails_never_gets_traffic(judged: Judged) -> None:
    app = judged.end(FIRST)
    assert condition(app, "RolledOut")["reason"] == "AnalysisFailed"
    assert condition(app, "Available")["reason"] == "NothingServes"
    assert all("stable" not in status for status in judged.statuses(FIRST))
    assert judged.diary.versions(f"services/{FIRST}") == [], "without a Service there is nothing to be sent through"


def test_a_canary_whose_own_pods_count_errors_is_rolled_back_by_itself(judged: Judged) -> None:
    judged.end(CANARY)
    failed = next(s for s in judged.statuses(CANARY) if condition({"status": s}, "RolledOut")["status"] == "False")
    told = condition({"status": failed}, "RolledOut")
    assert told["reason"] == "AnalysisFailed"
    assert "step 1 of 1 (50 %) of revision 2" in told["message"]
    assert "is above max 0.01" in told["message"]
    found = metrics(failed["analysis"])["errors"]
    assert found["phase"] == "Failed"
    assert 0.3 < float(found["value"]) < 0.7
    assert failed["analysis"]["jobName"] in judged.kubectl.names("jobs"), "its log is there"


def test_the_old_revision_serves_all_along_and_nobody_is_left_without_an_answer(judged: Judged) -> None:
    judged.end(CANARY), judged.end(WATCHED)
    while_bad = [status for status in judged.statuses(CANARY) if record({"status": status}, 1) and _tries(status, 2)]
    assert while_bad
    assert {status["stable"]["revision"] for status in while_bad} == {1}
    revisions = [s["spec"]["selector"].get("tandem.dev/revision") for s in judged.diary.versions(f"services/{CANARY}")]
    # Alone, with half of it for a bad one, alone again, with half of it for a good one; then that one alone.
    assert [one for one, before in zip(revisions, [None, *revisions], strict=False) if one != before] == [
        *("1", None, "1", None, "3"),
    ]
    assert judged.unanswered() == []


def test_a_good_canary_takes_all_the_traffic(judged: Judged) -> None:
    app = judged.end(CANARY)
    assert (scenarios.serving(app), record(app, 2)["state"], record(app, 2)["reason"]) == (
        3,
        "Failed",
        "AnalysisFailed",
    )
    verdicts = [status["analysis"] for status in judged.statuses(CANARY) if "analysis" in status]
    moments = [verdict["moment"] for verdict in verdicts if verdict["revision"] == 3]
    assert list(dict.fromkeys(moments)) == ["step-1", "promotion"]
    assert app["status"]["analysis"]["phase"] == "Successful"


def test_its_pods_are_nobodys_but_the_judgements(judged: Judged) -> None:
    """No Service selects them, and /scale knows those that serve."""
    app = judged.end(CANARY)
    assert app["status"]["replicas"] == 1
    pods = [pod for pod in judged.diary.all("pods") if scenarios.judges(pod, CANARY)]
    assert pods
    assert all("tandem.dev/revision" not in pod["metadata"]["labels"] for pod in pods)


# --- After it --------------------------------------------------------------------------------------------------------


def test_errors_that_users_get_after_the_switch_give_the_traffic_back(judged: Judged) -> None:
    app = judged.end(WATCHED)
    assert [s for s in _served(judged, WATCHED) if s] == [1, 2, 1]
    assert {"Watching", "AnalysisFailed"} <= set(reasons(judged, WATCHED))
    assert "was judged to have failed after it had taken the traffic" in condition(app, "RolledOut")["message"]
    assert app["status"]["analysis"]["moment"] == "watch"
    assert is_true(app, "Available")


# --- Without anything that counts: the kubelet alone -----------------------------------------------------------------


def test_a_canary_that_crashes_at_its_step_is_rolled_back(judged: Judged) -> None:
    app = judged.end(PLAIN)
    crashed = record(app, 2)
    assert (crashed["state"], crashed["reason"]) == ("Failed", "CrashLoopBackOff")
    told = message(judged, PLAIN, "CrashLoopBackOff")
    assert "revision 2 failed after it had been ready: the container exited with code 3" in told


def test_a_canary_that_is_not_ready_any_more_is_rolled_back(judged: Judged) -> None:
    app = judged.end(PLAIN)
    sick = record(app, 3)
    assert (sick["state"], sick["reason"]) == ("Failed", "NotReady")
    assert "its readiness probe has not passed" in message(judged, PLAIN, "NotReady")
    assert [s for s in _served(judged, PLAIN) if s] == [1], "what served has served all along"


def test_one_that_is_not_ready_any_more_after_the_switch_gives_the_traffic_back(judged: Judged) -> None:
    """By default: nobody has asked for a watch, or for anything."""
    app = judged.end(LAPSED)
    assert [s for s in _served(judged, LAPSED) if s] == [1, 2, 1]
    assert (record(app, 2)["reason"], is_true(app, "Available")) == ("NotReady", True)


# --- Faults that are not the app's -----------------------------------------------------------------------------------


def test_a_judgement_that_is_drained_is_made_again_and_counts_for_nothing(judged: Judged) -> None:
    """Its container says that the app is bad, as it would if it were: with exit code 1."""
    app = judged.end(EVICTED)
    assert scenarios.serving(app) == 1
    assert "Failed" not in {status["analysis"]["phase"] for status in judged.statuses(EVICTED) if "analysis" in status}
    pods = {pod["metadata"]["name"] for pod in judged.diary.all("pods") if scenarios.judges(pod, EVICTED)}
    assert len(pods) == 2
    assert app["status"]["analysis"]["phase"] == "Successful"


def test_what_nobody_can_judge_waits_for_a_person_and_says_so(
    judged: Judged, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = judged.end(HELD)
    found = metrics(app["status"]["analysis"])
    assert {name: one["phase"] for name, one in found.items()} == {
        "away": "Inconclusive",
        "silent": "Inconclusive",
        "passed": "Successful",
        "dry": "Failed",
    }
    assert "could not be measured: http://prometheus.nowhere" in found["away"]["message"]
    assert "no data (0 requests, of at least 2)" in found["silent"]["message"]
    assert (scenarios.serving(app), app["status"]["phase"]) == (None, "Paused")

    option = next(word for word in judged.kubectl.command if word.startswith("--kubeconfig="))
    monkeypatch.setenv("KUBECONFIG", option.partition("=")[2])
    assert _tandem("status", HELD, judged) == 0
    told = capsys.readouterr().out
    assert "no verdict: analysis of promotion is inconclusive: away: could not be measured" in told
    for verb in ("retry", "promote", "abort"):
        assert f"kubectl tandem -n {judged.kubectl.namespace} {verb} appd/{HELD}" in told

    assert _tandem("promote", HELD, judged) == 0
    judged.kubectl.wait_for(f"appdeployment/{HELD}", "condition=Ready")


def _tandem(verb: str, app: str, judged: Judged) -> int:
    return run([verb, app, "--namespace", judged.kubectl.namespace])


def _tries(status: Json, revision: int) -> bool:
    return bool(status.get("candidate", {}).get("revision") == revision)


def _served(judged: Judged, app: str) -> list[int | None]:
    """Who had the traffic, one after the other."""
    told = [status.get("stable", {}).get("revision") for status in judged.statuses(app)]
    return [now for now, before in zip(told, [None, *told], strict=False) if now != before]
