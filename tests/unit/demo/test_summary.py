"""The end of the demonstration: what it tells, and when it is no success."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import replace

import pytest
from rich.console import Console

from demo.facts import Drifted, Lineage, Link, Prediction, Released, Served, Story, Trained, Watched
from demo.summary import commands, lineage, summary, turns, verdict
from demo.visitor import Tally
from tandem.api.trainingjob_status import RetrainRequest
from tests.unit.demo.given import WEB, after, app, event, snapshot, training_job

PREDICTION = Prediction(
    ("setosa",), {"x-model-name": "iris", "x-model-version": "2", "x-model-run-id": "3b92", "server": "uvicorn"}
)


def story(visitors: Mapping[str, Tally]) -> Story:
    trained = Trained(training_job(), {"challenger": "1"})
    served = Served(app(), {"champion": "1"}, PREDICTION)
    watched = Watched(training_job())
    return Story(
        trained=trained,
        served=served,
        healthy=watched,
        drifted=Drifted(watched, RetrainRequest(id="r", reason="low", requested_at=after(0)), trained),
        replaced=served,
        recovered=watched,
        released=Released(app(WEB), app(WEB), app(WEB)),
        lineage=Lineage(
            PREDICTION, {}, (Link("code", "git://host/r.git commit 1f8a"), Link("data", "iris sha256:77bb"))
        ),
        visitors=visitors,
    )


GOOD = {"iris": Tally({"1": 400, "2": 90}, {}, 80), "web": Tally({"1": 30, "2": 60}, {}, 9)}


def test_a_story_without_a_failed_request_is_a_success() -> None:
    assert verdict(story(GOOD)) == []


@pytest.mark.parametrize(
    ("visitors", "told"),
    [
        pytest.param({"iris": Tally({"1": 5}, {"503": 1}, 2)}, "iris: 1 (1 × 503) requests failed", id="one-failed"),
        pytest.param({"web": Tally({"broken": 1}, {}, 2)}, "web: the broken release answered requests", id="broken"),
    ],
)
def test_one_bad_answer_is_no_success(visitors: dict[str, Tally], told: str) -> None:
    assert verdict(story({**GOOD, **visitors})) == [told]


def test_the_summary_tells_what_happened_and_where_a_prediction_came_from() -> None:
    console = Console(width=160, file=io.StringIO())
    happened = replace(snapshot(), events=(event("a", 61, message="revision 1 (model iris version 1) serves"),))

    with console.capture() as capture:
        console.print(summary(story(GOOD), happened))
    text = capture.get()

    for told in (
        "1m01s  appdeployment/iris  TrafficSwitched  revision 1",
        "git://host/r.git commit 1f8a",
        "iris sha256:77bb",
        "version 1: 400, version 2: 90",
        "web serves web:2. ProbeFailed: revision 3 was not ready within 30 seconds",
    ):
        assert told in text


def test_a_digest_is_never_cut() -> None:
    digest = "sha256:" + "0123456789abcdef" * 4
    console = Console(width=60, file=io.StringIO())

    with console.capture() as capture:
        console.print(lineage(Lineage(PREDICTION, {}, (Link("data", digest),))))

    assert digest in "".join(capture.get().split())


def test_the_commands_reach_this_cluster_and_no_other() -> None:
    first, *others = commands("demo", ["/opt/kubectl", "--kubeconfig=/home/ann/config"])

    assert first == "alias kubectl='/opt/kubectl --kubeconfig=/home/ann/config'"
    assert any("port-forward service/mlflow" in line for line in others)
    assert any(line.startswith("make demo-down") for line in others)


def test_the_timeline_keeps_the_turns_of_the_story() -> None:
    events = [
        event("a", 1, "JobComplete"),
        event("b", 2, "VersionRegistered"),
        event("c", 3, "DriftDetected", by="tandem.dev/drift"),
        event("e", 5, "RetrainRequested"),
    ]

    assert [told.uid for told in turns(events)] == ["b", "c", "e"]


def test_a_prediction_reads_who_made_it_from_its_headers() -> None:
    assert (PREDICTION.model, PREDICTION.version, PREDICTION.run_id) == ("iris", "2", "3b92")
    assert Prediction((), {}).version == ""


def test_an_app_in_which_nothing_serves_yet_has_no_version() -> None:
    served = Served(app({"metadata": {"name": "new"}, "spec": {}}), {}, PREDICTION)

    assert served.version == ""
