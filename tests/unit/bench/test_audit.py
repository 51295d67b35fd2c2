"""What the bench reads out of an audit log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.audit import Tail, Unsettled, finished, first_answers


def line(
    verb: str = "create",
    resource: str = "jobs",
    name: str = "iris-1",
    second: float = 1.0,
    user: str = "tandem",
    code: int = 201,
    stage: str = "ResponseComplete",
    subresource: str = "",
) -> str:
    target = {"resource": resource, "namespace": "team-0", "name": name}
    return json.dumps(
        {
            "verb": verb,
            "stage": stage,
            "user": {"username": user},
            "objectRef": {**target, **({"subresource": subresource} if subresource else {})},
            "responseStatus": {"code": code},
            "requestReceivedTimestamp": f"2026-01-01T00:00:{second:09.6f}Z",
            "stageTimestamp": f"2026-01-01T00:00:{second + 0.5:09.6f}Z",
        },
        separators=(",", ":"),
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "audit.log"
    file.write_text(line(name="before-1") + "\n")
    return file


def append(log: Path, *lines: str, end: str = "\n") -> None:
    with log.open("a") as file:
        file.write("\n".join(lines) + end)


def test_a_tail_has_the_requests_of_its_user_from_now_on(log: Path) -> None:
    tail = Tail(log, "tandem")
    append(log, line(name="iris-1"), line(name="other-1", user="tandem-2"))

    assert [request.name for request in tail.read()] == ["team-0/iris-1"]
    assert tail.read() == []


def test_a_line_that_is_half_written_is_read_when_it_is_whole(log: Path) -> None:
    tail, whole = Tail(log, "tandem"), line(name="iris-1")
    append(log, whole[:80], end="")
    assert tail.read() == []

    append(log, whole[80:])
    assert [request.name for request in tail.read()] == ["team-0/iris-1"]


def test_the_time_of_a_request_is_the_api_servers(log: Path) -> None:
    tail = Tail(log, "tandem")
    append(log, line(second=7.25))

    (request,) = tail.read()
    assert request.answered - request.received == pytest.approx(0.5)


def test_a_watch_counts_once_when_it_begins_and_every_other_request_when_it_ends(log: Path) -> None:
    tail = Tail(log, "tandem")
    append(log, line("watch", stage="ResponseStarted"), line("watch"), line("list"), line("list"))

    assert finished(tail.read()) == {("watch", "jobs"): 1, ("list", "jobs"): 2}


def test_the_first_success_counts_under_the_name_of_the_resource(log: Path) -> None:
    tail = Tail(log, "tandem")
    append(log, line(second=1, code=500), line(second=2), line(second=4, code=409), line(second=5))

    ((name, answered),) = first_answers(tail.read(), "create", "jobs").items()
    assert name == "team-0/iris"
    assert answered == tail.requests[1].answered


def test_a_subresource_is_a_resource_of_its_own(log: Path) -> None:
    tail = Tail(log, "tandem")
    append(log, line("patch", "trainingjobs", "iris", subresource="status"), line("patch", "trainingjobs", "iris"))

    assert first_answers(tail.read(), "patch", "trainingjobs/status").keys() == {"team-0/iris"}
    assert finished(tail.requests) == {("patch", "trainingjobs/status"): 1, ("patch", "trainingjobs"): 1}


def test_who_waits_in_vain_is_told_what_there_was(log: Path) -> None:
    tail = Tail(log, "tandem")
    append(log, line())

    with pytest.raises(Unsettled, match=r"two Jobs; requests until now: .*'jobs'\): 1"):
        tail.await_that(lambda: len(tail.requests) > 1, "two Jobs", seconds=0)


def test_nothing_is_read_while_requests_come(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading takes the processor from what is measured."""
    tail, left, seconds = Tail(log, "tandem"), 30, 0.0

    def sleep(some: float) -> None:
        nonlocal left, seconds
        seconds += some
        if left:
            left -= 1
            append(log, line(name=f"iris-{left}"))

    monkeypatch.setattr("bench.audit.time.sleep", sleep)
    monkeypatch.setattr("bench.audit.time.monotonic", lambda: seconds)
    seen: list[int] = []

    def all_came() -> bool:
        seen.append(len(tail.requests))
        return seen[-1] == 30

    tail.await_settled(all_came, "all", seconds=60)

    assert seen == [30]


def test_who_waits_in_vain_for_a_pause_is_told_what_there_was(log: Path) -> None:
    tail = Tail(log, "tandem")
    append(log, line())

    with pytest.raises(Unsettled, match=r"two Jobs; requests until now: .*'jobs'\): 1"):
        tail.await_settled(lambda: len(tail.requests) > 1, "two Jobs", seconds=0)
