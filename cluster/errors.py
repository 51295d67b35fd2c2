"""The one error that reaches a person: what happened, which rule it broke, what to do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ClusterError(Exception):
    what: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}; {self.rule}; {self.remedy}"
