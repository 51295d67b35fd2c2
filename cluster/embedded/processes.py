"""Is it still the same process? A number alone may have been given to another one since."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

POLL = 0.02


@dataclass(frozen=True)
class Process:
    pid: int
    started: int  # in clock ticks since the machine's start

    @property
    def alive(self) -> bool:
        return started(self.pid) == self.started

    def kill(self, gone_within: float = 20.0) -> None:
        if self.alive:
            os.kill(self.pid, signal.SIGKILL)
        self.await_end(gone_within)

    def await_end(self, within: float) -> None:
        deadline = time.monotonic() + within
        while self.alive:
            if time.monotonic() > deadline:
                raise TimeoutError(f"process {self.pid} did not end within {within:.0f} s")
            time.sleep(POLL)


def process(pid: int) -> Process:
    return Process(pid, started(pid))


def started(pid: int) -> int:
    """0 for a process that is gone, or only waits to be noticed by its parent."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in ("Z", "X") else int(fields[19])


def only_child(pid: int, within: float) -> int:
    deadline = time.monotonic() + within
    while True:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and _parent(entry) == pid:
                return int(entry.name)
        if started(pid) == 0 or time.monotonic() > deadline:
            raise TimeoutError(f"process {pid} started no child")
        time.sleep(POLL)


def _parent(entry: Path) -> int:
    try:
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
