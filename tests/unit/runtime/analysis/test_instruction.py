"""What an analysis is told: exactly one provider of each metric, and nothing that nobody understands."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tandem.runtime.analysis.instruction import parse
from tandem.runtime.analysis.verdict import Bounds, Limits
from tandem.runtime.instruction import InstructionInvalid

WEB = {"url": "http://checks/score"}


def told(**metric: object) -> str:
    return json.dumps({"metrics": [{"name": "score", **metric}], "since": "2026-03-01T12:00:00Z"})


def test_what_is_not_said_is_what_argo_rollouts_takes_for_it() -> None:
    metric = parse(told(min="0.9", web=WEB)).metrics[0]
    assert metric.bounds == Bounds(min=Decimal("0.9"))
    assert metric.limits == Limits(count=1, failure=0, inconclusive=0, consecutive_error=4)
    assert (metric.interval, metric.initial_delay, metric.on_no_data, metric.dry_run) == (60, 0, "Hold", False)


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        json.dumps({"metrics": [], "since": "2026-03-01T12:00:00Z"}),
        json.dumps({"metrics": [{"name": "x", "web": WEB}]}),  # since when?
        told(web=WEB, min="NaN"),
        told(web=WEB, max="1e999"),
        told(web=WEB, interval=-1),
        told(web=WEB, count=0),
        told(web=WEB, condition="result > 1"),  # no expressions: nothing that is told becomes code
        told(pods={"host": "shop", "port": 8080, "metric": "restarts"}),
    ],
)
def test_anything_else_is_refused(text: str | None) -> None:
    with pytest.raises(InstructionInvalid, match="TANDEM_ANALYSIS"):
        parse(text)


@pytest.mark.parametrize("providers", [{}, {"web": WEB, "mlflow": {"metric": "accuracy", "runId": "1"}}])
def test_a_metric_has_exactly_one_provider(providers: dict[str, object]) -> None:
    with pytest.raises(InstructionInvalid, match="exactly one provider"):
        parse(told(**providers))
