"""Each line tells which resource it is about, to people and to machines."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from tandem.engine.logs import LogFormat, set_up_logging


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().err.splitlines()


def test_text_begins_with_the_resource(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogFormat.TEXT)
    logging.getLogger("tandem").warning("refused", extra={"key": "TrainingJob/ns/iris"})

    (line,) = lines(capsys)
    assert line.startswith("[TrainingJob/ns/iris] ")
    assert line.endswith(" WARNING tandem: refused")


def test_json_has_it_as_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogFormat.JSON)
    logging.getLogger("tandem").warning("refused: %s", "no", extra={"key": "TrainingJob/ns/iris"})

    (line,) = lines(capsys)
    fields = json.loads(line)
    assert fields.pop("time")
    assert fields == {
        "level": "WARNING",
        "logger": "tandem",
        "message": "refused: no",
        "key": "TrainingJob/ns/iris",
    }


def test_kopf_says_only_what_is_wrong_and_without_its_inside(capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogFormat.TEXT)
    kopf = logging.getLogger("kopf._core.reactor.orchestration")
    kopf.info("Starting")
    try:
        raise RuntimeError("404")
    except RuntimeError:
        kopf.exception("Watcher has failed")

    (line,) = lines(capsys)
    assert line.endswith("Watcher has failed")
