"""One data set against its checks: batch after batch, so that memory does not grow with the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from tandem.runtime.quality import rules, tables, values
from tandem.runtime.quality.checks import Checks, Column, Type
from tandem.runtime.quality.comparison import comparisons
from tandem.runtime.quality.findings import Finding, Tally, shown
from tandem.runtime.quality.names import is_table
from tandem.runtime.quality.statistics import Gathering, Statistics, hashes_of


class Inspection(msgspec.Struct, frozen=True):
    """``statistics``: None where the tables could not be read."""

    findings: tuple[Finding, ...]
    statistics: Statistics | None = None


def inspect(folder: Path, checks: Checks, digest: str, baseline: Statistics | None) -> Inspection:
    """All that the data set in ``folder`` breaks, worst first: what is missing, then values, then distributions."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and is_table(path.name))
    if not files:
        return Inspection((Finding("STATS_NOT_AVAILABLE", "has no csv or parquet file to check"),))
    try:
        types, findings = _types(files, checks)
        reader = _Reader(checks, types)
        for file in files:
            reader.read(file)
    except tables.Unreadable as error:
        return Inspection((Finding("STATS_NOT_AVAILABLE", str(error)),))
    statistics = reader.statistics(digest)
    found = (*findings, *reader.findings(), *_of_rows(checks, statistics.rows))
    return Inspection((*found, *comparisons(checks, statistics, baseline)), statistics)


def _types(files: Sequence[Path], checks: Checks) -> tuple[dict[str, Type], list[Finding]]:
    """The type of each column that can be checked: declared, or else what all its values have; and what is amiss."""
    findings: list[Finding] = []
    types: dict[str, Type] = {}
    candidates: dict[str, tuple[Type, ...]] = {}
    unread: set[str] = set()  # of another type than declared, or of one that no rule can speak of, in one file at least
    first: tuple[str, ...] | None = None
    for file in files:
        table = tables.read(file)
        if first is not None and set(first) != set(table.columns):
            odd = ", ".join(shown(name) for name in sorted(set(first) ^ set(table.columns))[:3])
            findings.append(Finding("SCHEMA_MISSING_COLUMN", f"{shown(file.name)} has other columns: {odd}"))
        first = first or table.columns
        declared = {column.name: column.type for column in checks.columns if column.type}
        inferred = [name for name in table.columns if name not in declared]
        text = not file.name.lower().endswith(".parquet")
        for batch in table.batches:
            for name in inferred if text else ():
                known = candidates.get(name, values.CANDIDATES)
                candidates[name] = values.narrowed(batch.column(name), known)
            if not text:
                for field in batch.schema:
                    found = values.type_of(field.type)
                    amiss = [*_declared_type(field.name, found, declared, types, file)]
                    if found is None and field.name not in declared:
                        amiss += _opaque(field, checks, file)
                    unread |= {field.name} if amiss or found is None else set()
                    findings += amiss
                break  # one batch has the schema of all
        types |= {name: type_ for name, type_ in declared.items() if name in table.columns and type_} if text else {}
    types |= {name: known[0] for name, known in candidates.items() if known}
    types = {name: type_ for name, type_ in types.items() if name not in unread}
    return types, [*_columns(checks, first or ()), *dict.fromkeys(findings)]


def _declared_type(
    name: str, found: Type | None, declared: dict[str, Type], types: dict[str, Type], file: Path
) -> Iterator[Finding]:
    wanted = declared.get(name)
    if found is not None and (wanted is None or values.fits(found, wanted)):
        types[name] = wanted or found
    elif wanted is not None:
        holds = found or "something that no rule can speak of"
        yield Finding("UNEXPECTED_DATA_TYPE", f"is {holds} in {shown(file.name)}, declared is {wanted}", name)


def _opaque(field: Any, checks: Checks, file: Path) -> Iterator[Finding]:
    """What cannot be checked fails where something is asked of it: also that no value is missing."""
    column = checks.column(field.name)
    keyed = field.name in checks.unique
    if keyed or (column is not None and _asks(column)):
        how = 'nullable: true and minPresence: "0" alone ask nothing of it'
        words = f"is {shown(field.type)} in {shown(file.name)}, of which no rule can speak"
        yield Finding("UNEXPECTED_DATA_TYPE", words if keyed else f"{words}; {how}", field.name)


def _asks(column: Column) -> bool:
    """Whether anything is asked of its values."""
    nothing = Column(name=column.name, required=column.required, nullable=True, min_presence=column.min_presence)
    return column != nothing or column.min_presence is None or float(column.min_presence) > 0


def _columns(checks: Checks, there: Sequence[str]) -> Iterator[Finding]:
    declared = [column.name for column in checks.columns]
    for column in checks.columns:
        if column.name not in there and column.required:
            yield Finding("SCHEMA_MISSING_COLUMN", "is missing; set required: false if it may be", column.name)
    for name in checks.unique:
        of_key = checks.column(name)
        if name not in there and (of_key is None or not of_key.required):
            yield Finding("SCHEMA_MISSING_COLUMN", "is missing, and is part of unique", name)
    if declared and checks.unexpected_columns == "Refuse":
        for name in there:
            if name not in declared:
                told = "is not declared; declare it, or set unexpectedColumns: Allow"
                yield Finding("SCHEMA_NEW_COLUMN", told, name)


def _of_rows(checks: Checks, rows: int) -> Iterator[Finding]:
    if checks.min_rows is not None and rows < checks.min_rows:
        yield Finding("DATASET_LOW_NUM_EXAMPLES", f"has {rows} rows, minRows is {checks.min_rows}")
    if checks.max_rows is not None and rows > checks.max_rows:
        yield Finding("DATASET_HIGH_NUM_EXAMPLES", f"has {rows} rows, maxRows is {checks.max_rows}")


class _Reader:
    def __init__(self, checks: Checks, types: dict[str, Type]) -> None:
        self._checks = checks
        self._columns = {
            name: msgspec.structs.replace(checks.column(name) or Column(name=name, nullable=True), type=type_)
            for name, type_ in types.items()
        }
        self._gathered = {name: Gathering(type_) for name, type_ in types.items()}
        self._schemas = {name: rules.schema_of(column) for name, column in self._columns.items()}
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._key = Gathering("String")
        self._rows = 0
        self._ragged: list[tuple[str, tables.Table]] = []

    def read(self, file: Path) -> None:
        table = tables.read(file)
        self._ragged.append((file.name, table))
        for batch in table.batches:
            self._rows += batch.num_rows
            typed = {}
            for name in batch.schema.names:
                if name in self._columns:
                    typed[name] = self._column(self._columns[name], batch.column(name))
            if self._checks.unique and all(name in typed for name in self._checks.unique):
                self._together([typed[name] for name in self._checks.unique])

    def _column(self, column: Column, raw: object) -> pd.Series:
        assert column.type is not None
        series, odd = values.typed(raw, column.type)
        if odd.any():
            text = raw.to_pandas()  # type: ignore[attr-defined]
            self._tally(column.name, "type").add(int(odd.sum()), text[odd.to_numpy()][:3])
        # What has no type is told once: it is not missing as well.
        fine = series[~odd.to_numpy()]
        again = self._gathered[column.name].add(fine)
        if column.unique and again.any():
            self._tally(column.name, "unique").add(int(again.sum()), fine[again.to_numpy()][:3])
        for name, count, examples in rules.broken(self._schemas[column.name], fine.to_frame(column.name)):
            self._tally(column.name, name).add(count, [] if name == "not_nullable" else examples)
        if column.values and column.min_domain_mass is not None:
            present = fine.dropna()
            outside = present[~rules.in_domain(column, present).to_numpy(dtype=bool)]
            self._tally(column.name, "mass").add(len(outside), outside[:3])
        return series

    def _together(self, key: Sequence[pd.Series]) -> None:
        hashes = [pd.Series(hashes_of(series.reset_index(drop=True))).astype("string") for series in key]
        joined = hashes[0].str.cat(hashes[1:], sep="/")
        again = self._key.add(joined)
        self._tally("", "unique").add(int(again.sum()), [])

    def _tally(self, column: str, rule: str) -> Tally:
        return self._tallies.setdefault((column, rule), Tally())

    def statistics(self, digest: str) -> Statistics:
        ragged = sum(table.ragged_count for _, table in self._ragged)
        columns = {name: gathering.finished() for name, gathering in self._gathered.items()}
        return Statistics(digest=digest, rows=self._rows + ragged, columns=columns)

    def findings(self) -> Iterator[Finding]:
        for name, table in self._ragged:
            if table.ragged_count:
                numbers = tuple(f"row {number}" for number in table.ragged[:3])
                words = f"{table.ragged_count} rows of {shown(name)} have more or fewer fields than its header"
                yield Finding("STATS_NOT_AVAILABLE", words, examples=numbers)
        for column in self._columns.values():
            yield from self._of_column(column)
        together = self._tallies.get(("", "unique"))
        if together and together.count:
            words = f"{together.count} of {self._rows} rows repeat what is unique: {', '.join(self._checks.unique)}"
            yield Finding("FEATURE_TYPE_LOW_UNIQUE", words)

    def _of_column(self, column: Column) -> Iterator[Finding]:
        gathered, known = self._gathered[column.name], rules.rules_of(column)
        total = self._rows

        def told(kind: str, words: str, tally: Tally) -> Finding:
            return Finding(kind, words, column.name, tally.count, total, tally.examples)

        for (name, rule), tally in self._tallies.items():
            if name != column.name or not tally.count:
                continue
            if rule == "type":
                yield told("UNEXPECTED_DATA_TYPE", f"are not {column.type}", tally)
            elif rule == "unique":
                yield told("FEATURE_TYPE_LOW_UNIQUE", "were there before, and the column is unique", tally)
            elif rule in known:
                yield told(known[rule].kind, known[rule].words, tally)
            elif rule == "mass" and gathered.count:
                share = 1 - tally.count / gathered.count
                if share < float(column.min_domain_mass or 0):
                    words = f"are none of those declared; {share:.4g} are, minDomainMass is {column.min_domain_mass}"
                    yield told("ENUM_TYPE_UNEXPECTED_STRING_VALUES", words, tally)
        yield from self._of_presence(column, gathered)
        yield from self._of_distinct(column, gathered)

    def _of_presence(self, column: Column, gathered: Gathering) -> Iterator[Finding]:
        declared = self._checks.column(column.name)
        if declared is None or not self._rows:
            return
        wanted = declared.min_presence
        present = gathered.count / self._rows
        if wanted is not None and present < float(wanted):
            words = f"has a value in {present:.4g} of the rows, minPresence is {wanted}"
            yield Finding("FEATURE_TYPE_LOW_FRACTION_PRESENT", words, column.name)
        elif wanted is None and declared.nullable and gathered.count == 0:
            words = 'has no value at all; set minPresence: "0" if that is meant'
            yield Finding("FEATURE_TYPE_NOT_PRESENT", words, column.name)

    def _of_distinct(self, column: Column, gathered: Gathering) -> Iterator[Finding]:
        if column.min_unique is not None and gathered.distinct < column.min_unique:
            words = f"has {gathered.distinct} distinct values, minUnique is {column.min_unique}"
            yield Finding("FEATURE_TYPE_LOW_UNIQUE", words, column.name)
        if column.max_unique is not None and gathered.distinct > column.max_unique:
            words = f"has {gathered.distinct} distinct values, maxUnique is {column.max_unique}"
            yield Finding("FEATURE_TYPE_HIGH_UNIQUE", words, column.name)
