"""How a look at a resource went, in one word for the metrics; and whom every line meanwhile is about."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TypeAlias

import pytest

from tandem.api.plan import Draft, Emit, EndRun
from tandem.engine.controller import Named
from tandem.engine.logs import LogFormat, set_up_logging
from tests.unit.engine.desk import Desk, one_job
from tests.unit.engine.objects import Widget
from tests.unit.engine.strict_api import Fault, refuse

pytestmark = pytest.mark.asyncio


Logged: TypeAlias = Callable[[], list[dict[str, str]]]


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str]) -> Iterator[Logged]:
    """What the engine has logged by now, as JSON."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    set_up_logging(LogFormat.JSON)

    def read() -> list[dict[str, str]]:
        root.handlers[0].flush()
        lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
        return [line for line in lines if line["logger"].startswith("tandem")]

    yield read
    root.handlers[:], root.level = handlers, level


def about_whom(lines: list[dict[str, str]]) -> set[str | None]:
    return {line.get("key") for line in lines}


def broken(_: Widget, __: Sequence[Named], ___: Draft) -> str:
    raise RuntimeError("no plan")


async def until_outcome(desk: Desk, outcome: str) -> None:
    await desk.until(lambda: ("Widget", outcome) in desk.outcomes)


async def test_done(desk: Desk) -> None:
    desk.submit()
    await desk.until_phase("Created")
    await until_outcome(desk, "done")


@pytest.mark.parametrize(
    ("request_", "fault", "outcome"),
    [
        ("POST jobs", refuse(403, "Forbidden"), "refused"),
        ("POST jobs", refuse(503), "unavailable"),
        ("PATCH widgets/status", refuse(422, "Invalid"), "status_refused"),
    ],
)
async def test_what_the_api_server_did_not_do(
    desk: Desk, logged: Logged, request_: str, fault: Fault, outcome: str
) -> None:
    desk.api.fail(request_, fault)
    desk.submit()
    await until_outcome(desk, outcome)
    assert about_whom(logged()) == {"Widget/ns/w"}


async def test_a_resource_that_cannot_be_read(desk: Desk, logged: Logged) -> None:
    desk.submit(spec={"size": "large"})
    await until_outcome(desk, "unreadable")
    assert about_whom(logged()) == {"Widget/ns/w"}


async def test_a_plan_that_breaks(desk: Desk, logged: Logged) -> None:
    desk.rule = broken
    desk.submit()
    await until_outcome(desk, "failed")
    assert about_whom(logged()) == {"Widget/ns/w"}


async def test_a_source_that_breaks_and_an_event_that_is_not_written_name_the_resource_too(
    desk: Desk, logged: Logged
) -> None:
    """They are told deep inside, by loggers that know of no resource."""
    desk.api.fail("POST events", refuse(403, "Forbidden"))
    desk.events = (Emit("Normal", "JobCreated", "made"),)
    desk.source_raises = RuntimeError("no MLflow")

    def rule(widget: Widget, children: Sequence[Named], draft: Draft) -> str:
        draft.act(EndRun("run-1", "KILLED"))
        return one_job(widget, children, draft)

    desk.rule = rule
    desk.submit()
    await until_outcome(desk, "refused")
    await until_outcome(desk, "done")

    lines = logged()
    assert {line["logger"] for line in lines} == {"tandem.engine.reconcile", "tandem.engine.cluster"}
    assert about_whom(lines) == {"Widget/ns/w"}
