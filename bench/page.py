"""docs/performance.md from the results, and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.actors import BARE, BARE_MLFLOW, ENGINE, SHIPPED, TANDEM
from bench.results import PARTS, Machine, Restart, Results, Run, Throughput, growth, percentile, rates, ratio, ratios
from bench.tables import failover, poison, span, table

TITLE = "# Performance"

_INTRODUCTION = """\
Made by `make bench`; do not edit. Every figure is the median of its rounds, ratios with the least and the most of
them; the rows take turns, on one real API server (etcd without fsync, audit log on, no controllers: Jobs make no pods).
**Read the ratios.** Seconds say more about the machine than about an operator: clients, operator, API server and etcd
share its cores. All times are the API server's own, from its audit log; requests are counted there, exactly."""

_THROUGHPUT = """\
TrainingJobs are created 32 at a time over eight namespaces. The clock runs from the first creation to the moment at
which every resource has its Job and the status that says so. The bare client makes the same three writes, with the
same bytes (they come from Tandem's own plan), and needs neither watch nor memory: it is the ceiling. It has 32
requests under way; an operator has its own besides the 32 of the creations, so a small lead over it is possible.

Two ceilings, since Tandem asks MLflow before it makes a Job: *Tandem without HTTP to MLflow* is to be held against the
bare client, *Tandem* against the bare client that asks MLflow the same."""

_LATENCY = """\
From the answer to the creation of the resource to the answer to that of its Job, at a steady rate of creations. The
bare client knows at once what it has to do; an operator has to be told by a watch, and Tandem asks MLflow before."""

_RESTART = """\
Tandem is started over resources that have all they need. *Looked at* counts different resources that were planned anew;
CPU and wall time are those of the whole process, interpreter included, until the last was looked at. *Quiet* is when
nothing moves any more. Memory, tasks of the event loop and CPU at rest are taken after that."""

_NOT = """\
- The operators do not do the same. Tandem makes an MLflow run first and looks for what a crash may have left; the naive
  operator makes a Job and does not look at it again; Kubeflow Trainer applies a JobSet and leaves the Job to another
  controller, which does not run here, and its binary limits itself to 20 requests a second.
- Jobs have no pods here for want of a controller; Tandem would complain after a minute, and is kept from that
  (`bench/observed.py`).
- MLflow is a stub that answers at once, from memory: how fast MLflow is belongs to MLflow. A real one makes the start
  of a run slower than it is here.
- No pods run. From Job to pod is the business of Kubernetes: with its default limits (20 requests a second) 10,000 Jobs
  take kube-controller-manager some 25 minutes by our estimate, whoever made them.
- Operators other than these."""

_FAILOVER = """\
Two replicas as they are installed; the second lists and watches, and waits for the Lease. 10 resources a second are
created all the while. Times are from the fault to the second's first successful write of the Lease, and to its first
Job. A lease of 15 s that is not renewed can be taken after 13 to 19 s (it is renewed and looked at every 2 s); one that
is given back, within 2 s."""

_POISON = """\
One resource from before a rule that it breaks, beside good ones: what they cost with it and without."""


def page(results: Results, plots: Sequence[str]) -> str:
    parts = [TITLE, _INTRODUCTION, _machines(results.runs)]
    if results.throughput:
        parts += ["## Throughput", _THROUGHPUT, _throughput(results)]
        parts += ["### Requests for one resource", _requests(results)]
    if results.latency:
        parts += ["## From a resource to its Job", _LATENCY, _latency(results)]
    if results.restart:
        parts += ["## Restart and rest", _RESTART, _restart(results.restart)]
    if results.failover:
        parts += ["## Fail-over", _FAILOVER, failover(results.failover)]
    if results.poison:
        parts += ["## A resource that nobody can read", _POISON, poison(results.poison)]
    parts += [f"![{_caption(plot)}](performance/{plot})" for plot in plots]
    parts += ["## What this does not measure", _NOT]
    return "\n\n".join(parts) + "\n"


def _machines(runs: list[Run]) -> str:
    """A column for each run that a part of the page is of."""
    rows: dict[str, list[str]] = {}
    for run in runs:
        machine = run.machine
        versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
        told = {
            "machine": f"{machine.cores} × {machine.cpu}, {machine.memory_gb} GB, {machine.kernel}",
            "versions": versions,
            "commit, date": f"{machine.commit}, {machine.date}",
            "command": f"`{machine.command}`",
            "other programs": f"{_others(machine)} of the machine's CPU during the measurements",
        }
        for name, value in told.items():
            rows.setdefault(name, [name]).append(value)
    head = ["everything" if set(run.parts) == set(PARTS) else ", ".join(run.parts) for run in runs]
    return table(("", *head), list(rows.values()))


def _others(machine: Machine) -> str:
    shares = machine.others_percent
    return f"{median(shares):.0f} % (median), {max(shares):.0f} % (most)" if shares else "not known"


def _throughput(results: Results) -> str:
    parts = []
    rows = results.throughput
    for resources in sorted({row.resources for row in rows}):
        lines = []
        for actor, what in {row.actor: row.what for row in rows if row.resources == resources}.items():
            mine = [row for row in rows if (row.actor, row.resources) == (actor, resources)]
            cpu, most = median(r.cpu_seconds for r in mine), max(r.megabytes_at_most for r in mine)
            lines.append(
                (
                    actor,
                    f"{median(rates(rows, actor, resources)):.0f}",
                    _of(rows, actor, BARE.name, resources),
                    _of(rows, actor, BARE_MLFLOW.name, resources),
                    f"{1000 * cpu / resources:.1f} ms" if cpu else "",
                    f"{most:.0f} MB" if most else "",
                    what,
                )
            )
        rounds = len(mine)
        head = (
            f"{resources:,} resources, {rounds} round{'s' * (rounds > 1)}",
            "per second",
            "of bare client",
            "of bare client with MLflow",
            "CPU for each",
            "memory, most",
            "what it is",
        )
        parts.append(table(head, lines))
    return "\n\n".join(parts)


def _requests(results: Results) -> str:
    """For one resource; the same in every round, or a range."""
    rows = []
    for actor in dict.fromkeys(row.actor for row in results.throughput):
        mine = [row for row in results.throughput if row.actor == actor]
        kinds = dict.fromkeys(kind for row in mine for kind in row.requests)
        counted = ", ".join(
            f"{kind} {span(row.requests.get(kind, 0) / row.resources for row in mine)}" for kind in kinds
        )
        writes = span(sum(n for kind, n in row.requests.items() if _writes(kind)) / row.resources for row in mine)
        rows.append((actor, writes, counted, span(sum(row.asked_mlflow.values()) / row.resources for row in mine)))
    return table(("", "writes", "requests, creation of the resource not counted", "to MLflow"), rows)


def _of(rows: list[Throughput], actor: str, to: str, resources: int) -> str:
    """Where the other was measured as well."""
    if not rates(rows, to, resources):
        return ""
    each = ratios(rows, actor, to, resources)
    told = f"{median(each):.2f}"
    return told if len(each) == 1 or actor == to else f"{told} ({min(each):.2f} to {max(each):.2f})"


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
    return table(("", "creations per second", "p50", "p99", "runs × resources"), rows)


def _restart(restarts: list[Restart]) -> str:
    rows = []
    for size in sorted({row.resources for row in restarts}):
        runs = [row for row in restarts if row.resources == size]
        rows.append(
            (
                f"{size:,}",
                span(run.looked_at for run in runs),
                span(run.writes for run in runs),
                f"{median(run.seconds for run in runs):.1f} s",
                f"{median(run.cpu_seconds for run in runs):.2f} s",
                f"{median(run.cpu_seconds_at_rest for run in runs):.2f} s",
                f"{median(run.megabytes for run in runs):.0f} MB ({max(run.megabytes_at_most for run in runs):.0f})",
                span(run.tasks for run in runs),
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
    told = table(head, rows)
    grown = growth(restarts)
    if grown is not None:
        told += f"\n\nTwice the resources cost {grown:.2f} times the CPU (that of an empty cluster taken off both)."
    return told


def _caption(plot: str) -> str:
    return plot.partition(".")[0].replace("-", " ").capitalize()


def summary(results: Results) -> str:
    """The lines that somebody who only asks "is it still good?" wants to see."""
    rows = results.throughput
    pairs = ((ENGINE, BARE), (TANDEM, BARE_MLFLOW), (TANDEM, BARE), (SHIPPED, BARE))
    return "\n".join(
        f"{actor.name}: {ratio(rows, actor.name, to.name, size):.2f} of the {to.name} at {size:,}"
        for size in sorted({row.resources for row in rows})
        for actor, to in pairs
        if rates(rows, actor.name, size) and rates(rows, to.name, size)
    )
