"""Starts daemons in order, restarts those that die, and ends all of them when it ends, however it ends.

Run as `python -m cluster.supervise STATE [--tied] [--remove]`. It imports the standard library only, so that it
starts at once, and has one thread only: the kernel's parent-death signal fires when the *thread* that forked a child
ends, which makes it useless in a test process full of threads and reliable here. `--tied` watches standard input
instead of the parent: when the program that holds its other end is gone, for whatever reason, the daemons go too,
and with `--remove` so does the folder STATE.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.daemons import Condition, Daemon, Status, log_of, read_spec, write_status

PR_SET_PDEATHSIG = 1
TRIES_UNTIL_FIRST_READY = 6
RESTART_PAUSE = 0.5
PROBE_INTERVAL = 0.1
PROBE_TIMEOUT = 1.0


@dataclass
class Running:
    daemon: Daemon
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    ready: bool = False
    was_ready: bool = False
    not_before: float = 0.0


class Supervisor:
    def __init__(self, state: Path, daemons: Sequence[Daemon], tied: bool) -> None:
        self._state = state
        self._running = {daemon.name: Running(daemon) for daemon in daemons}
        self._tied = tied
        self._stopping = False
        self._failed = ""
        self._published: Status | None = None
        self._wake_read, self._wake_write = os.pipe()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._probe = _unproxied_opener()

    def run(self) -> int:
        self._listen_for_signals()
        while not self._stopping and not self._failed:
            self._reap()
            self._start_due()
            self._probe_started()
            self._publish()
            self._wait()
        self._end_all()
        self._publish()
        return 1 if self._failed else 0

    def _listen_for_signals(self) -> None:
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Process 1 of a namespace gets only the signals it has a handler for.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _start_due(self) -> None:
        now = time.monotonic()
        for entry in self._running.values():
            due = entry.process is None and now >= entry.not_before
            if due and all(self._running[name].ready for name in entry.daemon.after):
                self._start(entry)

    def _start(self, entry: Running) -> None:
        path = log_of(self._state, entry.daemon.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as log:
            entry.process = subprocess.Popen(
                entry.daemon.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **entry.daemon.env},
                start_new_session=entry.daemon.own_session,
                preexec_fn=self._die_with(os.getpid()),  # noqa: PLW1509 (there is one thread, see above)
            )
        entry.starts += 1

    def _die_with(self, parent: int) -> Callable[[], None]:
        def before_exec() -> None:
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:  # it died before the line above
                os._exit(1)

        return before_exec

    def _reap(self) -> None:
        """Every dead child, also those that were left to us as process 1 of a namespace."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for entry in self._running.values():
                if entry.process is not None and entry.process.pid == pid:
                    self._note_end(entry, os.waitstatus_to_exitcode(status))

    def _note_end(self, entry: Running, code: int) -> None:
        assert entry.process is not None
        entry.process.returncode = code
        entry.process = None
        entry.ready = False
        entry.not_before = time.monotonic() + RESTART_PAUSE
        if not entry.was_ready and entry.starts >= TRIES_UNTIL_FIRST_READY:
            self._failed = entry.daemon.name

    def _probe_started(self) -> None:
        for entry in self._running.values():
            if entry.process is not None and not entry.ready and self._answers(entry.daemon.ready):
                entry.ready = entry.was_ready = True

    def _answers(self, url: str) -> bool:
        try:
            with self._probe.open(url, timeout=PROBE_TIMEOUT) as response:
                return bool(response.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def _publish(self) -> None:
        conditions = {
            name: Condition(entry.process.pid if entry.process else 0, entry.ready, entry.starts)
            for name, entry in self._running.items()
        }
        status = Status(conditions, self._failed)
        if status != self._published:
            write_status(self._state, status)
            self._published = status

    def _wait(self) -> None:
        """Until something happened; with nothing left to probe or to start, that is a signal or the parent's end."""
        settled = all(entry.ready for entry in self._running.values())
        watched = [self._wake_read, *([0] if self._tied else [])]
        readable, _, _ = select.select(watched, [], [], None if settled else PROBE_INTERVAL)
        if self._wake_read in readable:
            os.read(self._wake_read, 4096)
        if 0 in readable and not os.read(0, 4096):
            self._stopping = True

    def _end_all(self) -> None:
        """At once: what they hold is thrown away with the cluster."""
        for entry in self._running.values():
            if entry.process is not None:
                entry.process.kill()
                entry.process.wait()


def _unproxied_opener() -> urllib.request.OpenerDirector:
    # Probes carry no secret and go to this machine only: neither a proxy nor a certificate matters.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))


def supervise(state: Path, *, tied: bool) -> int:
    return Supervisor(state, read_spec(state), tied).run()


def main(state: Path, options: Sequence[str]) -> int:
    try:
        return supervise(state, tied="--tied" in options)
    finally:
        if "--remove" in options:
            shutil.rmtree(state, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
