"""What a long step is called, and how long it has been running: a spinner on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

# Standard output belongs to the answers of `kubeconfig`, `status` and `kubectl`.
CONSOLE = Console(stderr=True)
HEARTBEAT = 30.0
TOLD = 100  # characters of what a step is at: with Docker, a whole command

Detail = Callable[[str], None]


@contextmanager
def step(name: str) -> Iterator[Detail]:
    """Yields a function that says what the step is doing now."""
    begun = time.monotonic()
    with _spinner(name) if CONSOLE.is_terminal else _lines(name) as detail:
        yield detail
    CONSOLE.print(f"{name}: {_elapsed(begun)}", highlight=False)


@contextmanager
def _spinner(name: str) -> Iterator[Detail]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), TextColumn("{task.fields[now]}"))
    with Progress(*columns, console=CONSOLE, transient=True) as progress:
        task = progress.add_task(name, total=None, now="")
        yield lambda now: progress.update(task, now=now[:60])


@contextmanager
def _lines(name: str) -> Iterator[Detail]:
    begun = said = time.monotonic()
    print(f"{name} …", file=sys.stderr, flush=True)

    def detail(now: str) -> None:
        nonlocal said
        if time.monotonic() - said >= HEARTBEAT:
            said = time.monotonic()
            print(f"{name} … {_elapsed(begun)}, {now[:TOLD]}", file=sys.stderr, flush=True)

    yield detail


def _elapsed(begun: float) -> str:
    seconds = time.monotonic() - begun
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"
