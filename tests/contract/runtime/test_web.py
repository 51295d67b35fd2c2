"""The web example: two versions that work and one that must never take over."""

from __future__ import annotations

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.runtime.conftest import PATIENCE, ROOT, free_port, pod_environment, until


def get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Callable[[str], tuple[str, subprocess.Popen[bytes]]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(version: str) -> tuple[str, subprocess.Popen[bytes]]:
        port = free_port()
        environment = pod_environment(tmp_path, VERSION=version, PORT=str(port))
        process = subprocess.Popen([sys.executable, str(ROOT / "examples/web/app.py")], env=environment)
        started.append(process)
        url = f"http://127.0.0.1:{port}"
        until(lambda: get(url)[0] == 200, f"version {version}")
        return url, process

    yield start
    for process in started:
        process.kill()
        process.wait(PATIENCE)


Web = Callable[[str], tuple[str, "subprocess.Popen[bytes]"]]


@pytest.mark.parametrize(("version", "health"), [("1", 200), ("2", 200), ("broken", 500)])
def test_a_version_says_who_it_is_and_a_broken_one_fails_its_health_check(web: Web, version: str, health: int) -> None:
    url, _ = web(version)
    assert get(url) == (200, f"hello from version {version}\n")
    assert get(f"{url}/healthz")[0] == health


def test_sigterm_ends_it_at_once(web: Web) -> None:
    _, process = web("1")
    process.terminate()
    assert process.wait(10) == 0
