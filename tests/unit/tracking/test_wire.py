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
