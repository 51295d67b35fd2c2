"""The audit log as a counter."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from cluster.audit import AuditLog


def line(verb: str = "create", resource: str = "jobs", **changes: object) -> str:
    event: dict[str, object] = {
        "stage": "ResponseComplete",
        "verb": verb,
        "user": {"username": "tandem"},
        "userAgent": "tandem/1.0",
        "objectRef": {"resource": resource, "namespace": "ml", "name": "iris"},
        "responseStatus": {"code": 201},
        "requestURI": "/apis",
        **changes,
    }
    return json.dumps(event) + "\n"


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    return AuditLog(tmp_path / "audit.log")


def test_given_no_log_yet_then_nothing_was_asked(log: AuditLog) -> None:
    assert log.count() == 0
    assert log.mark().count() == 0


def test_given_requests_then_every_filter_narrows_them(log: AuditLog) -> None:
    status = {"resource": "trainingjobs", "subresource": "status", "namespace": "ml"}
    log.path.write_text(
        line()
        + line("get", userAgent="kubectl/1.37")
        + line("patch", objectRef=status)
        + line("create", user={"username": "ada"}, responseStatus={"code": 409})
    )

    assert log.count() == 4
    assert log.count(writes=True) == 3
    assert log.count(user="tandem", writes=True) == 2
    assert log.count(user_agent="tandem") == 3
    assert log.count(resource="trainingjobs/status", verb="patch", namespace="ml") == 1
    assert log.count(verb="create", succeeded=True) == 1
    assert log.writes(user="tandem") == Counter({("create", "jobs"): 1, ("patch", "trainingjobs/status"): 1})


def test_given_a_mark_then_only_what_came_after_it_counts(log: AuditLog) -> None:
    log.path.write_text(line())
    since = log.mark()
    with log.path.open("a") as file:
        file.write(line("delete"))

    assert [request.verb for request in since.requests()] == ["delete"]


def test_given_a_watch_then_it_counts_once_when_it_ends(log: AuditLog) -> None:
    log.path.write_text(line("watch", stage="ResponseStarted") + line("watch"))

    assert log.count(verb="watch") == 1


def test_given_a_line_that_is_being_written_then_it_waits_for_its_end(log: AuditLog) -> None:
    log.path.write_text(line() + line()[:30])

    assert log.count() == 1


def test_given_a_request_for_no_resource_then_it_is_counted_by_its_verb(log: AuditLog) -> None:
    log.path.write_text(line("get", objectRef=None, user=None))

    assert log.count(verb="get", resource="") == 1
