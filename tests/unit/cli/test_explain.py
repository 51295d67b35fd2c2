"""What a person is told of a resource: what it waits for, since when, and which command moves it.

The statuses are those of the plans themselves where they have a story for it, written by hand where they have not.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from tandem.api import names
from tandem.api.appdeployment import AppDeployment
from tandem.api.meta import Json
from tandem.api.trainingjob import TrainingJob
from tandem.cli.explain import duration, explain, moves
from tandem.cli.look import settled
from tests.unit.apps.deployments import CRASH
from tests.unit.apps.world import World, app

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
SINCE = "2026-03-01T12:00:00Z"


def condition(type_: str, status: str, reason: str, message: str = "", since: str = SINCE) -> Json:
    told = {"type": type_, "status": status, "reason": reason, "message": message or f"{type_} says {reason}"}
    return {**told, "lastTransitionTime": since, "observedGeneration": 1}


def shop(*conditions: Json, spec: Json | None = None, annotations: Json | None = None, **status: Any) -> AppDeployment:
    meta = {"name": "shop", "namespace": "team", "generation": 1, "annotations": annotations or {}}
    told = {"observedGeneration": 1, "conditions": conditions, **status}
    return msgspec.convert(
        {"metadata": meta, "spec": {"image": "shop:1", **(spec or {})}, "status": told}, AppDeployment
    )


def iris(*conditions: Json, spec: Json | None = None, **status: Any) -> TrainingJob:
    meta = {"name": "iris", "namespace": "team", "generation": 1}
    steps = {"steps": [{"name": "train", "command": ["python"]}], **(spec or {})}
    told = {"observedGeneration": 1, "conditions": conditions, **status}
    return msgspec.convert({"metadata": meta, "spec": steps, "status": told}, TrainingJob)


WORKING = (condition("Ready", "Unknown", "Progressing"), condition("Reconciling", "True", "Progressing"))
FAILED = (condition("Ready", "False", "NotReady"), condition("Stalled", "True", "NotReady"))
CANDIDATE: Json = {"revision": 5, "digest": "d", "image": "shop:2"}
STABLE: Json = {"revision": 4, "digest": "d", "image": "shop:1"}
UNDECIDED = (
    condition("Ready", "Unknown", "AnalysisInconclusive"),
    condition("RolledOut", "Unknown", "AnalysisInconclusive", since="2026-03-01T11:00:00Z"),
)
WATCHED = (condition("Ready", "Unknown", "Watching"), condition("RolledOut", "Unknown", "Watching"))
LEAVING: Json = {"revision": 3, "digest": "d", "image": "shop:0", "state": "Retired"}


def verbs(resource: AppDeployment | TrainingJob) -> list[str]:
    """What comes after `kubectl tandem -n team`."""
    return [move.command.removeprefix("kubectl tandem -n team ") for move in moves(resource, NOW)]


# --- which command moves it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (shop(condition("Ready", "True", "Serving")), []),
        (shop(*WORKING, candidate=CANDIDATE), ["pause appd/shop", "promote appd/shop", "abort appd/shop"]),
        (
            shop(*WORKING, candidate=CANDIDATE, annotations={names.PAUSE_ANNOTATION: "5"}),
            ["resume appd/shop", "promote appd/shop", "abort appd/shop"],
        ),
        (
            shop(*WORKING, candidate=CANDIDATE, approval={"revision": 5, "step": "2", "state": "Awaiting"}),
            ["approve appd/shop", "pause appd/shop", "promote appd/shop", "abort appd/shop"],
        ),
        (shop(*WORKING, approval={"revision": 5, "step": "2", "state": "Approved"}), []),
        (shop(*FAILED), ["retry appd/shop"]),
        (
            shop(*UNDECIDED, candidate=CANDIDATE),
            ["retry appd/shop", "pause appd/shop", "promote appd/shop", "abort appd/shop"],
        ),
        (shop(*WATCHED, stable=STABLE), ["abort appd/shop"]),
        (shop(stable=STABLE, revisions=[{**LEAVING, "retireAt": "2026-03-01T12:30:01Z"}]), ["abort appd/shop"]),
        (shop(stable=STABLE, revisions=[{**LEAVING, "retireAt": "2026-03-01T12:30:00Z"}]), []),
        (shop(spec={"rollback": {"toRevision": 3}}), ["rollback appd/shop --release"]),
        (iris(condition("Ready", "True", "Complete")), []),
        (iris(*FAILED), ["retry tj/iris"]),
        (
            iris(approval={"model": "iris", "alias": "champion", "mlflowRunId": "abc", "state": "Awaiting"}),
            ["approve tj/iris", "reject tj/iris"],
        ),
    ],
    ids=[
        *("app serves", "candidate", "paused", "step waits", "step was approved", "app failed", "no verdict"),
        *("watched", "watched by default", "watched no more", "rolled back"),
        *("trained", "training failed", "model waits"),
    ],
)
def test_the_commands_that_move_it_the_likeliest_first(given: AppDeployment | TrainingJob, expected: list[str]) -> None:
    assert verbs(given) == expected


@pytest.mark.parametrize("given", [shop(spec={"suspend": True}), iris(spec={"suspend": True})], ids=["app", "training"])
def test_what_is_suspended_is_moved_in_the_spec(given: AppDeployment | TrainingJob) -> None:
    assert verbs(given) == ["spec.suspend: false"]


# --- what it waits for, since when -----------------------------------------------------------------------------------


def test_a_rollout_that_waits_for_a_person() -> None:
    given = shop(
        *WORKING,
        condition("RolledOut", "Unknown", "Progressing", "Ready says Progressing"),
        phase="Progressing",
        stable={"revision": 4, "digest": "d", "image": "shop:1", "trafficPercent": 80},
        candidate={**CANDIDATE, "commit": "9fceb02d0ae598e95dc970b74767f19372d61af8", "trafficPercent": 20},
        approval={"revision": 5, "step": "2", "state": "Awaiting", "lastTransitionTime": "2026-03-01T12:10:00Z"},
        explain="step 2 of revision 5 waits for an approval",
    )

    assert explain(given, NOW) == [
        "AppDeployment team/shop: Progressing",
        "  serves:    revision 4 (image shop:1), 80 % of the traffic",
        "  candidate: revision 5 (image shop:2, commit 9fceb02d0ae5), 20 % of the traffic",
        "  waits for: step 2 of revision 5 waits for an approval",
        "  since:     2026-03-01 12:10:00Z, 20m (Progressing)",
        "  next:      kubectl tandem -n team approve appd/shop   # step 2 of revision 5",
        "             kubectl tandem -n team pause appd/shop   # revision 5 stays where it is",
        "             kubectl tandem -n team promote appd/shop   # revision 5 takes all the traffic now",
        "             kubectl tandem -n team abort appd/shop   # revision 5 is given up",
    ]


JUDGED: Json = {"revision": 5, "moment": "step-2", "startTime": "2026-03-01T12:29:15Z", "jobName": "shop-0123456789"}


def test_a_judgement_that_goes_on_says_what_is_measured_until_when_and_where_each_measurement_is() -> None:
    goes_on = "errors is measured since 12:29:20Z, until 12:34:20Z if its source answers"
    given = shop(
        condition("Ready", "Unknown", "AnalysisRunning"),
        condition("RolledOut", "Unknown", "AnalysisRunning", since="2026-03-01T11:00:00Z"),
        phase="Progressing",
        stable=STABLE,
        candidate=CANDIDATE,
        analysis={**JUDGED, "phase": "Running", "message": goes_on},
        explain="step 2 of 3 (50 %) of revision 5 is judged",
    )
    assert explain(given, NOW)[:8] == [
        "AppDeployment team/shop: Progressing",
        "  serves:    revision 4 (image shop:1)",
        "  candidate: revision 5 (image shop:2)",
        "  judgement: step-2 of revision 5: Running, since 2026-03-01 12:29:15Z, 45s",
        f"             {goes_on}",
        "             kubectl -n team logs job/shop-0123456789 --all-containers   # each measurement",
        "  waits for: step 2 of 3 (50 %) of revision 5 is judged",
        "  since:     2026-03-01 12:29:15Z, 45s (AnalysisRunning)",
    ]


def test_a_judgement_without_a_verdict_says_what_each_metric_came_to() -> None:
    metrics = [
        {"name": "errors", "phase": "Inconclusive", "message": "no data (0 requests, of at least 1)"},
        {"name": "smoke", "phase": "Failed", "message": "exited with code 1", "dryRun": True},
    ]
    given = shop(*UNDECIDED, candidate=CANDIDATE, analysis={**JUDGED, "phase": "Inconclusive", "metrics": metrics})
    told = explain(given, NOW)
    assert "             errors: Inconclusive, no data (0 requests, of at least 1)" in told
    assert "             smoke (dry run): Failed, exited with code 1" in told
    assert "  since:     2026-03-01 12:29:15Z, 45s (AnalysisInconclusive)" in told
    assert "  next:      kubectl tandem -n team retry appd/shop   # it is judged once more" in told


@pytest.mark.parametrize(
    ("decision", "line"),
    [
        ({"verb": "Paused", "by": "anna"}, "revision 5: Paused by anna"),
        ({"verb": "Approved", "step": "2", "by": "anna"}, "revision 5, step 2: Approved by anna"),
        ({"verb": "Approved", "step": "promotion"}, "revision 5, the promotion: Approved"),
        (
            {"verb": "Aborted", "by": "anna", "why": "errors", "time": "2026-03-01T12:10:00Z"},
            "revision 5: Aborted by anna, 20m ago: errors",
        ),
    ],
)
def test_what_a_person_has_said_last_is_told(decision: Json, line: str) -> None:
    records = [{"revision": 5}, {"revision": 4}]
    given = shop(*WORKING, candidate=CANDIDATE, revisions=records, decisions=[{"revision": 5, **decision}])
    assert f"  decided:   {line}" in explain(given, NOW)


def test_what_was_said_of_an_older_revision_is_told_no_more() -> None:
    said = [{"revision": 4, "verb": "Aborted"}]
    given = shop(*WORKING, candidate=CANDIDATE, revisions=[{"revision": 5}, {"revision": 4}], decisions=said)
    assert not any("decided" in line for line in explain(given, NOW))


def test_a_judgement_is_not_told_of_what_serves() -> None:
    given = shop(
        condition("Ready", "True", "Serving"),
        condition("RolledOut", "True", "RolledOut"),
        analysis={**JUDGED, "phase": "Successful"},
    )
    assert not any("judgement" in line for line in explain(given, NOW))


def test_what_is_well_is_told_in_a_few_lines() -> None:
    world = app("shop:1").converge()

    told = explain(world.app, world.now + timedelta(hours=3, minutes=20))

    assert told == [
        "AppDeployment team/shop: Healthy",
        "  serves:    revision 1 (image shop:1)",
        "  delivery:  1 in 30 days, 0% failed",
        "  says:      revision 1 (image shop:1) takes all the traffic",
        told[4],
    ]
    assert told[4].startswith("  since:     2026-03-01 12:00:00Z, 3h20m (")


def test_the_four_figures_of_delivery_are_one_line() -> None:
    event = {"time": SINCE, "type": "Promoted", "revision": 1}
    figures = {"deployments30d": 12, "leadTimeP50Seconds": 4800, "changeFailureRate": "0.083"}
    given = shop(delivery={**figures, "timeToRestoreP50Seconds": 720, "history": [event]})

    assert "  delivery:  12 in 30 days, lead time 1h20m, 8% failed, restored in 12m" in explain(given, NOW)


def test_what_failed_says_why_and_that_users_are_served() -> None:
    world = World({"image": "shop:1", "progressDeadlineSeconds": 60}, behaviour={"shop:2": CRASH}).converge()
    world.change(image="shop:2")
    world.converge()

    text = "\n".join(explain(world.app, world.now))

    assert "AppDeployment team/shop: Degraded" in text
    assert "serves:    revision 1" in text
    assert "failed:    revision 2 was not ready within 60 seconds" in text
    assert "next:      kubectl tandem -n team retry appd/shop" in text


def test_a_spec_that_nobody_has_looked_at_waits_for_the_operator() -> None:
    """Whatever the conditions say, they say it of another spec."""
    world = app("shop:1").converge()
    world.change(image="shop:2")

    told = explain(world.app, world.now)

    assert told[0] == "AppDeployment team/shop: not looked at yet"
    assert told[1] == "  waits for: the operator, to look at generation 2 of the spec"


def test_a_run_that_goes_on() -> None:
    given = iris(
        *WORKING,
        phase="Running",
        run={
            **{"number": 3, "trigger": {"type": "Schedule"}, "specDigest": "d", "step": "train"},
            "progress": {"percentage": 40},
        },
    )

    assert explain(given, NOW)[:3] == [
        "TrainingJob team/iris: Running",
        "  run:       3 (Schedule, step train, 40 %)",
        "  waits for: Ready says Progressing",
    ]


def test_of_the_conditions_only_what_is_not_as_it_should_be_is_told() -> None:
    given = iris(
        condition("Ready", "True", "Complete"),
        condition("Complete", "True", "Complete"),
        condition("Failed", "False", "Complete"),
        condition("Drifted", "True", "Drifted", "accuracy fell"),
        condition("Promoted", "Unknown", "NoGate", "nothing is promoted"),
    )

    also = [line for line in explain(given, NOW) if line.startswith("  also:")]

    assert also == [
        "  also:      Drifted is True (Drifted): accuracy fell",
        "  also:      Promoted is Unknown (NoGate): nothing is promoted",
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0s"), (0, "0s"), (45, "45s"), (60, "1m"), (3599, "59m"), (3600, "1h0m"), (12000, "3h20m"), (446400, "5d4h")],
)
def test_a_duration_is_written_as_kubectl_writes_an_age(seconds: int, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text


# --- the end of a wait -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (shop(condition("Ready", "True", "Serving")), 0),
        (shop(*FAILED), 1),
        (shop(*WORKING), None),
        (shop(condition("Ready", "Unknown", "AwaitingApproval")), None),
        (shop(), None),
        (shop(condition("Ready", "True", "Serving"), observedGeneration=0), None),
        (shop(*FAILED, observedGeneration=0), None),
        (iris(condition("Ready", "True", "Complete")), 0),
        (iris(*FAILED), 1),
    ],
    ids=["ready", "failed", "working", "asked", "no word", "ready before", "failed before", "trained", "run failed"],
)
def test_a_wait_ends_with_what_is_true_of_the_spec_as_it_is_now(
    given: AppDeployment | TrainingJob, code: int | None
) -> None:
    assert settled(given) == code
