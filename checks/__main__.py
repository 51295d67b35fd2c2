"""Run the checks, stop at the first that fails, and tell how long each took."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from checks.steps import CHECKS, Check

CONSOLE = Console()


def main() -> int:
    names = [check.name for check in CHECKS]
    parser = argparse.ArgumentParser(prog="python -m checks", description=__doc__)
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(names)}; all without")
    wanted = parser.parse_args().steps or names
    unknown = sorted(set(wanted) - set(names))
    if unknown:
        parser.error(f"no such step: {', '.join(unknown)}; there are {', '.join(names)}")
    checks = [check for check in CHECKS if check.name in wanted]
    told = Table("step", "what", "result", "seconds", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    failed = False
    for number, check in enumerate(checks, start=1):
        CONSOLE.rule(f"[bold]{number}/{len(checks)} {check.name}[/bold]: {check.purpose}", align="left")
        begun = time.monotonic()
        failed = not _run(check)
        told.add_row(check.name, check.purpose, "FAILED" if failed else "ok", f"{time.monotonic() - begun:.0f}")
        if failed:
            break
    CONSOLE.rule()
    CONSOLE.print(told)
    return 1 if failed else 0


def _run(check: Check) -> bool:
    binaries = Path(sys.executable).parent
    return all(_call(command, binaries) for command in check.commands)


def _call(command: tuple[str, ...], binaries: Path) -> bool:
    filled = [part.format(python=sys.executable, bin=binaries) for part in command]
    # Tools that a test starts by name are those of this environment.
    path = f"{binaries}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        return subprocess.run(filled, env={**os.environ, "PATH": path}, check=False).returncode == 0
    except KeyboardInterrupt:
        CONSOLE.print("\ninterrupted; the same command goes on where caches allow")
        raise SystemExit(130) from None


if __name__ == "__main__":
    sys.exit(main())
