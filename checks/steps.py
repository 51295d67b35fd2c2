"""The checks, as data: what each is called, what it runs, and what it is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One command; ``{python}`` stands for the interpreter of the virtual environment."""

    name: str
    purpose: str
    commands: tuple[tuple[str, ...], ...]


def _pytest(*arguments: str) -> tuple[str, ...]:
    return ("{python}", "-m", "pytest", "-q", *arguments)


CHECKS = (
    Check(
        "lint",
        "style and formatting",
        (("{bin}/ruff", "check", "--quiet", "."), ("{bin}/ruff", "format", "--check", "--quiet", ".")),
    ),
    Check("layers", "the architecture's import contracts", (("{bin}/lint-imports",),)),
    Check("types", "mypy, strict", (("{bin}/mypy",),)),
    Check("unit", "rules and plans; nothing but Python", (_pytest("tests/unit"),)),
    Check("contract", "a real API server and a real MLflow, no pods", (_pytest("tests/contract"),)),
    Check("cluster", "the local cluster itself", (_pytest("tests/cluster"),)),
    Check("e2e", "the whole story, its faults and bad input, on real pods", (_pytest("tests/e2e"),)),
)
