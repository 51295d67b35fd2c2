"""Each line tells which resource it is about, to people and to machines; it tells no credentials; it never waits."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tandem.api.meta import Key
from tandem.engine.logs import LogFormat, Unblocking, about, redacted, set_up_logging

IRIS = Key("TrainingJob", "ns", "iris")


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    for handler in logging.getLogger().handlers:
        handler.flush()
    return capfd.readouterr().err.splitlines()


# --- which resource --------------------------------------------------------------------------------------------------


def test_text_begins_with_the_resource(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogFormat.TEXT)
    with about(IRIS):
        logging.getLogger("tandem").warning("refused")

    (line,) = lines(capfd)
    assert line.startswith("[TrainingJob/ns/iris] ")
    assert line.endswith(" WARNING tandem: refused")


def test_json_has_it_as_a_field(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogFormat.JSON)
    with about(IRIS):
        logging.getLogger("tandem").warning("refused: %s", "no")

    (line,) = lines(capfd)
    fields = json.loads(line)
    assert fields.pop("time")
    assert fields == {
        "level": "WARNING",
        "logger": "tandem",
        "message": "refused: no",
        "key": "TrainingJob/ns/iris",
    }


def test_a_line_about_no_resource_names_none(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogFormat.JSON)
    with about(IRIS):
        pass
    logging.getLogger("tandem").warning("told to end")

    assert "key" not in json.loads(lines(capfd)[0])


async def test_workers_beside_each_other_do_not_mix_their_resources_up(capfd: pytest.CaptureFixture[str]) -> None:
    """Whichever logger it is, and in tasks that the work starts as well."""
    set_up_logging(LogFormat.JSON)

    async def deep_inside(name: str) -> None:
        await asyncio.sleep(0)
        logging.getLogger("tandem.tracking.somewhere").warning("%s", name)

    async def work(name: str) -> None:
        with about(Key("TrainingJob", "ns", name)):
            await asyncio.sleep(0)
            await asyncio.create_task(deep_inside(name))

    await asyncio.gather(*(work(f"w{number}") for number in range(5)))

    told = [json.loads(line) for line in lines(capfd)]
    assert len(told) == 5
    assert all(line["key"] == f"TrainingJob/ns/{line['message']}" for line in told)


def test_kopf_says_only_what_is_wrong_and_without_its_inside(capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging(LogFormat.TEXT)
    kopf = logging.getLogger("kopf._core.reactor.orchestration")
    kopf.info("Starting")
    try:
        raise RuntimeError("404")
    except RuntimeError:
        kopf.exception("Watcher has failed")

    (line,) = lines(capfd)
    assert line.endswith("Watcher has failed")


async def test_kopfs_callback_that_cancels_no_task_is_not_told(capfd: pytest.CaptureFixture[str]) -> None:
    """It happens when a process ends while a watch is being connected; other callbacks that break are told."""
    set_up_logging(LogFormat.TEXT)

    def request_cancel_callback() -> None:
        raise AssertionError

    def another() -> None:
        raise AssertionError

    for broken in (request_cancel_callback, another):
        asyncio.get_running_loop().call_soon(broken)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    told = "\n".join(lines(capfd))
    assert "another" in told
    assert "request_cancel_callback" not in told


# --- no credentials --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://me:secret@host/a", "https://host/a"),
        ("https://token@host/a.git not found", "https://host/a.git not found"),
        ("s3://bucket/a?X-Amz-Signature=secret again", "s3://bucket/a again"),
        ('"https://h/a#secret", "https://h/b?sig=secret"', '"https://h/a", "https://h/b"'),
        ("what? nothing@all", "what? nothing@all"),
    ],
)
def test_a_url_is_shown_without_what_opens_it(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize("format_", LogFormat)
def test_neither_a_message_nor_a_trace_shows_credentials(format_: LogFormat, capfd: pytest.CaptureFixture[str]) -> None:
    set_up_logging(format_)
    url = "https://me:hush@host/a?sig=hush"
    try:
        raise ValueError(f'Get "{url}": refused')
    except ValueError:
        logging.getLogger("tandem").exception('could not read "%s"', url, extra={"address": url})

    told = lines(capfd)
    assert "hush" not in "\n".join(told)
    assert "https://host/a" in told[0]
    if format_ is LogFormat.JSON:
        (line,) = told
        assert "ValueError" in json.loads(line)["exc_info"]


# --- nobody waits ----------------------------------------------------------------------------------------------------


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    yield read, write
    for end in (read, write):
        with suppress(OSError):  # closed by the test
            os.close(end)


def logger_into(handler: Unblocking) -> logging.Logger:
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    return logging.getLogger("tandem")


def fill(descriptor: int) -> int:
    """Until it takes no more; how much it took."""
    os.set_blocking(descriptor, False)
    filled = 0
    try:
        while True:
            filled += os.write(descriptor, b"x" * 4096)
    except BlockingIOError:
        return filled
    finally:
        os.set_blocking(descriptor, True)


def test_case_50_a_pipe_that_nobody_empties_stops_nobody_and_what_is_lost_is_counted(pipe: tuple[int, int]) -> None:
    read, write = pipe
    filled = fill(write)
    handler = Unblocking(write, kept=10)
    logger = logger_into(handler)

    for number in range(100):  # the first that waits for a reader would never end
        logger.info("line %d", number)
    assert handler.dropped >= 89, "ten wait, one is being written"

    taken = b""
    while b"log lines were lost" not in taken:
        taken += os.read(read, 65536)
    told = taken[filled:].decode().splitlines()
    assert told[0] == "line 0"
    assert told[-1] == f"{handler.dropped} log lines were lost: nobody took them"


def test_case_50_a_full_disk_loses_lines_and_nothing_else() -> None:
    with open("/dev/full", "wb", buffering=0) as full:  # noqa: PTH123 - a device
        handler = Unblocking(full.fileno())
        logger = logger_into(handler)
        logger.info("one")
        logger.info("two")
        handler.flush()

        assert handler.dropped == 2


def test_a_pipe_that_its_owner_made_non_blocking_gets_every_line(pipe: tuple[int, int]) -> None:
    read, write = pipe
    os.set_blocking(write, False)
    handler = Unblocking(write)
    logger = logger_into(handler)
    expected = [f"{number} " + "x" * 1000 for number in range(300)]
    taken: list[bytes] = []

    def drain() -> None:
        while chunk := os.read(read, 4096):
            taken.append(chunk)

    reader = threading.Thread(target=drain)
    reader.start()
    for line in expected:
        logger.info(line)
    handler.flush()
    os.close(write)
    reader.join(5)

    assert b"".join(taken).decode().splitlines() == expected
    assert handler.dropped == 0


def test_the_end_of_the_process_waits_for_its_last_words_but_not_for_ever(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem.engine.logs._LAST_WORDS", 0.2)
    _, write = pipe
    fill(write)
    handler = Unblocking(write)
    logger_into(handler).info("last words")

    handler.flush()  # comes back
