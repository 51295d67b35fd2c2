"""The one error that reaches a person: what happened, which rule it broke, what to do."""

from __future__ import annotations


class ClusterError(Exception):
    def __init__(self, *, what: str, rule: str, remedy: str) -> None:
        super().__init__(f"{what}; {rule}; {remedy}")
        self.what = what
        self.rule = rule
        self.remedy = remedy


def not_running(name: str) -> ClusterError:
    return ClusterError(
        what=f"cluster {name} is not running",
        rule="an image is loaded into a running cluster",
        remedy=f"start it: python -m cluster up --name {name}",
    )
