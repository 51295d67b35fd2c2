"""What pods count at /metrics, and what has come since: the model server's names, and those of common frameworks."""

from __future__ import annotations

import math

import pytest

from tandem.runtime.analysis.asking import NotMeasured
from tandem.runtime.analysis.instruction import Pods
from tandem.runtime.analysis.pods import reading
from tandem.runtime.analysis.traffic import Counted, read, together
from tandem.runtime.analysis.verdict import NoData, Value

MODEL_SERVER = """
# HELP tandem_model_requests_total Requests answered, by path and HTTP status.
# TYPE tandem_model_requests_total counter
tandem_model_requests_total{model="iris",model_version="3",path="/invocations",status="200"} 90.0
tandem_model_requests_total{model="iris",model_version="3",path="/invocations",status="400"} 7.0
tandem_model_requests_total{model="iris",model_version="3",path="/invocations",status="500"} 3.0
tandem_model_requests_total{model="iris",model_version="3",path="/health",status="200"} 4000.0
tandem_model_requests_total{model="iris",model_version="3",path="other",status="404"} 50.0
# TYPE tandem_model_request_seconds histogram
tandem_model_request_seconds_bucket{model="iris",model_version="3",path="/invocations",le="0.1"} 50.0
tandem_model_request_seconds_bucket{model="iris",model_version="3",path="/invocations",le="0.2"} 99.0
tandem_model_request_seconds_bucket{model="iris",model_version="3",path="/invocations",le="+Inf"} 100.0
tandem_model_request_seconds_bucket{model="iris",model_version="3",path="/health",le="+Inf"} 4000.0
"""

FRAMEWORK = """
# TYPE http_requests_total counter
http_requests_total{{handler="/buy",{status}="{ok}"}} 90
http_requests_total{{handler="/buy",{status}="{missing}"}} 6
http_requests_total{{handler="/buy",{status}="{broken}"}} 4
http_requests_total{{handler="/healthz",{status}="{ok}"}} 1000
"""


def counted(requests: float, errors: float = 0, **buckets: float) -> Counted:
    return Counted(
        requests, errors, {float(bound.replace("le_", "").replace("_", ".")): n for bound, n in buckets.items()}
    )


def test_of_a_model_server_predictions_count_and_probes_do_not() -> None:
    assert read(MODEL_SERVER, ()).requests == 100


def test_of_a_model_server_400_is_an_error_because_mlflow_answers_so_when_a_model_breaks() -> None:
    assert read(MODEL_SERVER, ()).errors == 10


@pytest.mark.parametrize(
    ("status", "ok", "missing", "broken"),
    [
        ("code", "200", "404", "503"),  # promhttp
        ("status", "2xx", "4xx", "5xx"),  # prometheus-fastapi-instrumentator
        ("status", "2XX", "4XX", "5XX"),
        ("status_code", "200", "404", "500"),
    ],
)
def test_of_an_app_the_names_of_common_frameworks_are_understood(
    status: str, ok: str, missing: str, broken: str
) -> None:
    text = FRAMEWORK.format(status=status, ok=ok, missing=missing, broken=broken)
    found = read(text, ["/healthz"])
    assert (found.requests, found.errors) == (100, 4)


def test_counters_that_nobody_has_counted_with_yet_are_no_requests() -> None:
    assert read("# TYPE tandem_model_requests_total counter\n", ()) == Counted()


@pytest.mark.parametrize("text", ["", "process_cpu_seconds_total 4\n", "{{{{", "x{a=1} 2 3 4\n"])
def test_metrics_without_requests_are_an_error(text: str) -> None:
    with pytest.raises(NotMeasured):
        read(text, ())


def test_what_came_since_is_the_difference() -> None:
    before, after = counted(10, 1, le_1=8, le_inf=10), counted(110, 3, le_1=98, le_inf=110)
    assert after.since(before) == counted(100, 2, le_1=90, le_inf=100)


def test_a_pod_that_began_anew_has_counted_all_since() -> None:
    assert counted(5, 5).since(counted(100, 1)) == counted(5, 5)


def test_pods_are_added_up() -> None:
    assert together([counted(10, 1, le_1=10), counted(5, 0, le_1=5)]) == counted(15, 1, le_1=15)


@pytest.mark.parametrize(
    ("q", "seconds"),
    [(0.5, 0.1), (0.25, 0.05), (0.99, 0.2), (0.745, 0.15), (0.999, math.inf)],
)
def test_a_quantile_is_prometheus_own_but_for_the_slowest_which_have_no_end(q: float, seconds: float) -> None:
    assert read(MODEL_SERVER, ()).quantile(q) == pytest.approx(seconds)


def test_without_a_histogram_there_is_no_latency() -> None:
    with pytest.raises(NotMeasured, match="count no durations"):
        counted(10).quantile(0.5)


@pytest.mark.parametrize(
    ("metric", "value"),
    [("requests", 100.0), ("requestErrorRate", 0.1), ("requestLatencyP50", 0.1), ("requestLatencyP99", 0.2)],
)
def test_each_metric_is_one_number(metric: str, value: float) -> None:
    told = Pods(host="shop-analysis", port=8080, metric=metric)  # type: ignore[arg-type]
    measured = reading(read(MODEL_SERVER, ()), told)
    assert isinstance(measured, Value)
    assert measured.number == pytest.approx(value)


@pytest.mark.parametrize(("requests", "enough"), [(0, False), (49, False), (50, True)])
def test_of_too_few_requests_no_rate_is_made(requests: float, enough: bool) -> None:
    measured = reading(counted(requests), Pods("shop-analysis", 8080, "requestErrorRate", min_requests=50))
    assert isinstance(measured, Value if enough else NoData)


def test_how_many_requests_there_were_is_known_also_when_there_was_none() -> None:
    assert reading(counted(0), Pods("shop-analysis", 8080, "requests", min_requests=50)) == Value(0.0)
