"""``spec.rollout.analysis``: what a revision of an AppDeployment is judged by, in the words of Argo Rollouts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from tandem.api.containers import NAME_PATTERN, Argument, EnvVar, Image, LocalReference, Resources
from tandem.api.duration import Duration
from tandem.api.gate import DecimalString, MetricName
from tandem.api.meta import Wire

Address = Annotated[str, msgspec.Meta(pattern=r"^https?://[!-~]+$", max_length=1024)]
# $(URL) is where the revision that is judged answers.
Url = Annotated[str, msgspec.Meta(pattern=r"^(https?://|\$\(URL\))[!-~]+$", max_length=1024)]
# RFC 6901; '' is the whole document.
JsonPointer = Annotated[str, msgspec.Meta(pattern=r"^(/([^~/]|~[01])*)*$", max_length=256)]
# It names a container too, after a prefix.
AnalysisName = Annotated[str, msgspec.Meta(pattern=NAME_PATTERN, min_length=1, max_length=50)]
Limit = Annotated[int, msgspec.Meta(ge=0, le=1000)]

Moment = Literal["Step", "Promotion", "Watch"]


class PrometheusMetric(Wire, frozen=True):
    """An instant query: a scalar, or a vector of one element. ``secretRef``'s key ``token`` is sent as bearer token."""

    address: Address
    query: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    secret_ref: LocalReference | None = None


class WebMetric(Wire, frozen=True):
    """A number in a JSON document; each key of ``secretRef`` is a header of the request."""

    url: Url
    json_pointer: JsonPointer = ""
    secret_ref: LocalReference | None = None


class JobMetric(Wire, frozen=True):
    """A container that runs once: exit code 0 is Successful, 1 is Failed, any other Inconclusive."""

    image: Image
    command: Annotated[tuple[Argument, ...], msgspec.Meta(max_length=64)] = ()
    args: Annotated[tuple[Argument, ...], msgspec.Meta(max_length=64)] = ()
    env: Annotated[tuple[EnvVar, ...], msgspec.Meta(max_length=64)] = ()
    resources: Resources = Resources()
    active_deadline_seconds: Annotated[int, msgspec.Meta(ge=1, le=86400)] = 600


class MlflowMetric(Wire, frozen=True):
    """The latest value of a metric: of the run that made the model version, or of what monitors that version."""

    metric: MetricName
    run: Literal["Training", "Monitoring"] = "Training"


class PodsMetric(Wire, frozen=True):
    """What the revision's own pods count at /metrics, since the measurement before."""

    metric: Literal["requests", "requestErrorRate", "requestLatencyP50", "requestLatencyP99"]
    min_requests: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 1  # fewer of them are no data


class Metric(Wire, frozen=True, kw_only=True):
    """One thing that is measured, by exactly one provider, and when the measured value is good enough."""

    name: AnalysisName
    at: Annotated[tuple[Moment, ...], msgspec.Meta(max_length=3)] = ()  # none: all of them
    min: DecimalString | None = None
    max: DecimalString | None = None
    interval: Duration = "1m"
    initial_delay: Duration = "0s"
    count: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    failure_limit: Limit = 0
    inconclusive_limit: Limit = 0
    consecutive_error_limit: Limit = 4
    on_no_data: Literal["Hold", "Pass", "Fail"] = "Hold"
    dry_run: bool = False
    prometheus: PrometheusMetric | None = None
    web: WebMetric | None = None
    job: JobMetric | None = None
    mlflow: MlflowMetric | None = None
    pods: PodsMetric | None = None


Analysis = Annotated[tuple[Metric, ...], msgspec.Meta(max_length=16)]


class MetricResult(Wire, frozen=True):
    name: str
    phase: Literal["Successful", "Failed", "Inconclusive"]
    value: str = ""  # the last number
    message: str = ""
    dry_run: bool = False


class AnalysisStatus(Wire, frozen=True):
    """The latest judgement of a revision."""

    revision: int
    moment: str  # step-2, promotion, watch
    phase: Literal["Running", "Successful", "Failed", "Inconclusive"]
    start_time: datetime
    job_name: str = ""  # kubectl logs job/NAME tells each measurement, for a day
    message: str = ""
    metrics: tuple[MetricResult, ...] = ()
