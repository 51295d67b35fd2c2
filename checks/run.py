"""Running checks: alone with their output shown as it comes, or in lanes with the output kept until a check ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from checks.steps import Check, Plan
from cluster.paths import cache

_BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Result:
    """``processor`` seconds are those of all that a check's commands started and waited for, not of daemons."""

    check: Check
    passed: bool
    seconds: float
    processor: float = 0.0
    output: str = ""  # empty where it was shown as it came


def alone(check: Check) -> Result:
    """Run it in the foreground."""
    begun = time.monotonic()
    passed, used = _in_turn(check, lambda command: _ended(_started(command, None)))
    return Result(check, passed, time.monotonic() - begun, used)


class Lanes:
    """Checks side by side; after the first that fails none is begun any more."""

    def __init__(self, plan: Plan, begun: Callable[[Check], None], ended: Callable[[Result], None]):
        self._begun, self._ended = begun, ended
        self._failed = threading.Event()
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._lock = threading.Lock()
        self._waiting = list(plan.checks)
        self._unfinished = {check.name for check in plan.checks}
        self._left = plan.lanes
        self._ends = threading.Condition()

    def run(self) -> None:
        for _ in range(self._left):
            threading.Thread(target=self._run).start()
        try:
            self._await_all()
        except KeyboardInterrupt:
            self.stop()
            raise

    def _await_all(self) -> None:
        """No `join`: in Python 3.11 one that Ctrl-C breaks takes the thread for ended from then on (bpo-45274)."""
        with self._ends:
            self._ends.wait_for(lambda: not self._left)

    def stop(self) -> None:
        """End every command, as Ctrl-C would, and wait until each has cleaned up behind itself.

        Whoever presses it again means it: that is passed on, too.
        """
        self._failed.set()
        while self._left:
            try:
                self._interrupt()
                self._await_all()
            except KeyboardInterrupt:
                continue

    def _interrupt(self) -> None:
        with self._lock:
            for process in self._running.values():
                with suppress(ProcessLookupError):  # it ended just now
                    os.kill(process.pid, signal.SIGINT)  # Popen's own would wait for it, beside us

    def _run(self) -> None:
        try:
            while check := self._next():
                self._begun(check)
                result = self._one(check)
                if not result.passed:
                    self._failed.set()
                with self._lock:
                    self._ended(result)
                with self._ends:
                    self._unfinished.remove(check.name)
                    self._ends.notify_all()
        finally:
            with self._ends:
                self._left -= 1
                self._ends.notify_all()

    def _next(self) -> Check | None:
        """The first one that may begin, once there is one; None when nothing is left or something has failed."""
        with self._ends:
            while self._waiting and not self._failed.is_set():
                for check in self._waiting:
                    if self._unfinished.isdisjoint(check.after):
                        self._waiting.remove(check)
                        return check
                self._ends.wait()
            return None

    def _one(self, check: Check) -> Result:
        begun = time.monotonic()
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            passed, used = _in_turn(check, lambda command: self._watched(command, output, check.nice))
            output.seek(0)
            return Result(check, passed, time.monotonic() - begun, used, output.read())

    def _watched(self, command: Sequence[str], output: IO[str], nice: int) -> tuple[bool, float]:
        process = _started(command, output)
        _yield(process.pid, nice)
        with self._lock:
            self._running[process.pid] = process
        try:
            return _ended(process)
        finally:
            with self._lock:
                del self._running[process.pid]


def _in_turn(check: Check, run: Callable[[Sequence[str]], tuple[bool, float]]) -> tuple[bool, float]:
    """Whether all of its commands passed, up to the first that did not, and their processor seconds."""
    used = 0.0
    for command in check.commands:
        passed, more = run(command)
        used += more
        if not passed:
            return False, used
    return True, used


def _started(command: Sequence[str], output: IO[str] | None) -> subprocess.Popen[str]:
    """With its output kept it has no input either: nobody could see what it asks for.

    Nor does it hear Ctrl-C then but from us: a terminal tells its whole session, and of two interrupts the second one
    ends pytest in the middle of its cleaning up, with a cluster left behind.
    """
    filled = [part.format(python=sys.executable, bin=_BIN) for part in command]
    if output is None:
        return subprocess.Popen(filled, env=_environment(), text=True)
    return subprocess.Popen(
        filled,
        env=_environment(),
        stdout=output,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def _yield(pid: int, nice: int) -> None:
    """Niceness counts within a session; that of the session itself only where the kernel groups by sessions."""
    if nice:
        os.setpriority(os.PRIO_PROCESS, pid, os.nice(0) + nice)
        with suppress(OSError):
            Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def _ended(process: subprocess.Popen[str]) -> tuple[bool, float]:
    """Whether it exited with zero, and its processor seconds, which only the wait itself tells of one process."""
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except KeyboardInterrupt:  # it was interrupted, too, and cleans up behind itself
        process.wait()
        raise
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode == 0, usage.ru_utime + usage.ru_stime


def _environment() -> dict[str, str]:
    """Tools that a check starts by name are those of this environment.

    mypy knows what it has found by the content of files, wherever they are: a clean clone need not find it again, which
    costs a minute of processor time. A kubectl that collects no garbage while it does its one thing takes a fifth less.
    """
    path = f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    return {"MYPY_CACHE_DIR": str(cache() / "mypy"), "GOGC": "400", **os.environ, "PATH": path}
