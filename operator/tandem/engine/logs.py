"""Log lines: for people, or JSON for machines. Either way each tells which resource it is about."""

from __future__ import annotations

import logging
import sys
from enum import StrEnum
from typing import Final

from pythonjsonlogger.json import JsonFormatter


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


KEY: Final = "key"  # extra={KEY: str(key)}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        key = getattr(record, KEY, "")
        return f"[{key}] {line}" if key else line


def _without_trace(record: logging.LogRecord) -> bool:
    """kopf logs what ended a watch twice, with 40 lines each; what it was is said in one, and by us in the end."""
    if record.name.startswith("kopf."):
        record.exc_info = record.exc_text = None
    return True


def set_up_logging(format_: LogFormat, level: int = logging.INFO) -> None:
    handler = logging.StreamHandler(sys.stderr)
    if format_ is LogFormat.JSON:
        handler.setFormatter(
            JsonFormatter(
                "%(asctime)s %(levelname)s %(name)s %(message)s",
                rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            )
        )
    else:
        handler.setFormatter(_Text("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.addFilter(_without_trace)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # kopf tells every event and every step of its start; what it warns of (a watch that is tried again) is news.
    logging.getLogger("kopf").setLevel(logging.WARNING)
