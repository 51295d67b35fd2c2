"""docs/performance.md from the results, and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from bench.actors import BARE, SHIPPED, TANDEM
from bench.results import Machine, Restart, Results, growth, percentile, rates, ratio

TITLE = "# Performance"

_INTRODUCTION = """\
Made by `make bench`; do not edit. Every figure is the median of its runs; the rows take turns, on one real API server
(etcd without fsync, audit log on, no controllers: Jobs make no pods). **Read the ratios.** Seconds say more about the
machine than about an operator: clients, operator, API server and etcd share its cores. All times are the API
server's own, from its audit log; requests are counted there, exactly."""

_THROUGHPUT = """\
TrainingJobs are created 32 at a time over eight namespaces. The clock runs from the first creation to the moment at
which every resource has its Job and the status that says so. The bare client makes the same three writes, with the
same bytes (they come from Tandem's own plan), and needs neither watch nor memory: it is the ceiling. It has 32
requests under way; an operator has its own besides the 32 of the creations, so a small lead over it is possible."""

_LATENCY = """\
From the answer to the creation of the resource to the answer to that of its Job, at a steady rate of creations. The
bare client knows at once what it has to do; an operator has to be told by a watch, and Tandem asks MLflow before."""

_RESTART = """\
Tandem is started over resources that have all they need. *Looked at* counts different resources that were planned anew;
CPU and wall time are those of the whole process, interpreter included, until the last was looked at. *Quiet* adds the
second list, which the watches begin with. Memory, tasks of the event loop and CPU at rest are taken after that."""

_NOT = """\
- MLflow is a stub that answers at once, from memory: how fast MLflow is belongs to MLflow. A real one makes the start
  of a run slower than it is here.
- No pods run. From Job to pod is the business of Kubernetes: with its default limits (20 requests a second) 10,000 Jobs
  take kube-controller-manager some 25 minutes by our estimate, whoever made them.
- The operators do not do the same. Tandem makes an MLflow run first and looks for what a crash may have left; the naive
  operator makes a Job and does not look at it again.
- Fail-over between replicas, and operators other than these."""


def page(results: Results, plots: Sequence[str]) -> str:
    parts = [TITLE, _INTRODUCTION, _machine(results.machine)]
    if results.throughput:
        parts += ["## Throughput", _THROUGHPUT, _throughput(results)]
        parts += ["### Requests for one resource", _requests(results)]
    if results.latency:
        parts += ["## From a resource to its Job", _LATENCY, _latency(results)]
    if results.restart:
        parts += ["## Restart and rest", _RESTART, _restart(results.restart)]
    parts += [f"![{_caption(plot)}](performance/{plot})" for plot in plots]
    parts += ["## What this does not measure", _NOT]
    return "\n\n".join(parts) + "\n"


def _machine(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    return _table(
        ("", ""),
        [
            ("machine", f"{machine.cores} × {machine.cpu}, {machine.memory_gb} GB, {machine.kernel}"),
            ("versions", versions),
            ("commit, date", f"{machine.commit}, {machine.date}"),
            ("command", f"`{machine.command}`"),
            ("other programs", f"{_others(machine)} of the machine's CPU during the measurements"),
        ],
    )


def _others(machine: Machine) -> str:
    shares = machine.others_percent
    return f"{median(shares):.0f} % (median), {max(shares):.0f} % (most)" if shares else "not known"


def _throughput(results: Results) -> str:
    parts = []
    rows = results.throughput
    for resources in sorted({row.resources for row in rows}):
        table = []
        for actor, what in {row.actor: row.what for row in rows if row.resources == resources}.items():
            cpu = median(r.cpu_seconds for r in rows if (r.actor, r.resources) == (actor, resources))
            table.append(
                (
                    actor,
                    f"{median(rates(rows, actor, resources)):.0f}",
                    f"{ratio(rows, actor, BARE.name, resources):.2f}",
                    f"{1000 * cpu / resources:.1f} ms" if cpu else "",
                    what,
                )
            )
        rounds = len(rates(rows, BARE.name, resources))
        head = (
            f"{resources:,} resources, {rounds} rounds",
            "per second",
            "of bare client",
            "CPU for each",
            "what it is",
        )
        parts.append(_table(head, table))
    return "\n\n".join(parts)


def _requests(results: Results) -> str:
    """For one resource; the same in every round, or a range."""
    rows = []
    for actor in dict.fromkeys(row.actor for row in results.throughput):
        mine = [row for row in results.throughput if row.actor == actor]
        kinds = dict.fromkeys(kind for row in mine for kind in row.requests)
        counted = ", ".join(
            f"{kind} {_span(row.requests.get(kind, 0) / row.resources for row in mine)}" for kind in kinds
        )
        writes = _span(sum(n for kind, n in row.requests.items() if _writes(kind)) / row.resources for row in mine)
        rows.append((actor, writes, counted))
    return _table(("", "writes", "requests, creation of the resource not counted"), rows)


def _writes(kind: str) -> bool:
    return kind.partition(" ")[0] in {"create", "update", "patch", "delete"}


def _latency(results: Results) -> str:
    rows = []
    for actor in dict.fromkeys(row.actor for row in results.latency):
        for rate in sorted({row.per_second for row in results.latency}):
            runs = [row.milliseconds for row in results.latency if (row.actor, row.per_second) == (actor, rate)]
            if runs:
                p50, p99 = (median(percentile(run, percent) for run in runs) for percent in (50, 99))
                rows.append((actor, f"{rate:g}", f"{p50:.1f} ms", f"{p99:.1f} ms", f"{len(runs)} × {len(runs[0])}"))
    return _table(("", "creations per second", "p50", "p99", "runs × resources"), rows)


def _restart(restarts: list[Restart]) -> str:
    rows = []
    for size in sorted({row.resources for row in restarts}):
        runs = [row for row in restarts if row.resources == size]
        rows.append(
            (
                f"{size:,}",
                _span(run.looked_at for run in runs),
                _span(run.writes for run in runs),
                f"{median(run.seconds for run in runs):.1f} s",
                f"{median(run.cpu_seconds for run in runs):.2f} s",
                f"{median(run.cpu_seconds_at_rest for run in runs):.2f} s",
                f"{median(run.megabytes for run in runs):.0f} MB ({max(run.megabytes_at_most for run in runs):.0f})",
                _span(run.tasks for run in runs),
                f"{median(run.rest_cpu_percent for run in runs):.1f} %",
            )
        )
    head = (
        "resources",
        "looked at",
        "writes",
        "wall",
        "CPU",
        "CPU until quiet",
        "memory (most)",
        "tasks",
        "CPU at rest",
    )
    table = _table(head, rows)
    grown = growth(restarts)
    if grown is not None:
        table += f"\n\nTwice the resources cost {grown:.2f} times the CPU (that of an empty cluster taken off both)."
    return table


def _caption(plot: str) -> str:
    return plot.partition(".")[0].replace("-", " ").capitalize()


def _span(values: Iterable[float]) -> str:
    """One value if they are all the same."""
    some = sorted(set(values))
    return f"{some[0]:g}" if len(some) == 1 else f"{some[0]:.4g} to {some[-1]:.4g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def summary(results: Results) -> str:
    """The lines that somebody who only asks "is it still good?" wants to see."""
    sizes = sorted({row.resources for row in results.throughput})
    return "\n".join(
        f"{actor.name}: {ratio(results.throughput, actor.name, BARE.name, size):.2f} of the bare client at {size:,}"
        for size in sizes
        for actor in (TANDEM, SHIPPED)
        if rates(results.throughput, actor.name, size)
    )
