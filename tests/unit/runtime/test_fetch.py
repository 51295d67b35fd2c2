"""The report of a fetch step fits where Kubernetes keeps it."""

from __future__ import annotations

import msgspec

from tandem.runtime.data import Fetched
from tandem.runtime.fetch import Report


def test_the_largest_report_fits_into_a_termination_message() -> None:
    """16 data sets are the most that the CRD allows, 63 characters the longest name; the kubelet cuts at 4096 bytes."""
    largest = Fetched(name="n" * 63, digest="sha256:" + "f" * 64, bytes=2**63)
    report = Report(commit="c" * 64, data=(largest,) * 16, files="sha256:" + "f" * 64)
    assert len(msgspec.json.encode(report)) < 4096


def test_the_report_is_what_the_operator_reads() -> None:
    report = Report(commit=None, data=(Fetched("iris", "sha256:abc", 12),))
    assert msgspec.json.encode(report) == b'{"commit":null,"data":[{"name":"iris","digest":"sha256:abc","bytes":12}]}'
