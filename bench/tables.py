"""Tables of Markdown, and those of the parts that are told by a table alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from bench.results import Failover, Poison


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def span(values: Iterable[float]) -> str:
    """One value if they are all the same."""
    some = sorted(set(values))
    return f"{some[0]:g}" if len(some) == 1 else f"{some[0]:.4g} to {some[-1]:.4g}"


def seconds(values: Iterable[float]) -> str:
    some = list(values)
    return f"{median(some):.1f} s (most {max(some):.1f})" if len(some) > 1 else f"{some[0]:.1f} s"


def failover(measured: list[Failover]) -> str:
    rows = []
    for fault in dict.fromkeys(row.fault for row in measured):
        runs = [row for row in measured if row.fault == fault]
        rows.append(
            (
                fault,
                span(run.resources for run in runs),
                seconds(run.takeover_seconds for run in runs),
                seconds(run.first_job_seconds for run in runs),
                f"{sum(run.created for run in runs)}, {sum(run.jobs for run in runs)}",
                span(run.most_live_jobs for run in runs),
                f"{sum(run.writes_of_the_former for run in runs)}, {sum(run.writes_after_resuming for run in runs)}",
                span(run.writes_into_settled for run in runs),
            )
        )
    head = (
        "the leader is",
        "settled resources",
        "lease taken after",
        "next Job after",
        "created meanwhile, Jobs",
        "most live Jobs of one resource",
        "its writes after the takeover, after it was resumed",
        "writes into settled ones",
    )
    return table(head, rows)


def poison(measured: list[Poison]) -> str:
    rows = []
    for resources, poisoned in dict.fromkeys((row.resources, row.poisoned) for row in measured):
        runs = [row for row in measured if (row.resources, row.poisoned) == (resources, poisoned)]
        kinds = dict.fromkeys(kind for run in runs for kind in run.requests)
        counted = ", ".join(f"{kind} {span(run.requests.get(kind, 0) / resources for run in runs)}" for kind in kinds)
        rows.append(
            (
                f"{resources:,} good ones" + (" and a poison" if poisoned else ""),
                f"{median(run.per_second for run in runs):.0f}",
                counted,
                span(run.poison_writes for run in runs) if poisoned else "",
                ", ".join(dict.fromkeys(run.poison_reason for run in runs)),
            )
        )
    head = (
        "",
        "settled per second",
        "requests for a good one",
        "writes about the poison",
        "what it says itself",
    )
    return table(head, rows)
