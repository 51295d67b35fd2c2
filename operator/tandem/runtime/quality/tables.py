"""Tables as batches: csv (also .tsv, also .gz) and parquet, read by Arrow, so that memory does not grow with the data.

Everything in a csv file is read as text first: its types are a question of the rules, not of the first rows.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv  # type: ignore[import-untyped]
import pyarrow.parquet  # type: ignore[import-untyped]

BATCH_ROWS: Final = 65_536
_BLOCK: Final = 8 << 20  # bytes of csv text at a time
# What counts as missing: what pandas takes for it, without the words that are values somewhere (None, N/A stay out).
MISSING: Final = ("", "NA", "NaN", "nan", "null", "NULL", "<NA>")


class Unreadable(Exception):
    """The file is not the table that its name says; the message shows nothing of its content."""


@dataclass
class Table:
    """``columns`` in order; ``ragged``: rows that have more or fewer fields than the header, by number."""

    columns: tuple[str, ...]
    batches: Iterator[pa.RecordBatch]
    ragged: list[int] = field(default_factory=list)
    ragged_count: int = 0


def row_count(file: Path) -> int:
    """Raises: Unreadable."""
    if file.name.lower().endswith(".parquet"):
        with _explained(file):
            return int(pa.parquet.ParquetFile(file).metadata.num_rows)
    table = read(file)
    counted: int = sum(batch.num_rows for batch in table.batches)
    return counted + table.ragged_count


def read(file: Path) -> Table:
    """The table in ``file``; its batches are read as they are asked for.

    Raises:
        Unreadable: also while the batches are read.
    """
    with _explained(file):
        if file.name.lower().endswith(".parquet"):
            parquet = pa.parquet.ParquetFile(file)
            columns = tuple(parquet.schema_arrow.names)
            return Table(_distinct(columns), _batches(file, parquet.iter_batches(BATCH_ROWS)))
        return _read_text(file)


def _read_text(file: Path) -> Table:
    delimiter = "\t" if ".tsv" in file.name.lower() else ","
    columns = _distinct(_header(file, delimiter))
    table = Table(columns, iter(()))

    def ragged(row: Any) -> str:
        table.ragged_count += 1
        if row.number is not None and len(table.ragged) < 10:
            table.ragged.append(row.number)
        return "skip"

    reader = pa.csv.open_csv(
        pa.input_stream(str(file), compression="gzip" if file.name.lower().endswith(".gz") else None),
        read_options=pa.csv.ReadOptions(use_threads=False, block_size=_BLOCK),
        parse_options=pa.csv.ParseOptions(
            delimiter=delimiter,
            newlines_in_values=True,
            invalid_row_handler=ragged,
            ignore_empty_lines=len(columns) > 1,
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(columns, pa.string()),
            null_values=list(MISSING),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    table.batches = _batches(file, reader)
    return table


def _header(file: Path, delimiter: str) -> Sequence[str]:
    opened: IO[str]
    with (
        gzip.open(file, "rt", encoding="utf-8-sig", newline="")
        if file.name.lower().endswith(".gz")
        else file.open(encoding="utf-8-sig", newline="")
    ) as opened:
        header = next(csv.reader(opened, delimiter=delimiter), None)
    if not header:
        raise Unreadable("it is empty: not even a header is in it")
    return header


def _distinct(columns: Sequence[str]) -> tuple[str, ...]:
    twice = next((name for name in columns if list(columns).count(name) > 1), None)
    if twice is not None:
        raise Unreadable(f"it has two columns of the name {twice[:60]!r}")
    return tuple(columns)


def _batches(file: Path, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    with _explained(file):
        yield from batches


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    try:
        yield
    except UnicodeDecodeError:
        raise Unreadable(f"{file.name} is not UTF-8 text") from None
    except (pa.ArrowException, OSError, EOFError, csv.Error, gzip.BadGzipFile, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        kind = "parquet" if file.name.lower().endswith(".parquet") else "csv"
        # Arrow's words may hold a whole row of the file.
        words = str(error).splitlines()[0].partition(": ")[0][:120] if str(error) else type(error).__name__
        raise Unreadable(f"{file.name} is no {kind} file that can be read: {words}") from None
