"""What the screen shows of a snapshot."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from demo.state import ChapterLine, Snapshot
from demo.view import EVENTS, answers, duration, failures, screen, short
from demo.visitor import Tally
from tests.unit.demo.given import WEB, after, app, event, snapshot, training_job


def shown(state: Snapshot, seconds: float = 0, width: int = 160) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    with console.capture() as capture:
        console.print(screen(state, after(seconds)))
    return capture.get().splitlines()


def line_with(lines: list[str], word: str) -> list[str]:
    [found] = [line for line in lines if word in line]
    return found.split()


def test_the_title_says_where_and_since_when() -> None:
    assert shown(snapshot(), 125)[0].split() == ["Tandem", "cluster", "tandem,", "namespace", "demo,", "2m05s"]


def test_every_chapter_has_a_mark_a_number_and_its_time() -> None:
    lines = shown(
        snapshot(
            ChapterLine("Trained", "done", after(0), after(40)),
            ChapterLine("Served", "failed", after(40), after(45)),
            ChapterLine("Visited", "now", after(45)),
            ChapterLine("Drifted"),
        ),
        seconds=52,
    )

    assert line_with(lines, "Trained") == ["✔", "1", "Trained", "40s"]
    assert line_with(lines, "Served") == ["✘", "2", "Served", "5s"]
    assert line_with(lines, "Visited") == ["▶", "3", "Visited", "7s"]
    assert line_with(lines, "Drifted") == ["·", "4", "Drifted"]


def test_the_command_that_runs_is_shown_and_that_of_a_finished_chapter_is_not() -> None:
    running = ChapterLine("Trained", "now", after(0), command="kubectl apply")

    assert "$ kubectl apply" in "\n".join(shown(snapshot(running)))
    assert "kubectl" not in "\n".join(shown(snapshot(replace(running, state="done"))))


def test_a_training_job_is_a_line_as_kubectl_prints_it_with_its_drift() -> None:
    lines = shown(replace(snapshot(), jobs={"iris": training_job()}))

    header = ["TRAININGJOB", "PHASE", "STEP", "RUN", "FIGURE", "MODEL", "REASON", "DRIFT"]
    assert line_with(lines, "TRAININGJOB") == header
    known = ["iris", "Running", "train", "2", "accuracy=0.9722", "1", "JobRunning"]
    assert line_with(lines, "JobRunning") == [*known, "accuracy", "0.71,", "3", "breaches", "(Drifted)"]


def test_an_app_shows_what_serves_and_what_is_tried() -> None:
    lines = shown(replace(snapshot(), apps={"iris": app(), "web": app(WEB)}))

    assert line_with(lines, "RollingOut") == ["iris", "Progressing", "1", "iris", "v1", "v2", "Unknown", "RollingOut"]
    assert line_with(lines, "ProbeFailed") == ["web", "Degraded", "2", "web:2", "False", "ProbeFailed"]


def test_a_resource_without_a_status_is_a_line_too() -> None:
    fresh = app({"metadata": {"name": "new"}, "spec": {"image": "web:1"}})

    assert line_with(shown(replace(snapshot(), apps={"new": fresh})), "new") == ["new"]


def test_visitors_show_answers_per_version_and_failures_with_their_cause() -> None:
    visitors = {"iris": Tally({"2": 7, "1": 412}, {}, 93), "web": Tally({"1": 3}, {"503": 2}, 5)}

    lines = shown(replace(snapshot(), visitors=visitors))

    assert line_with(lines, "412") == ["iris", "version", "1:", "412,", "version", "2:", "7", "0", "93", "ms"]
    assert line_with(lines, "503") == ["web", "version", "1:", "3", "2", "(2", "×", "503)", "5", "ms"]


def test_the_newest_events_are_shown_with_their_time() -> None:
    events = tuple(event(str(number), number, message=f"event {number}") for number in range(EVENTS + 2))

    text = "\n".join(shown(replace(snapshot(), events=events)))

    assert "event 1 " not in text + " "
    assert [f"event {number}" in text for number in range(2, EVENTS + 2)] == [True] * EVENTS


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_is_broken_however_narrow_the_terminal(width: int) -> None:
    state = replace(
        snapshot(ChapterLine("A title", "now", after(0), command="kubectl " + "x" * 300)),
        jobs={"iris": training_job()},
        apps={"iris": app(), "web": app(WEB)},
        visitors={"iris": Tally({"1": 1}, {}, 2)},
        events=(event("a", 1, message="m" * 400),),
    )

    lines = shown(state, width=width)

    assert max(len(line) for line in lines) <= width
    assert len(lines) <= 20


def test_on_a_narrow_terminal_it_is_the_message_that_is_cut() -> None:
    state = replace(snapshot(), events=(event("a", 61, message="m" * 400),))

    [line] = [line for line in shown(state, width=80) if "TrafficSwitched" in line]

    assert line.split()[:3] == ["1m01s", "appdeployment/iris", "TrafficSwitched"]
    assert line.endswith("m…")


def test_a_screen_in_which_everything_happens_fits_forty_lines() -> None:
    state = replace(
        snapshot(*(ChapterLine(f"chapter {number}") for number in range(9))),
        jobs={"iris": training_job()},
        apps={"iris": app(), "web": app(WEB)},
        visitors={"iris": Tally(), "web": Tally()},
        events=tuple(event(str(number), number) for number in range(50)),
    )

    assert len(shown(state)) <= 40


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0s"), (0, "0s"), (59.9, "59s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (7500, "2h05m")],
)
def test_a_duration_is_written_as_kubectl_writes_an_age(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("Registered=True: model iris version 1", "model iris version 1"),
        ("revision 2 (model iris version 2) starts", "revision 2 (model iris version 2) starts"),
        ("iris version 1 drifted: accuracy 0.7", "iris version 1 drifted: accuracy 0.7"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_a_message_loses_only_what_the_reason_says(message: str, text: str) -> None:
    assert short(message) == text


def test_nobody_answered_yet_is_said() -> None:
    assert answers(Tally()) == "none yet"
    assert failures(Tally()) == "0"
