"""Run the checks, stop at the first that fails, and tell how long each took."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from checks import bytecode
from checks.run import Lanes, Result, alone
from checks.steps import CHECKS, FIRST, QUICK, SLOW, SOAK, Check, Plan

CONSOLE = Console()
HEARTBEAT = 60.0


class Screen:
    """What runs now and for how long: spinners on a terminal, a line a minute elsewhere."""

    def __init__(self) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._progress = Progress(*columns, console=CONSOLE, transient=True) if CONSOLE.is_terminal else None
        self._tasks: dict[str, TaskID] = {}
        self._running: dict[str, float] = {}
        self._over = threading.Event()
        self.results: list[Result] = []

    def live(self) -> AbstractContextManager[object]:
        if self._progress is None:
            threading.Thread(target=self._beat, daemon=True).start()
        return self._progress or nullcontext()

    def begun(self, check: Check) -> None:
        self._running[check.name] = time.monotonic()
        if self._progress is None:
            CONSOLE.print(f"{check.name} …", highlight=False)
        else:
            self._tasks[check.name] = self._progress.add_task(f"{check.name}: {check.purpose}", total=None)

    def ended(self, result: Result) -> None:
        self.results.append(result)
        self._running.pop(result.check.name, None)
        if self._progress is not None:
            self._progress.remove_task(self._tasks[result.check.name])
        _head(result.check)
        CONSOLE.out(result.output, highlight=False)

    def close(self) -> None:
        self._over.set()

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT):
            now = time.monotonic()
            told = ", ".join(f"{name} {now - begun:.0f} s" for name, begun in list(self._running.items()))
            CONSOLE.print(f"… {told}", highlight=False)


def main() -> int:
    names = [check.name for check in CHECKS]
    parser = argparse.ArgumentParser(prog="python -m checks", description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(names)}; all quick ones without")
    parser.add_argument("--slow", action="store_true", help="all slow ones")
    parser.add_argument("--soak", action="store_true", help="an hour of faults beside all faults, with FAULTS=all")
    asked = parser.parse_args()
    if sum(map(bool, (asked.steps, asked.slow, asked.soak))) > 1:
        parser.error("either steps, or --slow, or --soak")
    wanted = asked.steps
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        parser.error(f"no such step: {', '.join(unknown)}; there are {', '.join(names)}")
    begun = time.monotonic()
    try:
        some = [check for check in CHECKS if check.name in wanted]
        results = _some(some) if some else _all(asked)
    except KeyboardInterrupt:
        CONSOLE.print("\ninterrupted; the same command goes on where caches allow")
        return 130
    _tell(results, time.monotonic() - begun)
    return 0 if all(result.passed for result in results) else 1


def _all(asked: argparse.Namespace) -> list[Result]:
    if asked.soak:
        return _beside(SOAK)
    if asked.slow:
        return _beside(SLOW)
    results = _some(FIRST)
    results += _beside(QUICK) if all(result.passed for result in results) else []
    if all(result.passed for result in results):
        for part in bytecode.of_this_environment():
            part.keep()
    return results


def _some(checks: Sequence[Check]) -> list[Result]:
    results: list[Result] = []
    for check in checks:
        _head(check)
        results.append(alone(check))
        if not results[-1].passed:
            break
    return results


def _beside(plan: Plan) -> list[Result]:
    screen = Screen()
    with screen.live():
        try:
            Lanes(plan, screen.begun, screen.ended).run()
        finally:
            screen.close()
    if all(result.passed for result in screen.results):
        skipped = {check.name for check in plan.checks} - {result.check.name for result in screen.results}
        assert not skipped, f"nothing failed, and yet these did not run: {', '.join(sorted(skipped))}"
    return screen.results


def _head(check: Check) -> None:
    CONSOLE.rule(f"[bold]{check.name}[/bold]: {check.purpose}", align="left")


def _tell(results: list[Result], seconds: float) -> None:
    table = Table("check", "what", "result", "seconds", "of processor", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for result in results:
        table.add_row(
            result.check.name,
            result.check.purpose,
            "ok" if result.passed else "FAILED",
            f"{result.seconds:.0f}",
            f"{result.processor:.0f}",
        )
    table.add_row("", "altogether", "", f"{seconds:.0f}", f"{sum(result.processor for result in results):.0f}")
    CONSOLE.rule()
    CONSOLE.print(table)


if __name__ == "__main__":
    sys.exit(main())
