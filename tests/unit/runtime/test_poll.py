"""The report of a poll fits where Kubernetes keeps it, and is what the operator reads."""

from __future__ import annotations

import json

import msgspec
import pytest

from tandem.runtime.poll import Polled, Report
from tandem.runtime.stores import version
from tandem.training.poll import PollReport

LONGEST = Report(tuple(Polled(f"{n:063d}", code=6, message="x" * 2000) for n in range(16)))


@pytest.mark.parametrize("limit", [4096, 3072, 2457])
def test_a_report_that_would_be_cut_has_shorter_messages_and_stays_json(limit: int) -> None:
    text = LONGEST.encoded(limit)
    assert len(text) <= limit
    assert [one["code"] for one in json.loads(text)["data"]] == [6] * 16


def test_the_longest_versions_fit_for_all_data_sets_that_there_can_be() -> None:
    report = Report(tuple(Polled(f"{n:063d}", version.of("modified", "x" * 62)) for n in range(16)))
    assert report.encoded(4096) == msgspec.json.encode(report)


def test_the_report_is_what_the_operator_reads() -> None:
    report = Report((Polled("iris", "etag:1"), Polled("labels", code=5, message="gone")))
    read = msgspec.json.decode(report.encoded(4096), type=PollReport)
    assert [msgspec.to_builtins(one) for one in read.data] == [
        {"name": "iris", "version": "etag:1", "code": 0, "message": ""},
        {"name": "labels", "version": "", "code": 5, "message": "gone"},
    ]


# --- versions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (('"abc"', "v7", "today", 5), "etag:abc"),
        (('W/"abc"', None, None, None), "etag:abc"),
        ((None, "v7", "today", 5), "version:v7"),
        ((None, None, "today", 5), "modified:today 5"),
        ((None, None, None, 5), ""),
        (("", "", "", None), ""),
    ],
)
def test_a_version_is_the_best_that_a_store_tells(told: tuple[str, str, str, int], expected: str) -> None:
    assert version.of_object(*told) == expected


@pytest.mark.parametrize("text", ["x" * 500, "ü", "a\nb"])
def test_a_version_is_short_and_can_be_shown(text: str) -> None:
    told = version.of("etag", text)
    assert len(told) < 72
    assert told.isascii()
    assert told.isprintable()
    assert told != version.of("etag", text + "x")


def test_a_folder_changes_with_any_of_its_members_and_not_with_their_order() -> None:
    two = version.of_members([("a", "etag:1"), ("b", "etag:2")])
    assert two == version.of_members([("b", "etag:2"), ("a", "etag:1")])
    others = [[("a", "etag:1")], [("a", "etag:2"), ("b", "etag:1")], [("a", "etag:1"), ("c", "etag:2")]]
    assert len({two, *map(version.of_members, others)}) == 4


@pytest.mark.parametrize("members", [[], [("a", "etag:1"), ("b", "")]])
def test_a_folder_of_which_one_part_is_not_known_has_no_version(members: list[tuple[str, str]]) -> None:
    assert version.of_members(members) == ""
