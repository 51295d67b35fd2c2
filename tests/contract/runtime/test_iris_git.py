"""The Git server of the iris example, started as its pod starts it, and asked by the container that fetches."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.contract.runtime.conftest import IRIS, PATIENCE, free_port, pod_environment, run_module, until

PORT = "9418"
Serve = Callable[[str], int]


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((IRIS / name).read_text()))


def listens(port: int) -> bool:
    """What the pod's readiness probe asks."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start the command of the pod over a script of this text, in folders of its own; the port that it listens on."""
    started: list[subprocess.Popen[bytes]] = []

    def start(text: str) -> int:
        port, folder = free_port(), tmp_path / f"pod-{len(started)}"
        (folder / "code" / "..data").mkdir(parents=True)  # as the kubelet lays out a ConfigMap
        (folder / "code" / "..data" / "train.py").write_text(text)
        (folder / "code" / "train.py").symlink_to("..data/train.py")
        (folder / "tmp").mkdir()
        *shell, script = documents("git-server.yaml")[0]["spec"]["containers"][0]["command"]
        script = re.sub("(?=/(code|tmp)/)", str(folder), script).replace(PORT, str(port))
        environment = pod_environment(folder / "tmp")
        process = subprocess.Popen([*shell, script], cwd=folder, env=environment, start_new_session=True)
        started.append(process)
        until(lambda: process.poll() is not None or listens(port), "the Git server")
        assert process.poll() is None
        return port

    yield start
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE)


def fetched(port: int, folder: Path) -> str:
    """The commit that the fetching container reports for the source of the TrainingJob."""
    [job] = documents("trainingjob.yaml")
    git = job["spec"]["source"]["git"]
    assert git["url"].startswith("git://git-server/")
    url = git["url"].replace("git-server", f"127.0.0.1:{port}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    variables = {
        "TANDEM_FETCH": json.dumps({"git": {**git, "url": url}, "workspace": str(folder / "workspace")}),
        "TANDEM_TERMINATION_LOG": str(folder / "report"),
    }
    done = run_module("tandem.runtime.fetch", cwd=folder, env=pod_environment(folder, **variables))
    assert (done.code, done.err) == (0, "")
    commit: str = json.loads((folder / "report").read_bytes())["commit"]
    return commit


def test_the_code_of_the_example_comes_from_its_git_server(serve: Serve, tmp_path: Path) -> None:
    port = serve((IRIS / "train.py").read_text())

    commit = fetched(port, tmp_path / "run")

    asked = ["git", "ls-remote", f"git://127.0.0.1:{port}/iris.git", "refs/heads/main"]
    assert subprocess.check_output(asked, text=True).split() == [commit, "refs/heads/main"]
    code = tmp_path / "run" / "workspace" / "src"
    assert [file.name for file in code.iterdir()] == ["train.py"]
    assert (code / "train.py").read_text() == (IRIS / "train.py").read_text()


def test_the_same_files_are_the_same_commit_and_others_another(serve: Serve, tmp_path: Path) -> None:
    """A server that starts again, on another machine and another day, changes nothing in a lineage."""
    commits = [fetched(serve(text), tmp_path / "run") for text in ("one", "one", "two")]

    assert commits[0] == commits[1] != commits[2]


def test_nobody_can_push(serve: Serve, tmp_path: Path) -> None:
    url = f"git://127.0.0.1:{serve('one')}/iris.git"
    subprocess.check_output(["git", "clone", "--quiet", url, str(tmp_path / "clone")])

    done = subprocess.run(
        ["git", "push", "origin", "main:other"], cwd=tmp_path / "clone", capture_output=True, text=True, check=False
    )

    assert done.returncode != 0
    assert "service not enabled" in done.stderr
