"""The page that compares names tests that there are: a claim whose test is gone is no claim any more."""

from __future__ import annotations

import re

import pytest

from tests.crds import ROOT

PAGE = (ROOT / "docs/comparison.md").read_text()
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "test"), NAMED, ids=[test for _, test in NAMED])
def test_a_test_that_is_named_is_there(file: str, test: str) -> None:
    assert re.search(rf"^ *(async )?def {test}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_no_row_names_one_test_twice() -> None:
    """It would look like more than there is."""
    rows = [re.findall(r"`(tests/[\w/]+\.py::\w+)`", line) for line in PAGE.splitlines() if line.startswith("| ")]
    assert sum(map(len, rows)) == len(NAMED)
    assert [sorted(row) for row in rows if len(row) != len(set(row))] == []


def test_every_row_has_its_test_or_says_that_there_is_no_answer() -> None:
    rows = re.findall(r"^\| (\d+)\. .*?\| ([^|]*)\| ([^|]*)\|$", PAGE, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 16))
    assert [number for number, answer, shown in rows if "::" not in shown and not answer.startswith("none")] == []
