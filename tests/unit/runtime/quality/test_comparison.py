# ruff: noqa: E501  # one case a line
"""A data set is compared with the one before it; what cannot be compared fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tandem.runtime.quality.checks import Checks
from tandem.runtime.quality.findings import Finding
from tandem.runtime.quality.inspection import inspect
from tandem.runtime.quality.statistics import Statistics


def kept(folder: Path, text: str) -> Statistics:
    folder.mkdir(exist_ok=True)
    (folder / "data.csv").write_text(text)
    found = inspect(folder, Checks(), "", None).statistics
    assert found is not None
    return found


def compared(folder: Path, before: str, now: str, **fields: Any) -> tuple[Finding, ...]:
    (folder / "now").mkdir()
    (folder / "now" / "data.csv").write_text(now)
    checks = msgspec.convert({"baseline": "Previous", **fields}, Checks)
    return inspect(folder / "now", checks, "", kept(folder / "before", before)).findings


def table(name: str, *values: object) -> str:
    return "\n".join([name, *map(str, values)]) + "\n"


def limit(**drift: str) -> dict[str, Any]:
    return {"columns": [{"name": "a", "drift": drift}]}


OTHERS: dict[str, Any] = {"columns": [{"name": "a", "type": "Float"}], "unexpectedColumns": "Allow"}
HALF = table("a", *"xxyy")
MOSTLY = table("a", *"xxxy")

TABLE = [
    ("the same", HALF, HALF, limit(lInfinity="0", jensenShannon="0"), "", ""),
    ("L-infinity at its limit", HALF, MOSTLY, limit(lInfinity="0.25"), "", ""),
    ("L-infinity above its limit", HALF, MOSTLY, limit(lInfinity="0.24"), "COMPARATOR_L_INFTY_HIGH", "lInfinity 0.25, at most 0.24 passes (most: x)"),
    ("a value that is new", HALF, table("a", *"xyzz"), limit(lInfinity="0.4"), "COMPARATOR_L_INFTY_HIGH", "most: z"),
    ("Jensen-Shannon of categories", HALF, table("a", *"zzzz"), limit(jensenShannon="0.99"), "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH", "jensenShannon 1,"),
    ("Jensen-Shannon of numbers", table("a", *range(100)), table("a", *range(200, 300)), limit(jensenShannon="0.9"), "COMPARATOR_JENSEN_SHANNON_DIVERGENCE_HIGH", "has moved"),
    ("numbers that have not moved", table("a", *range(100)), table("a", *range(100)), limit(jensenShannon="0.001", kolmogorovSmirnov="0.01"), "", ""),
    ("Kolmogorov-Smirnov", table("a", *range(100)), table("a", *range(50, 150)), limit(kolmogorovSmirnov="0.45"), "COMPARATOR_KOLMOGOROV_SMIRNOV_HIGH", "kolmogorovSmirnov 0.5"),
    ("times", table("a", "2026-01-01", "2026-01-02"), table("a", "2026-02-01", "2026-02-02"), limit(kolmogorovSmirnov="0.5"), "COMPARATOR_KOLMOGOROV_SMIRNOV_HIGH", "has moved"),
    ("no values now", HALF, "a,b\n,1\n", {"columns": [{"name": "a", "nullable": True, "minPresence": "0", "drift": {"lInfinity": "1"}}], "unexpectedColumns": "Allow"}, "COMPARATOR_TREATMENT_DATA_MISSING", "it has no values"),
    ("no values before", "a,b\n,1\n", HALF, limit(lInfinity="1"), "COMPARATOR_CONTROL_DATA_MISSING", "the previous data had none"),
    ("no such column before", table("b", 1), HALF, limit(lInfinity="1"), "COMPARATOR_CONTROL_DATA_MISSING", "the previous data had none"),
    ("numbers that were words", HALF, table("a", 1.5, 2.5), limit(kolmogorovSmirnov="1"), "COMPARATOR_CONTROL_DATA_MISSING", "cannot be compared by kolmogorovSmirnov: it is Float, and was String"),
    ("words by a distance of numbers", HALF, HALF, limit(kolmogorovSmirnov="1"), "COMPARATOR_CONTROL_DATA_MISSING", "cannot be compared"),
    ("fractions by a distance of categories", table("a", 1.5), table("a", 1.5), limit(lInfinity="1"), "COMPARATOR_CONTROL_DATA_MISSING", "cannot be compared"),
    ("fewer rows", table("a", 1, 2, 3, 4), table("a", 1), {"rowRatio": {"min": "0.5"}}, "COMPARATOR_LOW_NUM_EXAMPLES", "has 1 rows, 0.25 of the 4 before; rowRatio.min is 0.5"),
    ("more rows", table("a", 1), table("a", 1, 2, 3), {"rowRatio": {"max": "2"}}, "COMPARATOR_HIGH_NUM_EXAMPLES", "rowRatio.max is 2"),
    ("just as many rows as may be", table("a", 1), table("a", 1, 2), {"rowRatio": {"min": "2", "max": "2"}}, "", ""),
    ("no rows before", "a\n", table("a", 1), {"rowRatio": {"min": "0.1"}}, "COMPARATOR_CONTROL_DATA_MISSING", "the previous data had no rows"),
    ("a new column, where nothing is declared", "a\n1\n", "a,b\n1,2\n", {}, "SCHEMA_NEW_COLUMN", "column b: is new"),
    ("a new column that is allowed", "a\n1\n", "a,b\n1,2\n", {"unexpectedColumns": "Allow"}, "", ""),
    ("a column that is gone", "a,b\n1,2\n", "a\n1\n", {}, "SCHEMA_MISSING_COLUMN", "column b: is missing; the previous data had it"),
    ("another type", table("a", 1), table("a", "x"), {}, "UNEXPECTED_DATA_TYPE", "is String, it was Integer before"),
    ("a column that is gone, where another one is declared", "a,b\n1,2\n", "a\n1\n", OTHERS, "SCHEMA_MISSING_COLUMN", "column b: is missing; the previous data had it: declare it with required: false"),
    ("another type, where another column is declared", "a,b\n1,2\n", "a,b\n1,x\n", OTHERS, "UNEXPECTED_DATA_TYPE", "column b: is String, it was Integer before"),
    ("a new column, where another one is declared and it may be", "a\n1\n", "a,b\n1,x\n", OTHERS, "", ""),
    ("a declared column has the type that is declared", "a,b\n1,2\n", "a,b\n1.5,2\n", OTHERS, "", ""),
    ("a declared column that is gone and may be", "a,b\n1,2\n", "b\n2\n", {"columns": [{"name": "a", "required": False}], "unexpectedColumns": "Allow"}, "", ""),
    ("where all are declared the previous ones are nobody's schema", "a,b\n1,2\n", "a\n1\n", {"columns": [{"name": "a"}]}, "", ""),
    ("a whole number where fractions were", table("a", 1.5), table("a", 1), {}, "", ""),
    ("a fraction where whole numbers were", table("a", 1), table("a", 1.5), {}, "UNEXPECTED_DATA_TYPE", "is Float, it was Integer"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("before", "now", "fields", "kind", "words"), [case[1:] for case in TABLE], ids=[case[0] for case in TABLE]
)
def test_what_has_changed_too_much_is_told(
    tmp_path: Path, before: str, now: str, fields: dict[str, Any], kind: str, words: str
) -> None:
    found = compared(tmp_path, before, now, **fields)
    assert {finding.kind for finding in found} == ({kind} if kind else set()), found
    assert words in " | ".join(map(str, found))
