"""Running checks: alone with their output shown as it comes, or in lanes with the output kept until a check ends."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from checks.steps import Check

_BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Result:
    check: Check
    passed: bool
    seconds: float
    output: str = ""  # empty where it was shown as it came


def alone(check: Check) -> Result:
    """Run it in the foreground."""
    begun = time.monotonic()
    passed = all(_call(command, None) == 0 for command in check.commands)
    return Result(check, passed, time.monotonic() - begun)


class Lanes:
    """Lanes of checks side by side; a lane ends with its first failure, and the others with it."""

    def __init__(
        self, lanes: Sequence[Sequence[Check]], begun: Callable[[Check], None], ended: Callable[[Result], None]
    ):
        self._begun, self._ended = begun, ended
        self._failed = threading.Event()
        self._running: dict[int, subprocess.Popen[str]] = {}
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(lane,)) for lane in lanes]

    def run(self) -> None:
        for thread in self._threads:
            thread.start()
        try:
            for thread in self._threads:
                while thread.is_alive():
                    thread.join(0.2)
        except KeyboardInterrupt:
            self.stop()
            raise

    def stop(self) -> None:
        """End every command, as Ctrl-C would, so that each cleans up behind itself."""
        self._failed.set()
        with self._lock:
            for process in self._running.values():
                process.send_signal(2)
        for thread in self._threads:
            thread.join()

    def _run(self, lane: Sequence[Check]) -> None:
        for check in lane:
            if self._failed.is_set():
                return
            self._begun(check)
            result = self._one(check)
            if not result.passed:
                self._failed.set()
            with self._lock:
                self._ended(result)

    def _one(self, check: Check) -> Result:
        begun = time.monotonic()
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            passed = all(self._watched(command, output) == 0 for command in check.commands)
            output.seek(0)
            return Result(check, passed, time.monotonic() - begun, output.read())

    def _watched(self, command: Sequence[str], output: IO[str]) -> int:
        process = subprocess.Popen(
            _filled(command),
            env=_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        with self._lock:
            self._running[process.pid] = process
        try:
            return process.wait()
        finally:
            with self._lock:
                del self._running[process.pid]


def _call(command: Sequence[str], output: IO[str] | None) -> int:
    return subprocess.run(_filled(command), env=_environment(), stdout=output, check=False).returncode


def _filled(command: Sequence[str]) -> list[str]:
    return [part.format(python=sys.executable, bin=_BIN) for part in command]


def _environment() -> dict[str, str]:
    """Tools that a check starts by name are those of this environment."""
    return {**os.environ, "PATH": f"{_BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
