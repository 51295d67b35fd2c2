"""From watches and logs to the board: kubectl's place is taken by a program that tells prepared lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.kubectl import Change, Json, Kubectl
from demo.readers import Readers, event_line, fold_app, fold_event, fold_job
from demo.state import Board, Snapshot
from tests.unit.demo.given import APP, BEGUN, TRAINING_JOB, after, snapshot

EVENT: Json = {
    "metadata": {"uid": "e1", "creationTimestamp": "2026-05-01T12:00:09Z"},
    "involvedObject": {"kind": "AppDeployment", "name": "iris"},
    "type": "Warning",
    "reason": "RevisionFailed",
    "message": "revision 3 was not ready",
    "reportingComponent": "tandem.dev/operator",
    "eventTime": "2026-05-01T12:00:07.500000Z",
}
VISITOR: Json = {"metadata": {"name": "visitor-iris"}, "status": {"phase": "Running"}}


def test_a_resource_appears_changes_and_goes() -> None:
    there = fold_job(snapshot(), Change("ADDED", TRAINING_JOB))
    changed = fold_job(there, Change("MODIFIED", {**TRAINING_JOB, "status": {"phase": "Complete"}}))
    gone = fold_job(changed, Change("DELETED", TRAINING_JOB))

    assert [there.jobs["iris"].status.phase, changed.jobs["iris"].status.phase] == ["Running", "Complete"]
    assert dict(gone.jobs) == {}


def test_apps_are_kept_beside_each_other() -> None:
    web = {**APP, "metadata": {"name": "web"}}

    there = fold_app(fold_app(snapshot(), Change("ADDED", APP)), Change("ADDED", web))

    assert set(there.apps) == {"iris", "web"}


def test_an_event_about_one_of_the_kinds_is_a_line() -> None:
    [line] = fold_event(snapshot(), Change("ADDED", EVENT)).events

    assert (line.at, line.warning, line.about) == (after(7.5), True, "appdeployment/iris")
    assert (line.reason, line.message) == ("RevisionFailed", "revision 3 was not ready")
    assert line.by == "tandem.dev/operator"


@pytest.mark.parametrize("kind", ["Pod", "Job", "Deployment"])
def test_events_of_their_children_are_left_out(kind: str) -> None:
    event = {**EVENT, "involvedObject": {"kind": kind, "name": "iris-1"}}

    assert event_line(event) is None
    assert fold_event(snapshot(), Change("ADDED", event)).events == ()


@pytest.mark.parametrize(
    ("missing", "seconds"), [((), 7.5), (("eventTime",), 8.0), (("eventTime", "lastTimestamp"), 9.0)]
)
def test_an_event_has_the_best_time_it_knows(missing: tuple[str, ...], seconds: float) -> None:
    event = {**EVENT, "lastTimestamp": "2026-05-01T12:00:08Z", **dict.fromkeys(missing)}
    line = event_line(event)

    assert line is not None
    assert line.at == after(seconds)


def test_an_event_that_expires_is_not_forgotten() -> None:
    told = fold_event(snapshot(), Change("ADDED", EVENT))

    assert fold_event(told, Change("DELETED", EVENT)).events == told.events


@contextmanager
def reading(folder: Path, told: dict[str, list[str]], then: str = "time.sleep(60)") -> Iterator[Board]:
    """Readers of a cluster in which ``kubectl get <kind>`` and ``kubectl logs <pod>`` tell these lines, and go on."""
    script = folder / "kubectl.py"
    script.write_text(
        f"import sys, time\ntold = {told!r}\n"
        "known = [word for word in sys.argv if word in told]\n"
        "[print(line, flush=True) for word in known for line in told[word]]\n" + then
    )
    board = Board(Snapshot("tandem", "demo", BEGUN, ()))
    readers = Readers(Kubectl((sys.executable, str(script)), "demo"), board)
    readers.start()
    try:
        yield board
    finally:
        readers.stop()


def until(board: Board, holds: str) -> Snapshot:
    """The first snapshot of which this is true, in words of python with ``s`` for the snapshot."""
    seen = board.snapshot
    for _ in range(200):
        if eval(holds, {"s": seen}):
            return seen
        seen = board.after(seen, patience=0.2)
    raise AssertionError(f"never: {holds}; last: {seen}")


def added(object_: Json) -> str:
    return json.dumps({"type": "ADDED", "object": object_})


def test_what_the_cluster_tells_is_on_the_board(tmp_path: Path) -> None:
    told = {"trainingjobs": [added(TRAINING_JOB)], "appdeployments": [added(APP)], "events": [added(EVENT)]}

    with reading(tmp_path, told) as board:
        seen = until(board, "s.jobs and s.apps and s.events")

    assert (set(seen.jobs), set(seen.apps), len(seen.events)) == ({"iris"}, {"iris"}, 1)


def test_a_visitor_is_listened_to_as_soon_as_it_runs(tmp_path: Path) -> None:
    line = json.dumps({"answered": {"1": 10}, "failed": {}, "slowest_ms": 4})

    with reading(tmp_path, {"pods": [added(VISITOR)], "visitor-iris": [line, line]}) as board:
        seen = until(board, "s.visitors.get('iris') and s.visitors['iris'].answers == 20")

    assert seen.visitors["iris"].slowest_ms == 4


def test_a_visitor_that_does_not_run_yet_is_not_asked(tmp_path: Path) -> None:
    waiting = {**VISITOR, "status": {"phase": "Pending"}}
    told = {"pods": [added(waiting)], "visitor-iris": ["{}"], "trainingjobs": [added(TRAINING_JOB)]}

    with reading(tmp_path, told) as board:
        until(board, "s.jobs")

        assert dict(board.snapshot.visitors) == {}


def test_a_watch_that_ends_is_begun_anew_and_counts_nothing_twice(tmp_path: Path) -> None:
    line = json.dumps({"answered": {"1": 10}, "failed": {}, "slowest_ms": 4})
    told = {"pods": [added(VISITOR)], "visitor-iris": [line], "events": [added(EVENT)]}
    log = tmp_path / "starts"

    with reading(tmp_path, told, then=f"open({str(log)!r}, 'a').write(' '.join(sys.argv) + '\\n')") as board:
        while log.read_text().count("visitor-iris") < 3 if log.exists() else True:
            board.after(board.snapshot, patience=0.05)
        seen = until(board, "'iris' in s.visitors")

    assert seen.visitors["iris"].answers == 10
    assert len(seen.events) == 1
