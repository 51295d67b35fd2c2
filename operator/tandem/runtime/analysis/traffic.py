"""What a pod counts at /metrics, and what has come since: requests, errors, and how long they took.

Two sets of names are understood. Tandem's own model server counts ``tandem_model_*``; of it ``/invocations`` counts,
and every answer from 400 on is an error, because MLflow answers 400 when a model's own code breaks. An app counts
``http_requests_total`` and ``http_request_duration_seconds``, as most instrumentations of web frameworks name them;
errors are answers from 500 on.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tandem.runtime.analysis.asking import NotMeasured

_STATUS: Final = ("status", "code", "status_code", "http_status")
_PATH: Final = ("path", "handler", "route", "endpoint", "uri")


@dataclass(frozen=True)
class _Names:
    requests: str
    seconds: str
    error_from: int
    path: str = ""  # the only one that counts


_KNOWN: Final = (
    _Names("tandem_model_requests_total", "tandem_model_request_seconds_bucket", 400, "/invocations"),
    _Names("http_requests_total", "http_request_duration_seconds_bucket", 500),
)


@dataclass(frozen=True)
class Counted:
    """Of one pod since it started, or of all of them since a moment."""

    requests: float = 0
    errors: float = 0
    buckets: Mapping[float, float] = field(default_factory=dict)  # upper bound in seconds → how many took no longer

    def since(self, before: Counted) -> Counted:
        """What came after ``before``. A counter that is lower than it was began anew, as in Prometheus."""
        if self.requests < before.requests:
            return self
        return Counted(
            self.requests - before.requests,
            max(self.errors - before.errors, 0),
            {bound: max(count - before.buckets.get(bound, 0), 0) for bound, count in self.buckets.items()},
        )

    def error_rate(self) -> float:
        return self.errors / self.requests

    def quantile(self, q: float) -> float:
        """Seconds, as Prometheus' ``histogram_quantile`` has it; infinite where the slowest bucket has no end.

        Prometheus says the last bound that is finite then, which would pass for a limit above it.

        Raises:
            NotMeasured: nothing counts how long requests take.
        """
        bounds = sorted(self.buckets)
        total = self.buckets[bounds[-1]] if bounds else 0
        if not total:
            raise NotMeasured("the pods count no durations of requests (a histogram in seconds)")
        rank, below, lower = q * total, 0.0, 0.0
        for bound in bounds:
            count = self.buckets[bound]
            if count >= rank and count > below:
                return bound if math.isinf(bound) else lower + (bound - lower) * (rank - below) / (count - below)
            below, lower = count, bound
        return math.inf


def together(counted: Iterable[Counted]) -> Counted:
    requests = errors = 0.0
    buckets: dict[float, float] = {}
    for one in counted:
        requests, errors = requests + one.requests, errors + one.errors
        for bound, count in one.buckets.items():
            buckets[bound] = buckets.get(bound, 0) + count
    return Counted(requests, errors, buckets)


def read(text: str, ignored: Collection[str]) -> Counted:
    """``ignored``: paths that probes ask for; they are nobody's requests.

    Raises:
        NotMeasured: it is no such text, or counts no requests.
    """
    try:
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    except (ValueError, KeyError, IndexError):
        raise NotMeasured("/metrics is not in Prometheus' text format") from None
    present = {sample.name for sample in samples}
    for known in _KNOWN:
        if known.requests in present or _declared(known, text):
            return _count(samples, known, ignored)
    raise NotMeasured(f"/metrics counts no requests: neither {_KNOWN[0].requests} nor {_KNOWN[1].requests} is there")


def _declared(known: _Names, text: str) -> bool:
    """A counter that nobody has asked anything of yet has no sample, and is there all the same."""
    return f"# TYPE {known.requests} " in text or f"# TYPE {known.requests.removesuffix('_total')} " in text


def _count(samples: Iterable[Sample], known: _Names, ignored: Collection[str]) -> Counted:
    mine = [sample for sample in samples if _counts(sample.labels, known, ignored)]
    requests = [sample for sample in mine if sample.name == known.requests]
    buckets: dict[float, float] = {}
    for sample in mine:
        if sample.name == known.seconds:
            bound = float(sample.labels.get("le", "nan"))
            if not math.isnan(bound):
                buckets[bound] = buckets.get(bound, 0) + sample.value
    return Counted(
        sum(sample.value for sample in requests),
        sum(sample.value for sample in requests if _status(sample.labels) >= known.error_from),
        buckets,
    )


def _counts(labels: Mapping[str, str], known: _Names, ignored: Collection[str]) -> bool:
    path = next(_of(labels, _PATH), "")
    return path == known.path if known.path else path not in ignored


def _status(labels: Mapping[str, str]) -> int:
    """0 where it is not told; 5xx, as some group them, is 500."""
    told = next(_of(labels, _STATUS), "").lower().replace("x", "0")
    return int(told) if told.isascii() and told.isdigit() else 0


def _of(labels: Mapping[str, str], wanted: Iterable[str]) -> Iterator[str]:
    return (labels[name] for name in wanted if name in labels)
