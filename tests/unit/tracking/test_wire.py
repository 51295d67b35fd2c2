"""MLflow's JSON as it comes over the wire, and what it means."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec
import pytest

from tandem.tracking import wire


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("0.5", 0.5),
        ("3", 3.0),
        ("0.0", 0.0),
        ("1e308", 1e308),
        ("1.7976931348623157e+308", math.inf),  # how MLflow's SQL store keeps an infinity
        ("-1.7976931348623157e+308", -math.inf),
        ('"Infinity"', math.inf),
        ('"-Infinity"', -math.inf),
    ],
)
def test_a_metric_is_the_number_that_was_logged(sent: str, meant: float) -> None:
    metric = msgspec.json.decode(f'{{"key": "m", "value": {sent}}}', type=wire.Metric, strict=False)
    assert metric.number == meant


def test_a_nan_stays_a_nan() -> None:
    assert math.isnan(msgspec.json.decode('{"key": "m", "value": "NaN"}', type=wire.Metric, strict=False).number)


@pytest.mark.parametrize("sent", ['"high"', "null", "[]"])
def test_a_metric_that_is_no_number_is_not_an_answer_of_mlflow(sent: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(f'{{"key": "m", "value": {sent}}}', type=wire.Metric, strict=False)


@pytest.mark.parametrize(
    ("sent", "meant"),
    [("LOGGED_MODEL_READY", "READY"), ("LOGGED_MODEL_PENDING", "PENDING"), ("LOGGED_MODEL_UPLOAD_FAILED", "FAILED")],
)
def test_the_status_of_a_logged_model_is_mlflow_s_word_without_its_prefix(sent: str, meant: str) -> None:
    assert wire.LoggedModel(wire.LoggedModelInfo("m-1", status=sent)).status == meant


@pytest.mark.parametrize(
    ("status", "ended"),
    [("RUNNING", False), ("SCHEDULED", False), ("FINISHED", True), ("FAILED", True), ("KILLED", True)],
)
def test_a_run_has_ended_when_mlflow_says_so(status: str, ended: bool) -> None:
    assert wire.Run(wire.RunInfo("r", status=status)).ended is ended


def test_what_a_newer_server_adds_is_ignored() -> None:
    sent = b'{"run": {"info": {"run_id": "r", "shiny": {"new": 1}}, "outputs": {}}, "more": []}'
    assert msgspec.json.decode(sent, type=wire.RunAnswer).run.info.run_id == "r"


def test_a_moment_is_milliseconds_in_utc() -> None:
    assert wire.moment(1_795_000_000_500) == datetime(2026, 11, 18, 11, 6, 40, 500_000, tzinfo=UTC)


# --- progress --------------------------------------------------------------------------------------------------------


def metric(key: str, value: float = 0.5, step: int = 0, minute: int = 0) -> wire.Metric:
    moment = datetime(2026, 3, 1, 12, minute, tzinfo=UTC)
    return wire.Metric(key=key, value=value, step=step, timestamp=int(moment.timestamp() * 1000))


def test_progress_is_the_highest_step_and_the_latest_time_of_all_metrics() -> None:
    told = wire.progress([metric("loss", step=120, minute=1), metric("accuracy", step=7, minute=9)])
    assert (told.step, told.last_metric_at) == (120, datetime(2026, 3, 1, 12, 9, tzinfo=UTC))
    assert told.percentage is None


@pytest.mark.parametrize(
    ("value", "percentage"), [(0, 0), (37.9, 37), (100, 100), (250, 100), (-3, 0), (math.inf, 100), (math.nan, None)]
)
def test_the_metric_progress_is_a_percentage(value: float, percentage: int | None) -> None:
    assert wire.progress([metric("progress", value)]).percentage == percentage


def test_system_metrics_are_no_progress() -> None:
    assert wire.progress([metric("system/gpu_0_utilization_percentage", step=900)]) == wire.progress([])


@pytest.mark.parametrize(
    ("milliseconds", "year"), [(0, 1970), (1_700_000_000_123, 2023), (10**18, 9999), (-(10**18), 1), (2**63 - 1, 9999)]
)
def test_a_moment_that_no_calendar_has_is_the_nearest_one(milliseconds: int, year: int) -> None:
    assert wire.moment(milliseconds).year == year
