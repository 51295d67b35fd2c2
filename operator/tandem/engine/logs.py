"""Log lines: for people, or JSON for machines. Either way each tells which resource it is about, and no credentials.

A line is written by a thread of its own: a pipe that nobody empties would otherwise stop the event loop, and with it
the lease and the probes, at the first line too many. What does not fit is dropped and counted.
"""

from __future__ import annotations

import logging
import os
import queue
import re
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Final

from pythonjsonlogger.json import JsonFormatter

from tandem.api.meta import Key

logger = logging.getLogger(__name__)


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


KEY: Final = "key"
_STDERR: Final = 2
_LINES_KEPT: Final = 5000
_LAST_WORDS: Final = 2.0  # seconds that the end of the process waits for its last lines to be taken

_about: ContextVar[Key | None] = ContextVar("about", default=None)

# A password in a URL, or the signature of a presigned one; as in runtime/redact.py, which is not for us to import.
_USERINFO: Final = re.compile(r"(?<=://)[^/\s'\"]*@")
_QUERY: Final = re.compile(r"(://[^\s'\"?#]*)[?#][^\s'\"]*")


@contextmanager
def about(key: Key) -> Iterator[None]:
    """Every line from here on is about this resource, whichever logger writes it, in this task and those it starts."""
    token = _about.set(key)
    try:
        yield
    finally:
        _about.reset(token)


def redacted(text: str) -> str:
    """``text`` with user names, passwords, queries and fragments taken out of every URL in it."""
    return _QUERY.sub(r"\1", _USERINFO.sub("", text)) if "://" in text else text


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = redacted(super().format(record))
        key = getattr(record, KEY, "")
        return f"[{key}] {line}" if key else line


class _Json(JsonFormatter):
    def process_log_record(self, log_data: dict[str, object]) -> dict[str, object]:
        return {name: redacted(value) if isinstance(value, str) else value for name, value in log_data.items()}


def _name_the_resource(record: logging.LogRecord) -> bool:
    key = _about.get()
    if key is not None and not hasattr(record, KEY):
        setattr(record, KEY, str(key))
    return True


def _without_trace(record: logging.LogRecord) -> bool:
    """kopf logs what ended a watch twice, with 40 lines each; what it was is said in one, and by us in the end.

    When it ends while it connects, a callback of its own (`api.stream`) cancels "the current task", of which a callback
    has none: asyncio tells of an AssertionError that nobody can do anything about.
    """
    if record.name.startswith("kopf."):
        record.exc_info = record.exc_text = None
    return not (record.name == "asyncio" and "request_cancel_callback" in record.getMessage())


class Unblocking(logging.Handler):
    """Hands lines to a thread that writes them; never waits for whoever reads them.

    ``dropped``: lines that found too many others waiting, or that could not be written (a full disk).
    """

    def __init__(self, descriptor: int = _STDERR, kept: int = _LINES_KEPT) -> None:
        super().__init__()
        self.dropped = 0
        self._told = 0
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes] = queue.Queue(kept)
        # A daemon: at the end it may be waiting in a write for ever. It holds no lock of Python's there (sys.stderr
        # has one, which the interpreter takes when it ends).
        threading.Thread(target=self._write_all, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.put_nowait(f"{self.format(record)}\n".encode(errors="backslashreplace"))
        except queue.Full:
            self.dropped += 1
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Wait until everything is written, for two seconds at most."""
        with self._lines.all_tasks_done:
            self._lines.all_tasks_done.wait_for(lambda: not self._lines.unfinished_tasks, _LAST_WORDS)

    def _write_all(self) -> None:
        while True:
            line = self._lines.get()
            try:
                _write(self._descriptor, line)
            except OSError:
                self.dropped += 1
            else:
                self._own_up()
            self._lines.task_done()

    def _own_up(self) -> None:
        dropped = self.dropped
        if dropped > self._told and self._lines.empty():
            logger.warning("%d log lines were lost: nobody took them", dropped - self._told)
            self._told = dropped


def _write(descriptor: int, line: bytes) -> None:
    while line:
        try:
            line = line[os.write(descriptor, line) :]
        except BlockingIOError:  # whoever gave us this pipe does not want to be waited for
            select.select([], [descriptor], [])


def lines_lost() -> int:
    """How many lines of this process were not written."""
    return sum(handler.dropped for handler in logging.getLogger().handlers if isinstance(handler, Unblocking))


def set_up_logging(format_: LogFormat, level: int = logging.INFO) -> None:
    handler = Unblocking()
    if format_ is LogFormat.JSON:
        handler.setFormatter(
            _Json(
                "%(asctime)s %(levelname)s %(name)s %(message)s",
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            )
        )
    else:
        handler.setFormatter(_Text("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_name_the_resource)
    handler.addFilter(_without_trace)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # kopf tells every event and every step of its start; what it warns of (a watch that is tried again) is news.
    logging.getLogger("kopf").setLevel(logging.WARNING)
