"""The figures of docs/performance.md, as SVG that is the same for the same results."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from bench.actors import BARE
from bench.results import Results, ratio

_OURS, _OTHERS = "#2563eb", "#9ca3af"


def draw(results: Results, folder: Path) -> list[str]:
    """Write the plots; their file names."""
    plt.switch_backend("svg")
    plt.rcParams.update({"svg.hashsalt": "tandem", "svg.fonttype": "none", "font.size": 10})
    plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    if results.throughput:
        drawn.append(_throughput(results, folder / "throughput.svg"))
    if results.latency:
        drawn.append(_latency(results, folder / "latency.svg"))
    if len({row.resources for row in results.restart}) > 1:
        drawn.append(_restart(results, folder / "restart.svg"))
    return drawn


def _colour(actor: str) -> str:
    return _OURS if actor.startswith("Tandem") else _OTHERS


def _throughput(results: Results, file: Path) -> str:
    rows = results.throughput
    size = max(row.resources for row in rows)
    actors = list(dict.fromkeys(row.actor for row in rows if row.resources == size))
    ratios = [ratio(rows, actor, BARE.name, size) for actor in actors]
    figure, axes = plt.subplots(figsize=(7, 0.5 * len(actors) + 1))
    bars = axes.barh(actors, ratios, color=[_colour(actor) for actor in actors])
    axes.bar_label(bars, [f"{value:.2f}" for value in ratios], padding=4)
    axes.invert_yaxis()
    axes.set_xlabel(f"share of the bare client's throughput, {size:,} resources")
    return _save(figure, file)


def _latency(results: Results, file: Path) -> str:
    """The share of resources that had their Job after so many milliseconds, at the highest rate."""
    rate = max(row.per_second for row in results.latency)
    figure, axes = plt.subplots(figsize=(7, 3.2))
    for style, actor in zip(("--", "-", ":", "-."), dict.fromkeys(row.actor for row in results.latency), strict=False):
        runs = [row.milliseconds for row in results.latency if (row.actor, row.per_second) == (actor, rate)]
        waits = sorted(wait for run in runs for wait in run)
        shares = [100 * (place + 1) / len(waits) for place in range(len(waits))]
        axes.plot(waits, shares, style, color=_colour(actor), label=actor)
    axes.set_xscale("log")
    axes.set_xlabel(f"milliseconds from resource to Job, at {rate:g} creations a second")
    axes.set_ylabel("% of resources")
    axes.legend(frameon=False)
    return _save(figure, file)


def _restart(results: Results, file: Path) -> str:
    sizes = sorted({row.resources for row in results.restart})
    figure, (cpu, memory) = plt.subplots(1, 2, figsize=(7, 2.8))
    for axes, label, values in (
        (cpu, "CPU seconds until all are looked at", [(r.resources, r.cpu_seconds) for r in results.restart]),
        (memory, "MB resident at rest", [(r.resources, r.megabytes) for r in results.restart]),
    ):
        medians = [median(value for resources, value in values if resources == size) for size in sizes]
        axes.plot(sizes, medians, "o-", color=_OURS)
        axes.set_ylim(0, 1.15 * max(medians))
        axes.set_xlabel("resources")
        axes.set_title(label, fontsize=10)
    return _save(figure, file)


def _save(figure: Figure, file: Path) -> str:
    figure.tight_layout()
    figure.savefig(file, metadata={"Date": None})
    plt.close(figure)
    return file.name
