"""Which files are tables, by their names."""

from __future__ import annotations

from typing import Final

_TEXT: Final = (".csv", ".tsv")
_SUFFIXES: Final = (*_TEXT, *(f"{suffix}.gz" for suffix in _TEXT), ".parquet")


def is_table(path: str) -> bool:
    """Hidden files and those that Spark and Hive put beside their tables are none."""
    name = path.rsplit("/", 1)[-1]
    return name.lower().endswith(_SUFFIXES) and not name.startswith((".", "_"))
