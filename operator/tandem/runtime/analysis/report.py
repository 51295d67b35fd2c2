"""What an analysis ends with, in the termination message of its container: the operator reads it there.

::

    {"phase": "Failed", "metrics": [{"name": "errors", "phase": "Failed", "value": "0.21", "message": "…",
                                     "dryRun": false, "successful": 1, "failed": 1, "inconclusive": 0, "errors": 0}]}
"""

from __future__ import annotations

import msgspec

from tandem.runtime.analysis.instruction import Metric
from tandem.runtime.analysis.verdict import Phase, Tally, overall


class Judged(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    name: str
    phase: Phase
    message: str = ""
    value: str = ""
    dry_run: bool = False
    successful: int = 0
    failed: int = 0
    inconclusive: int = 0
    errors: int = 0


class Report(msgspec.Struct, frozen=True):
    phase: Phase
    metrics: tuple[Judged, ...]

    def encoded(self, limit: int) -> bytes:
        """As much as ``limit`` bytes hold: messages are shortened, never left without a verdict."""
        text, length = msgspec.json.encode(self), 1024
        while len(text) > limit and length > 0:
            length = length * 2 // 3
            shorter = tuple(msgspec.structs.replace(one, message=_cut(one.message, length)) for one in self.metrics)
            text = msgspec.json.encode(Report(self.phase, shorter))
        return text


def judged(metric: Metric, tally: Tally, phase: Phase) -> Judged:
    return Judged(
        name=metric.name,
        phase=phase,
        message=tally.explain(phase, metric.limits),
        value=tally.value,
        dry_run=metric.dry_run,
        successful=tally.successful,
        failed=tally.failed,
        inconclusive=tally.inconclusive,
        errors=tally.errors,
    )


def report(found: tuple[Judged, ...]) -> Report:
    """A dry run is told, and counts for nothing."""
    return Report(overall(one.phase for one in found if not one.dry_run), found)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: max(length - 1, 0)]}…"
