"""Metrics, the page that explains them, and the alerts that read them name the same things."""

from __future__ import annotations

import asyncio
import re

import yaml

from tandem.engine.metrics import Metrics
from tandem.main import DELIVERY
from tests.crds import ROOT, nodes, schema

PAGE = (ROOT / "docs/operations.md").read_text()
ALERTS = yaml.safe_load((ROOT / "manifests/components/prometheus/alerts.yaml").read_text())
RULES = [rule for group in ALERTS["spec"]["groups"] for rule in group["rules"]]


def told() -> dict[str, str]:
    """Name of each of our metrics → its type."""

    async def ask() -> bytes:
        return Metrics().text()

    always = re.findall(r"^# TYPE (tandem_(?!.*_created)\w+) (\w+)$", asyncio.run(ask()).decode(), re.MULTILINE)
    # These are told of each resource that has them.
    return dict(always) | {figure.metric: "gauge" for figure in DELIVERY}


def test_the_page_has_a_row_for_every_metric_and_for_no_other() -> None:
    rows = re.findall(r"^\| `(tandem_\w+)` \| (\w+)", PAGE, re.MULTILINE)
    assert dict(rows) == told()
    assert len(rows) == len(told())


def test_every_figure_is_a_field_of_the_status() -> None:
    fields = {path for path, _ in nodes(schema("AppDeployment"))}
    assert {".".join(("status", *figure.path)) for figure in DELIVERY} <= fields


def test_alerts_read_metrics_that_there_are() -> None:
    known = set(told()) | {f"{name}_count" for name, type_ in told().items() if type_ == "histogram"}
    read = {name for rule in RULES for name in re.findall(r"\btandem_\w+", rule["expr"])}
    assert read <= known
    assert read, "there are alerts"


def test_the_page_says_what_to_do_about_every_alert() -> None:
    rows = set(re.findall(r"^\| `(Tandem\w+)` \|", PAGE, re.MULTILINE))
    assert rows == {rule["alert"] for rule in RULES}
