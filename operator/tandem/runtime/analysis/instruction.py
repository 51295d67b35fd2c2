"""What an analysis is told, in one environment variable: the operator writes it, ``tandem.runtime.analyse`` reads it.

::

    {"metrics": [{"name": "errors", "max": "0.01", "interval": 60, "initialDelay": 0, "count": 5, "failureLimit": 0,
                  "inconclusiveLimit": 0, "consecutiveErrorLimit": 4, "onNoData": "Hold", "dryRun": false,
                  "prometheus": {"address": "http://…", "query": "…", "secret": "/tandem/secrets/errors"},
                  "web": {"url": "https://…", "jsonPointer": "/data/0", "secret": "…"},
                  "mlflow": {"metric": "accuracy", "runId": "…"},     or "model" and "version": what monitors it
                  "pods": {"host": "shop-analysis", "port": 8080, "metric": "requestErrorRate", "minRequests": 1,
                           "ignoredPaths": ["/health"]}}],            exactly one of the four
     "placeholders": {"NAME": "shop", "REVISION": "5", …},
     "since": "2026-03-01T12:00:00Z", "deadlineSeconds": 600, "reportLimit": 4096}
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Literal

import msgspec

from tandem.runtime.analysis.verdict import Bounds, Limits
from tandem.runtime.instruction import InstructionInvalid

VARIABLE: Final = "TANDEM_ANALYSIS"

_Decimal = Annotated[str, msgspec.Meta(pattern=r"^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$", max_length=32)]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]
_Limit = Annotated[int, msgspec.Meta(ge=0)]


class Told(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """Base of all that is read from the instruction."""


class Prometheus(Told, frozen=True):
    address: str
    query: str
    secret: str = ""  # the folder where its Secret is mounted


class Web(Told, frozen=True):
    url: str
    json_pointer: str = ""
    secret: str = ""


class Mlflow(Told, frozen=True):
    """Of one run, or of whatever run monitors a version."""

    metric: str
    run_id: str = ""
    model: str = ""
    version: str = ""


class Pods(Told, frozen=True):
    host: str
    port: int
    metric: Literal["requests", "requestErrorRate", "requestLatencyP50", "requestLatencyP99"]
    min_requests: int = 1
    ignored_paths: tuple[str, ...] = ()


class Metric(Told, frozen=True, kw_only=True):
    name: str
    min: _Decimal | None = None
    max: _Decimal | None = None
    interval: _Seconds = 60
    initial_delay: _Seconds = 0
    count: Annotated[int, msgspec.Meta(ge=1)] = 1
    failure_limit: _Limit = 0
    inconclusive_limit: _Limit = 0
    consecutive_error_limit: _Limit = 4
    on_no_data: Literal["Hold", "Pass", "Fail"] = "Hold"
    dry_run: bool = False
    prometheus: Prometheus | None = None
    web: Web | None = None
    mlflow: Mlflow | None = None
    pods: Pods | None = None

    @property
    def bounds(self) -> Bounds:
        return Bounds(*(Decimal(bound) if bound is not None else None for bound in (self.min, self.max)))

    @property
    def limits(self) -> Limits:
        return Limits(self.count, self.failure_limit, self.inconclusive_limit, self.consecutive_error_limit)


class Instruction(Told, frozen=True, kw_only=True):
    metrics: Annotated[tuple[Metric, ...], msgspec.Meta(min_length=1)]
    placeholders: dict[str, str] = {}
    since: datetime
    deadline_seconds: _Seconds = 3600
    report_limit: Annotated[int, msgspec.Meta(ge=128, le=4096)] = 4096


def parse(text: str | None) -> Instruction:
    """Raises: InstructionInvalid."""
    try:
        read = msgspec.json.decode(text or "", type=Instruction)
    except msgspec.DecodeError as error:
        raise InstructionInvalid(f"{VARIABLE} is not a valid instruction: {error}") from None
    for metric in read.metrics:
        given = [one for one in (metric.prometheus, metric.web, metric.mlflow, metric.pods) if one is not None]
        if len(given) != 1:
            raise InstructionInvalid(
                f"metric {metric.name}: exactly one provider is needed, and {len(given)} are given"
            )
    return read
