"""Daemons are started in order, started again when they die, and never outlive who they are for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cluster import paths
from cluster.daemons import Daemon, log_of, read_status, write_spec
from cluster.ports import free_ports
from tests.cluster.awaiting import running, until

SERVER = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


def a_server(name: str, port: int, *, after: tuple[str, ...] = ()) -> Daemon:
    argv = (sys.executable, "-c", SERVER, str(port))
    return Daemon(name, argv, ready=f"http://127.0.0.1:{port}/", after=after)


def a_failure(name: str) -> Daemon:
    return Daemon(name, (sys.executable, "-c", "raise SystemExit('no flag --x')"), ready="http://127.0.0.1:1/")


def supervise(state: Path, *options: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "cluster.supervise", str(state), *options],
        stdin=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(paths.REPOSITORY)},
    )


@pytest.fixture
def two(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Two daemons, the second of which needs the first, both ready."""
    first, second = free_ports(2)
    write_spec(tmp_path, [a_server("second", second, after=("first",)), a_server("first", first)])
    supervisor = supervise(tmp_path, "--tied")
    until(lambda: read_status(tmp_path).ready, "both are ready")
    yield supervisor
    supervisor.kill()
    supervisor.wait()


def pids(state: Path) -> list[int]:
    return [condition.pid for condition in read_status(state).daemons.values()]


def test_given_one_that_needs_another_then_it_is_started_after_it(two: subprocess.Popen[bytes], tmp_path: Path) -> None:
    started = read_status(tmp_path).daemons

    assert started["first"].pid < started["second"].pid


def test_given_one_that_dies_then_it_is_started_again(two: subprocess.Popen[bytes], tmp_path: Path) -> None:
    os.kill(read_status(tmp_path).daemons["first"].pid, signal.SIGKILL)

    until(lambda: read_status(tmp_path).daemons["first"].starts == 2, "started again")
    until(lambda: read_status(tmp_path).ready, "ready again")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_when_the_supervisor_ends_then_so_do_they(
    two: subprocess.Popen[bytes], tmp_path: Path, number: signal.Signals
) -> None:
    before = pids(tmp_path)

    two.send_signal(number)
    two.wait()

    until(lambda: not any(running(pid) for pid in before), "they ended")


def test_given_one_with_a_session_of_its_own_then_it_leads_it_and_ends_with_the_others(tmp_path: Path) -> None:
    with_others, alone = free_ports(2)
    write_spec(tmp_path, [a_server("with-others", with_others), replace(a_server("alone", alone), own_session=True)])
    supervisor = supervise(tmp_path, "--tied")
    until(lambda: read_status(tmp_path).ready, "both are ready")
    started = read_status(tmp_path).daemons

    assert os.getsid(started["alone"].pid) == started["alone"].pid
    assert os.getsid(started["with-others"].pid) == os.getsid(supervisor.pid)

    supervisor.kill()
    supervisor.wait()
    until(lambda: not any(running(condition.pid) for condition in started.values()), "they ended")


def test_when_whoever_holds_the_other_end_is_gone_then_they_end_and_the_folder_goes(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    write_spec(state, [a_server("only", *free_ports(1))])
    supervisor = supervise(state, "--tied", "--remove")
    until(lambda: read_status(state).ready, "it is ready")
    before = pids(state)

    assert supervisor.stdin is not None
    supervisor.stdin.close()
    supervisor.wait(timeout=10)

    assert not any(running(pid) for pid in before)
    assert not state.exists()


def test_given_a_thread_that_started_it_and_ended_then_they_go_on(tmp_path: Path) -> None:
    """The kernel's parent-death signal alone would fire here."""
    write_spec(tmp_path, [a_server("only", *free_ports(1))])
    started: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: started.append(supervise(tmp_path, "--tied")))
    thread.start()
    thread.join()

    until(lambda: read_status(tmp_path).ready, "it is ready")
    assert started[0].poll() is None
    started[0].kill()
    started[0].wait()


def test_given_one_that_never_becomes_ready_then_it_gives_up_and_names_it(tmp_path: Path) -> None:
    write_spec(tmp_path, [a_failure("wrong")])
    supervisor = supervise(tmp_path)

    assert supervisor.wait(timeout=30) == 1
    assert read_status(tmp_path).failed == "wrong"
    assert "no flag --x" in log_of(tmp_path, "wrong").read_text()
