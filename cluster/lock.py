"""One `up`, `down` or build at a time; the kernel frees the lock when its holder dies."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.progress import step


@contextmanager
def exclusive(path: Path, waiting_for: str) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Never removed: a lock file that is unlinked while another waits for it locks nothing.
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with step(f"Waiting for {waiting_for}"):
                fcntl.flock(file, fcntl.LOCK_EX)
        yield
