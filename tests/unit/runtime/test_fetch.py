"""The report of a fetch step fits where Kubernetes keeps it."""

from __future__ import annotations

import json

import msgspec
import pytest

from tandem.runtime.fetch import FetchedData, Report

LARGEST = FetchedData(name="n" * 63, digest="sha256:" + "f" * 64, bytes=2**63, rows=2**63, files=10**5)
REPORT = Report(commit="c" * 64, data=(LARGEST,) * 16, files="sha256:" + "f" * 64)


def test_the_largest_report_fits_into_a_termination_message_whole() -> None:
    """16 data sets are the most that the CRD allows, 63 characters the longest name; the kubelet cuts at 4096 bytes."""
    assert REPORT.encoded(4096) == msgspec.json.encode(REPORT)


@pytest.mark.parametrize("limit", [4096, 3072, 2457, 682])
def test_a_report_that_would_be_cut_is_made_shorter_and_stays_json(limit: int) -> None:
    """12 KiB for all containers of a pod: 682 bytes each where there are sixteen steps."""
    text = REPORT.encoded(limit)
    assert len(text) <= limit
    told = json.loads(text)
    assert told["commit"] == "c" * 64
    assert all(data["digest"] == LARGEST.digest for data in told["data"])
    assert len(told["data"]) >= min(16, limit // 170 - 2)


def test_the_report_is_what_the_operator_reads() -> None:
    report = Report(commit=None, data=(FetchedData("iris", "sha256:abc", 12, 3),))
    said = b'{"commit":null,"data":[{"name":"iris","digest":"sha256:abc","bytes":12,"rows":3}]}'
    assert report.encoded(4096) == said
