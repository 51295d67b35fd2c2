# ruff: noqa: E501  # one case a line
"""What is wrong with a data set is found and told: each anomaly of TFDV's list that a table can have.

TFDV's list is docs/anomalies.md of tensorflow/data-validation. What is not here has no meaning for tables: value counts
(LOW|HIGH_NUMBER_VALUES), images, embeddings, sequences, natural language; environments and life cycles of a schema.
LOW_NUMBER_PRESENT is told as NOT_PRESENT where it is none; any other number is a share (minPresence) of so many rows.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.parquet as pq  # type: ignore[import-untyped]
import pytest

from tandem.runtime.quality import tables
from tandem.runtime.quality.checks import Checks
from tandem.runtime.quality.inspection import Inspection, inspect
from tandem.runtime.quality.statistics import Statistics

GOOD = "id,sepal,species,picked\n1,5.1,setosa,2026-01-01\n2,4.9,virginica,2026-01-02\n3,6.0,setosa,2026-01-03\n"


def checks(**fields: Any) -> Checks:
    return msgspec.convert(fields, Checks)


def column(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, **fields}


def look(
    folder: Path, text: str | bytes | Mapping[str, str], baseline: Statistics | None = None, **fields: Any
) -> Inspection:
    files = text if isinstance(text, Mapping) else {"data.csv": text}
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return inspect(folder, checks(**fields), "sha256:0", baseline)


@dataclass(frozen=True)
class Case:
    """A csv file, what is declared of it, and what is told: TFDV's kind and the words; nothing when it is fine."""

    title: str
    text: str
    declared: Mapping[str, Any]
    kind: str = ""
    words: str = ""
    others: tuple[str, ...] = field(default=())


def one(name: str, *values: str) -> str:
    """A table of one column."""
    return "\n".join([name, *values]) + "\n"


def only(name: str, **fields: Any) -> dict[str, Any]:
    return {"columns": [column(name, **fields)]}


SCHEMA = {
    "columns": [
        column("id", type="Integer", unique=True),
        column("sepal", type="Float", min="0", max="10"),
        column("species", type="String", values=["setosa", "virginica"]),
        column("picked", type="Timestamp"),
    ],
    "minRows": 1,
    "maxRows": 3,
    "unique": ["species", "picked"],
}

CASES = [
    Case("everything as declared", GOOD, SCHEMA),
    Case("nothing declared", GOOD, {}),
    # --- columns
    Case(
        "a new column",
        "a,b\n1,2\n",
        only("a", type="Integer"),
        "SCHEMA_NEW_COLUMN",
        "column b: is not declared; declare it, or set unexpectedColumns: Allow",
    ),
    Case("a new column that is allowed", "a,b\n1,2\n", {**only("a"), "unexpectedColumns": "Allow"}),
    Case("a missing column", "a\n1\n", {"columns": [column("a"), column("b")]}, "SCHEMA_MISSING_COLUMN", "column b: is missing"),
    Case("a missing column that may be", "a\n1\n", {"columns": [column("a"), column("b", required=False)]}),
    Case("a column in other letters", "A\n1\n", only("a"), "SCHEMA_MISSING_COLUMN", "column a: is missing", ("SCHEMA_NEW_COLUMN",)),
    # --- types
    Case("text in a number", one("a", "1", "x1", "2"), only("a", type="Integer"), "UNEXPECTED_DATA_TYPE", "column a: 1 of 3 values are not Integer (x1)"),
    Case("a fraction in a whole number", one("a", "1", "2.5"), only("a", type="Integer"), "UNEXPECTED_DATA_TYPE", "(2.5)"),
    Case("a whole number in a fraction", one("a", "1", "2.5"), only("a", type="Float")),
    Case("a number beyond 64 bits", one("a", "9" * 30), only("a", type="Integer"), "UNEXPECTED_DATA_TYPE", "1 of 1"),
    Case("a number with a thousands separator", one("a", '"1,000"'), only("a", type="Float"), "UNEXPECTED_DATA_TYPE", "(1,000)"),
    Case("no date", one("a", "2026-01-01", "yesterday"), only("a", type="Timestamp"), "UNEXPECTED_DATA_TYPE", "(yesterday)"),
    Case("a day that does not exist", one("a", "2026-02-30"), only("a", type="Timestamp"), "UNEXPECTED_DATA_TYPE", "(2026-02-30)"),
    # BOOL_TYPE_UNEXPECTED_STRING_VALUES, BOOL_TYPE_BIG_INT, BOOL_TYPE_SMALL_INT, BOOL_TYPE_INVALID_CONFIG
    Case("truth in every spelling", one("a", "true", "False", "1", "0", "TRUE"), only("a", type="Boolean")),
    Case("a truth value that is none", one("a", "true", "yes"), only("a", type="Boolean"), "UNEXPECTED_DATA_TYPE", "(yes)"),
    Case("a truth value that is too big", one("a", "1", "2"), only("a", type="Boolean"), "UNEXPECTED_DATA_TYPE", "(2)"),
    Case("a truth value that is too small", one("a", "0", "-1"), only("a", type="Boolean"), "UNEXPECTED_DATA_TYPE", "(-1)"),
    # --- presence
    Case("a missing value", "a,b\n1,x\n,y\n", only("a", type="Integer") | {"unexpectedColumns": "Allow"}, "FEATURE_TYPE_LOW_FRACTION_PRESENT", "column a: 1 of 2 values are missing"),
    Case("every spelling of missing", "a,b\n,1\nNA,1\nNaN,1\nnull,1\n", only("a", type="Float") | {"unexpectedColumns": "Allow"}, "FEATURE_TYPE_LOW_FRACTION_PRESENT", "4 of 4"),
    Case("a missing value that may be", "a,b\n1,x\n,y\n", only("a", nullable=True) | {"unexpectedColumns": "Allow"}),
    Case("fewer values than asked for", "a,b\n1,x\n,y\n,z\n", only("a", nullable=True, minPresence="0.5") | {"unexpectedColumns": "Allow"}, "FEATURE_TYPE_LOW_FRACTION_PRESENT", "has a value in 0.3333 of the rows, minPresence is 0.5"),
    Case("just as many values as asked for", "a,b\n1,x\n,y\n", only("a", nullable=True, minPresence="0.5") | {"unexpectedColumns": "Allow"}),
    Case("no value at all", "a,b\n,x\n,y\n", only("a", nullable=True) | {"unexpectedColumns": "Allow"}, "FEATURE_TYPE_NOT_PRESENT", "has no value at all"),
    Case("no value at all, and meant", "a,b\n,x\n", only("a", nullable=True, minPresence="0") | {"unexpectedColumns": "Allow"}),
    # --- ranges: INT_TYPE_BIG_INT, INT_TYPE_SMALL_INT, FLOAT_TYPE_BIG_FLOAT, FLOAT_TYPE_SMALL_FLOAT
    Case("a whole number too small", one("a", "0", "-1"), only("a", type="Integer", min="0"), "INT_TYPE_SMALL_INT", "1 of 2 values are below min 0 (-1)"),
    Case("a whole number too big", one("a", "3", "4"), only("a", type="Integer", max="3"), "INT_TYPE_BIG_INT", "are above max 3 (4)"),
    Case("a fraction too small", one("a", "0.5", "0.4"), only("a", type="Float", min="0.5"), "FLOAT_TYPE_SMALL_FLOAT", "(0.4)"),
    Case("a fraction too big", one("a", "0.5", "0.6"), only("a", type="Float", max="0.5"), "FLOAT_TYPE_BIG_FLOAT", "(0.6)"),
    Case("the bounds themselves", one("a", "0", "1"), only("a", type="Integer", min="0", max="1")),
    Case("a bound that no double can tell", one("a", "9007199254740993"), only("a", type="Integer", max="9007199254740992"), "INT_TYPE_BIG_INT", "(9007199254740993)"),
    # --- FLOAT_TYPE_HAS_INF, FLOAT_TYPE_HAS_NAN (which is a missing value here)
    Case("an infinite number", one("a", "1", "inf", "-inf"), only("a", type="Float"), "FLOAT_TYPE_HAS_INF", "2 of 3 values are infinite"),
    Case("an infinite number that may be", one("a", "1", "inf"), only("a", type="Float", allowInfinite=True)),
    Case("an infinite number above a bound", one("a", "inf"), only("a", type="Float", max="5", allowInfinite=True), "FLOAT_TYPE_BIG_FLOAT", "above max 5"),
    Case("not a number", one("a", "1", "NaN"), only("a", type="Float"), "FEATURE_TYPE_LOW_FRACTION_PRESENT", "1 of 2 values are missing"),
    # --- domains
    Case("a value outside of the domain", one("a", "x", "z"), only("a", values=["x", "y"]), "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "1 of 2 values are none of the 2 values declared (z)"),
    Case("a value in other letters", one("a", "X"), only("a", values=["x"]), "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "(X)"),
    Case("a number outside of the domain", one("a", "1", "2", "5"), only("a", type="Integer", values=["1", "2"]), "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "(5)"),
    Case("too many outside of the domain", one("a", "x", "x", "z", "w"), only("a", values=["x"], minDomainMass="0.75"), "ENUM_TYPE_UNEXPECTED_STRING_VALUES", "2 of 4 values are none of those declared; 0.5 are, minDomainMass is 0.75 (z, w)"),
    Case("few enough outside of the domain", one("a", "x", "x", "x", "z"), only("a", values=["x"], minDomainMass="0.75")),
    Case("a value that does not match", one("a", "A-1", "A-1b"), only("a", type="String", pattern="[A-Z]-[0-9]"), "STRING_TYPE_PATTERN", "1 of 2 values do not match pattern [A-Z]-[0-9] (A-1b)"),
    # --- FEATURE_TYPE_LOW_UNIQUE, FEATURE_TYPE_HIGH_UNIQUE
    Case("a value twice", one("a", "1", "2", "1", "1"), only("a", unique=True), "FEATURE_TYPE_LOW_UNIQUE", "2 of 4 values were there before, and the column is unique (1)"),
    Case("missing values are not the same", "a,b\n,x\n,y\n1,z\n", only("a", unique=True, nullable=True) | {"unexpectedColumns": "Allow"}),
    Case("too few distinct values", one("a", "x", "x"), only("a", minUnique=2), "FEATURE_TYPE_LOW_UNIQUE", "has 1 distinct values, minUnique is 2"),
    Case("too many distinct values", one("a", "x", "y"), only("a", maxUnique=1), "FEATURE_TYPE_HIGH_UNIQUE", "has 2 distinct values, maxUnique is 1"),
    Case("a key twice", "a,b\n1,x\n1,y\n1,x\n", {"unique": ["a", "b"]}, "FEATURE_TYPE_LOW_UNIQUE", "1 of 3 rows repeat what is unique: a, b"),
    Case("a key of a column that may be missing, and is", "a\n1\n", {"unique": ["a", "b"], "columns": [column("a"), column("b", required=False)]}, "SCHEMA_MISSING_COLUMN", "column b: is missing, and is part of unique"),
    Case("a key of a column that is not there", "a\n1\n", {"unique": ["a", "b"]}, "SCHEMA_MISSING_COLUMN", "column b: is missing, and is part of unique"),
    # --- DATASET_LOW_NUM_EXAMPLES, DATASET_HIGH_NUM_EXAMPLES
    Case("too few rows", one("a", "1"), {"minRows": 2}, "DATASET_LOW_NUM_EXAMPLES", "has 1 rows, minRows is 2"),
    Case("too many rows", one("a", "1", "2"), {"maxRows": 1}, "DATASET_HIGH_NUM_EXAMPLES", "has 2 rows, maxRows is 1"),
    Case("a header and no rows", "a\n", {"minRows": 1}, "DATASET_LOW_NUM_EXAMPLES", "has 0 rows"),
    Case("a header and no rows, and nothing asked", "a\n", only("a", type="Integer")),
    # --- STATS_NOT_AVAILABLE
    Case("an empty file", "", {}, "STATS_NOT_AVAILABLE", "not even a header"),
    Case("two columns of one name", "a,a\n1,2\n", {}, "STATS_NOT_AVAILABLE", "two columns of the name 'a'"),
    Case("a row with too many fields", "a,b\n1,2\n1,2,3\n", {}, "STATS_NOT_AVAILABLE", "1 rows of data.csv have more or fewer fields than its header (row 3)"),
    Case("a row with too few fields", "a,b\n1\n", {}, "STATS_NOT_AVAILABLE", "1 rows of data.csv"),
    # --- what looks odd and is fine
    Case("quotes, commas and line breaks in a value", 'a,b\n"x, ""y""\nz",2\n', {"columns": [column("a", type="String"), column("b", type="Integer")]}),
    Case("a byte order mark", "\ufeffa\n1\n", only("a", type="Integer")),
    Case("the ends of lines of Windows", "a,b\r\n1,2\r\n", {"columns": [column("a", type="Integer"), column("b", type="Integer")]}),
    Case("spaces around a number", one("a", " 1 "), only("a", type="Integer")),
    Case("the word None is a value", one("a", "None"), only("a", type="String")),
    Case("an empty text in quotes is a value", 'a,b\n"",1\n', only("a", type="String") | {"unexpectedColumns": "Allow"}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.title)
def test_each_anomaly_is_found_and_told_and_nothing_else(tmp_path: Path, case: Case) -> None:
    found = look(tmp_path, case.text, **case.declared).findings
    kinds = {case.kind, *case.others} if case.kind else set()
    assert {finding.kind for finding in found} == kinds, found
    assert case.words in " | ".join(map(str, found))


def test_nothing_but_tables_is_nothing_to_check(tmp_path: Path) -> None:
    [finding] = look(tmp_path, {"README.md": "x", ".hidden.csv": "a\n1\n", "_SUCCESS": ""}).findings
    assert (finding.kind, str(finding)) == ("STATS_NOT_AVAILABLE", "has no csv or parquet file to check")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("data.csv", b"a\n\xff\xfe\x00\n", "data.csv"),
        ("data.parquet", b"PAR1 no", "data.parquet is no parquet file that can be read"),
        ("data.csv.gz", b"no gzip", "data.csv.gz is no csv file that can be read"),
        ("data.csv.gz", gzip.compress(b"a\n" + b"1\n" * 5000)[:-20], "data.csv.gz is no csv file that can be read"),
    ],
    ids=["no text", "no parquet", "no gzip", "a gzip that breaks off"],
)
def test_a_file_that_is_not_what_its_name_says_is_told(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    [finding] = inspect(tmp_path, checks(), "", None).findings
    assert finding.kind == "STATS_NOT_AVAILABLE"
    assert says in str(finding)


def test_examples_are_few_short_and_never_a_row(tmp_path: Path) -> None:
    secret = "hunter2"
    rows = "".join(f"{secret},{'x' * 500}{number}\n" for number in range(100))
    [finding] = look(tmp_path, f"a,b\n{rows}", columns=[column("a"), column("b", values=["y"])]).findings
    assert (finding.count, finding.total, len(finding.examples)) == (100, 100, 1)  # alike once they are cut
    assert all(len(example) <= 40 for example in finding.examples)
    assert secret not in str(finding)


def test_a_broken_row_is_told_by_its_number_and_not_by_its_text(tmp_path: Path) -> None:
    [finding] = look(tmp_path, "a,b\n1,2\nhunter2,3,4\n").findings
    assert "hunter2" not in str(finding)


def test_a_terminal_obeys_nothing_of_an_example(tmp_path: Path) -> None:
    [finding] = look(tmp_path, one("a", "\x1b[31mred"), **only("a", values=["x"])).findings
    assert "\x1b" not in str(finding)


def test_all_files_of_a_folder_are_one_table(tmp_path: Path) -> None:
    (tmp_path / "a=1").mkdir()
    found = look(
        tmp_path,
        {"p0.csv": one("id", "1", "2"), "a=1/p1.csv": one("id", "2")},
        columns=[column("id", type="Integer", unique=True)],
        maxRows=2,
    )
    assert [finding.kind for finding in found.findings] == ["FEATURE_TYPE_LOW_UNIQUE", "DATASET_HIGH_NUM_EXAMPLES"]


def test_a_file_with_other_columns_than_its_neighbours_is_told(tmp_path: Path) -> None:
    found = look(tmp_path, {"p0.csv": "a,b\n1,2\n", "p1.csv": "a,c\n1,2\n"})
    assert "p1.csv has other columns: b, c" in str(found.findings[0])


def test_what_breaks_a_rule_is_found_in_every_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "_BLOCK", 64)
    text = one("a", *[str(number % 50) for number in range(200)])
    [finding] = look(tmp_path, text, **only("a", type="Integer", max="48")).findings
    assert (finding.count, finding.total, finding.examples) == (4, 200, ("49",))


# --- Parquet ---------------------------------------------------------------------------------------------------------


def parquet(folder: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), folder / "data.parquet")
    return folder


WHEN = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "declared", "kind"),
    [
        (pa.array([1, 2], pa.int8()), {"type": "Integer"}, ""),
        (pa.array([1, None], pa.int64()), {"type": "Integer"}, "FEATURE_TYPE_LOW_FRACTION_PRESENT"),
        (pa.array([1, 2**62 + 1], pa.int64()), {"type": "Integer", "max": str(2**62)}, "INT_TYPE_BIG_INT"),
        (pa.array([1, 2], pa.int32()), {"type": "Float", "min": "0"}, ""),
        (pa.array([1.5], pa.float32()), {"type": "Integer"}, "UNEXPECTED_DATA_TYPE"),
        (pa.array([1.5, float("nan")]), {"type": "Float"}, "FEATURE_TYPE_LOW_FRACTION_PRESENT"),
        (pa.array([1.5, float("inf")]), {"type": "Float"}, "FLOAT_TYPE_HAS_INF"),
        (pa.array(["1"]), {"type": "String"}, ""),
        (pa.array(["1"]), {"type": "Integer"}, "UNEXPECTED_DATA_TYPE"),
        (pa.array(["x", "y"]).dictionary_encode(), {"type": "String", "values": ["x"]}, "ENUM_TYPE_UNEXPECTED_STRING_VALUES"),
        (pa.array([True, None]), {"type": "Boolean", "nullable": True}, ""),
        (pa.array([WHEN]), {"type": "Timestamp"}, ""),
        (pa.array([WHEN.date()]), {"type": "Timestamp"}, ""),
        (pa.array([WHEN]), {"type": "String"}, "UNEXPECTED_DATA_TYPE"),
        (pa.array([[1]]), {"type": "Integer"}, "UNEXPECTED_DATA_TYPE"),
    ],
    ids=str,
)  # fmt: skip
def test_a_column_of_parquet_has_the_type_that_the_file_says(
    tmp_path: Path, values: Any, declared: dict[str, Any], kind: str
) -> None:
    found = inspect(parquet(tmp_path, a=values), checks(columns=[column("a", **declared)]), "", None)
    assert {finding.kind for finding in found.findings} == ({kind} if kind else set()), found.findings


BYTES, LIST = pa.array([b"x", None]), pa.array([[1], [2]])


@pytest.mark.parametrize(
    ("values", "declared", "words"),
    [
        (BYTES, only("a"), "column a: is binary in data.parquet, of which no rule can speak; nullable: true and"),
        (LIST, only("a"), "is list<element: int64>"),
        (pa.array([{"x": 1}, None]), only("a"), "is struct<x: int64>"),
        (pa.array([None, None]), only("a"), "is null"),
        (LIST, only("a", unique=True, nullable=True, minPresence="0"), "is list"),
        (LIST, only("a", values=["x"], nullable=True, minPresence="0"), "is list"),
        (LIST, only("a", nullable=True), "is list"),
        (LIST, only("a", nullable=True, minPresence="0.5"), "is list"),
        (LIST, only("a", drift={"lInfinity": "0.1"}, nullable=True, minPresence="0"), "is list"),
        (LIST, {"unique": ["a", "b"]}, "is list<element: int64> in data.parquet, of which no rule can speak"),
        (LIST, only("a", nullable=True, minPresence="0") | {"unique": ["a"]}, "is list"),
        (LIST, only("a", nullable=True, minPresence="0"), ""),
        (LIST, {}, ""),
        (LIST, only("b"), ""),
    ],
)
def test_what_is_asked_of_a_column_that_no_rule_can_speak_of_fails(
    tmp_path: Path, values: Any, declared: dict[str, Any], words: str
) -> None:
    found = inspect(
        parquet(tmp_path, a=values, b=pa.array([1, 2])), checks(**{"unexpectedColumns": "Allow"} | declared), "", None
    ).findings
    assert {finding.kind for finding in found} == ({"UNEXPECTED_DATA_TYPE"} if words else set()), found
    assert words in " | ".join(map(str, found))


@pytest.mark.parametrize("declared", [only("a"), only("a", type="String")], ids=["no type", "its type"])
def test_a_column_that_no_rule_can_speak_of_in_one_of_two_files_is_told_and_breaks_nothing(
    tmp_path: Path, declared: dict[str, Any]
) -> None:
    pq.write_table(pa.table({"a": pa.array([b"\xff"])}), tmp_path / "p0.parquet")
    pq.write_table(pa.table({"a": pa.array(["x"])}), tmp_path / "p1.parquet")
    [finding] = inspect(tmp_path, checks(**declared), "", None).findings
    assert (finding.kind, finding.column) == ("UNEXPECTED_DATA_TYPE", "a")
    assert "p0.parquet" in str(finding)


# --- what is kept ----------------------------------------------------------------------------------------------------


def test_the_schema_and_the_distributions_are_inferred_and_kept(tmp_path: Path) -> None:
    kept = look(tmp_path, GOOD).statistics
    assert kept is not None
    assert (kept.rows, kept.digest) == (3, "sha256:0")
    types = {name: told.type for name, told in kept.columns.items()}
    assert types == {"id": "Integer", "sepal": "Float", "species": "String", "picked": "Timestamp"}
    assert kept.columns["species"].values == {"setosa": 2, "virginica": 1}
    assert (kept.columns["sepal"].quantiles[0], kept.columns["sepal"].quantiles[-1]) == (4.9, 6.0)
    assert kept.columns["sepal"].mean == pytest.approx(5.333, abs=0.001)
    assert msgspec.json.decode(msgspec.json.encode(kept), type=Statistics) == kept


def test_what_is_kept_stays_small_and_holds_no_identifiers(tmp_path: Path) -> None:
    text = one("a", *[f"user-{number}" for number in range(5_000)])
    kept = look(tmp_path, text).statistics
    assert kept is not None
    assert len(kept.columns["a"].values) == 1_000
    assert kept.columns["a"].other == 4_000
    assert kept.columns["a"].distinct == 5_000
