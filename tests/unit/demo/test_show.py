"""The chapters on the board, and the lines that a log gets of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from demo.kubectl import Kubectl
from demo.mlflow import Mlflow
from demo.scene import Scene
from demo.show import Show, news
from demo.state import Board, ChapterLine
from demo.visitor import Tally
from tests.unit.demo.given import after, event, snapshot

TRUE = Kubectl(("true",), "demo")
CHAPTERS = (ChapterLine("Train"), ChapterLine("Serve"))


def show(board: Board) -> Show:
    times = clock()
    return Show(Scene(TRUE, Mlflow(TRUE)), board, lambda: after(next(times)))


def clock() -> Iterator[float]:
    yield from range(100)


def test_a_chapter_is_now_and_then_done() -> None:
    board = Board(snapshot(*CHAPTERS))

    with show(board).chapter("Train"):
        assert [line.state for line in board.snapshot.chapters] == ["now", "ahead"]

    assert board.snapshot.chapters[0] == ChapterLine("Train", "done", after(0), after(1))


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_chapter_that_does_not_end_well_is_failed_and_the_error_goes_on(error: type[BaseException]) -> None:
    board = Board(snapshot(*CHAPTERS))

    with pytest.raises(error), show(board).chapter("Train"):
        raise error

    assert [line.state for line in board.snapshot.chapters] == ["failed", "ahead"]


def test_a_command_of_the_scene_is_on_the_board_as_a_reader_would_type_it() -> None:
    board = Board(snapshot(*CHAPTERS))

    with show(board).chapter("Train") as scene:
        scene.do("apply", "--kustomize=examples/iris")

    assert board.snapshot.chapters[0].command == "kubectl -n demo apply --kustomize=examples/iris"


def test_a_log_hears_of_chapters_commands_events_and_failures_once() -> None:
    before = snapshot(*CHAPTERS)
    running = replace(CHAPTERS[0], state="now", begun=after(0), command="kubectl apply")
    later = replace(
        snapshot(running, CHAPTERS[1]),
        events=(event("a", 5, message="Registered=True: model iris version 1"),),
        visitors={"iris": Tally({"1": 5}, {"503": 1}, 3)},
    )

    assert news(before, later) == [
        "1. Train …",
        "   $ kubectl apply",
        "       5s appdeployment/iris TrafficSwitched: model iris version 1",
        "   visitor of iris: failed 1 (1 × 503)",
    ]
    assert news(later, later) == []


@pytest.mark.parametrize(("state", "word"), [("done", "done"), ("failed", "FAILED")])
def test_a_log_hears_how_a_chapter_ended(state: str, word: str) -> None:
    running = replace(CHAPTERS[0], state="now", begun=after(0))
    ended = snapshot(replace(running, state=state, ended=after(75)), CHAPTERS[1])  # type: ignore[arg-type]

    assert news(snapshot(running, CHAPTERS[1]), ended) == [f"1. Train: {word}, 1m15s"]


def test_events_from_before_the_story_are_no_news() -> None:
    assert news(snapshot(), replace(snapshot(), events=(event("old", -60),))) == []


def test_answers_are_no_news_in_a_log() -> None:
    assert news(snapshot(), replace(snapshot(), visitors={"iris": Tally({"1": 5}, {}, 3)})) == []
