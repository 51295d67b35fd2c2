"""Runs another program: its output goes to a log file, its last lines into the error when it fails."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster.errors import ClusterError
from cluster.progress import Detail

LAST_LINES = 12


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log: Path | None = None,
    stdin: Path | None = None,
    detail: Detail | None = None,
    remedy: str = "read the lines above it and run the command by itself",
) -> str:
    """The program's standard output and error, together and in order."""
    words = [str(word) for word in argv]
    lines: list[str] = []
    with (
        (stdin or Path(os.devnull)).open("rb") as given,
        subprocess.Popen(
            words,
            stdin=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            text=True,
            errors="replace",
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if detail is not None and line.strip():
                detail(line.strip())
    output = "".join(lines)
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(output)
    if process.returncode != 0:
        tail = "".join(lines[-LAST_LINES:]).rstrip()
        raise ClusterError(
            what=f"`{shlex.join(words)}` ended with {process.returncode}:\n{tail}\n",
            rule="every step of a cluster must succeed",
            remedy=remedy,
        )
    return output
