"""How many rows a data set has, where that can be told: csv and parquet files."""

from __future__ import annotations

from pathlib import Path

from tandem.runtime.manifest import Manifest
from tandem.runtime.quality.names import is_table


def of(folder: Path, manifest: Manifest) -> int | None:
    """The rows of all tables in the data set; None when there is no table, or one that cannot be read."""
    tables = [folder / file.path for file in manifest.files if is_table(file.path)]
    if not tables:
        return None
    from tandem.runtime.quality.tables import Unreadable, row_count  # Arrow: only where there is something to count

    try:
        return sum(row_count(table) for table in tables)
    except Unreadable:
        return None
