"""The machine: what it is, and how much of it others used while something was measured."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.actors import ROOT
from bench.results import Machine
from cluster.embedded import parts

_TICKS = os.sysconf("SC_CLK_TCK")


class Others:
    """The share of the whole machine that other programs use within the block: ``percent``, after it."""

    percent = 0.0

    def __enter__(self) -> Self:
        self._before = (*_machine_seconds(), _own_seconds())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        busy, whole, own = (
            now - was for now, was in zip((*_machine_seconds(), _own_seconds()), self._before, strict=True)
        )
        self.percent = round(max(0.0, 100 * (busy - own) / whole), 1) if whole else 0.0


def describe(command: str, others: list[float]) -> Machine:
    packages = ("kopf", "aiohttp", "kubernetes", "msgspec")
    versions = {"Kubernetes": parts.kubernetes().version, "Python": platform.python_version()}
    versions |= {package: version(package) for package in packages}
    return Machine(
        cpu=_field(Path("/proc/cpuinfo"), "model name") or platform.processor() or "unknown",
        cores=len(os.sched_getaffinity(0)),
        memory_gb=round(int(_field(Path("/proc/meminfo"), "MemTotal").split()[0]) / 1e6, 1),
        kernel=f"{platform.system()} {platform.release()}",
        versions=versions,
        commit=_commit(),
        date=datetime.now(UTC).strftime("%Y-%m-%d"),
        command=command,
        others_percent=others,
    )


def command_line() -> str:
    return " ".join(["python -m bench", *(argument for argument in sys.argv[1:])])


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty=, changed since", "--exclude=*"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _field(file: Path, name: str) -> str:
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _machine_seconds() -> tuple[float, float]:
    """(busy, whole), over all cores."""
    ticks = [int(value) for value in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS, sum(ticks) / _TICKS


def _own_seconds() -> float:
    """CPU seconds of this process and all below it, those that have ended included."""
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # ended just now
                continue
            parents[int(folder.name)] = int(fields[1])
            seconds[int(folder.name)] = sum(map(int, fields[11:15])) / _TICKS
    ours = {os.getpid()}
    while below := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= below
    return sum(seconds.get(pid, 0.0) for pid in ours)
