"""The board: immutable snapshots, one after the other."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

from demo.state import KEPT_EVENTS, Board, ChapterLine
from tests.unit.demo.given import after, event, snapshot


def test_a_chapter_is_changed_by_its_title_and_the_others_stay() -> None:
    before = snapshot(ChapterLine("Train"), ChapterLine("Serve"))

    now = before.with_chapter("Serve", lambda line: replace(line, state="now"))

    assert [line.state for line in now.chapters] == ["ahead", "now"]
    assert [line.state for line in before.chapters] == ["ahead", "ahead"]


def test_a_chapters_time_runs_until_it_ends() -> None:
    assert ChapterLine("Train").seconds(after(9)) is None
    assert ChapterLine("Train", begun=after(2)).seconds(after(9)) == 7
    assert ChapterLine("Train", begun=after(2), ended=after(5)).seconds(after(9)) == 3


def test_events_are_kept_in_the_order_in_which_they_happened() -> None:
    told = snapshot().with_event(event("b", 2)).with_event(event("a", 1))

    assert [known.uid for known in told.events] == ["a", "b"]


def test_an_event_that_is_told_again_is_there_once() -> None:
    told = snapshot().with_event(event("a", 1)).with_event(event("a", 1, message="again"))

    assert [known.message for known in told.events] == ["again"]


def test_the_oldest_events_go_first_when_there_are_too_many() -> None:
    told = snapshot()
    for number in range(KEPT_EVENTS + 3):
        told = told.with_event(event(str(number), number))

    assert (told.events[0].uid, len(told.events)) == ("3", KEPT_EVENTS)


def test_answers_are_counted_per_app() -> None:
    line = json.dumps({"answered": {"1": 10}, "failed": {}, "slowest_ms": 4})

    told = snapshot().with_answer("iris", line).with_answer("web", line).with_answer("iris", line)

    assert {app: tally.answers for app, tally in told.visitors.items()} == {"iris": 20, "web": 10}


def test_who_waits_for_news_is_woken_by_it() -> None:
    board = Board(snapshot())
    seen = board.snapshot
    woken: list[object] = []
    waiter = threading.Thread(target=lambda: woken.append(board.after(seen, patience=30)))
    waiter.start()

    board.change(lambda now: now.with_event(event("a", 1)))
    waiter.join(30)

    assert woken == [board.snapshot]
    assert board.snapshot is not seen


def test_no_news_is_the_same_snapshot() -> None:
    board = Board(snapshot())

    assert board.after(board.snapshot, patience=0.01) is board.snapshot


def test_changes_from_many_threads_are_all_kept() -> None:
    board = Board(snapshot())

    def add(name: str) -> None:
        for number in range(25):
            board.change(lambda now, uid=f"{name}{number}": now.with_event(event(uid, 1)))  # type: ignore[misc]

    threads = [threading.Thread(target=add, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(board.snapshot.events) == 100
