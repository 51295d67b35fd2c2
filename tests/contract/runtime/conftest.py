"""The real parts that the runtime meets: Git repositories, HTTP servers, an MLflow server, processes of our own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from cluster.embedded import debian
from tests.contract.tracking.server import MlflowServer

ROOT = Path(__file__).parents[3]
IRIS = ROOT / "examples" / "iris"
PATIENCE = 240.0  # seconds; nothing here takes that long, except on a machine that does much else


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait for a condition."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {PATIENCE:.0f} s for {what}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def ssh_client() -> None:
    """A machine may have Git and no ssh."""
    debian.ensure(debian.SSH_TOOLS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def pod_environment(tmp: Path, **variables: str) -> dict[str, str]:
    """As little as a pod has: nothing of this machine's settings decides how a test goes."""
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    ours = {"PYTHONPATH": str(ROOT / "operator"), "TANDEM_PATIENCE": "0"}
    return {**kept, "HOME": str(tmp), "USER": "tandem", **ours, **variables}


@dataclass
class Repository:
    """A real Git repository with a history that tests can point at."""

    path: Path
    commits: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self.path.as_uri()

    def git(self, *arguments: str) -> str:
        who = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
        for role in ("AUTHOR", "COMMITTER"):
            who |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@example.org"}
        command = ["git", "-C", str(self.path), *arguments]
        return subprocess.run(
            command, env={**os.environ, **who}, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self, name: str, files: dict[str, str]) -> str:
        for path, text in files.items():
            (self.path / path).parent.mkdir(parents=True, exist_ok=True)
            (self.path / path).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", name)
        self.commits[name] = self.git("rev-parse", "HEAD")
        return self.commits[name]


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """main: one → two → three; tag v1 (annotated) on one, light on two; branch `next` off two."""
    repository = Repository(tmp_path_factory.mktemp("repository"))
    repository.git("init", "--quiet", "--initial-branch", "main")
    repository.commit("one", {"train.py": "one", "models/iris/train.py": "iris one"})
    repository.git("tag", "--annotate", "v1", "--message", "first")
    repository.commit("two", {"train.py": "two"})
    repository.git("tag", "light")
    repository.git("branch", "next")
    repository.commit("three", {"train.py": "three"})
    repository.git("checkout", "--quiet", "next")
    repository.commit("next", {"train.py": "next", "link.txt": "a plain file"})
    (repository.path / "outside").symlink_to("/")
    repository.commit("link", {})
    repository.git("checkout", "--quiet", "main")
    return repository


@dataclass
class HttpServer:
    """Files over real HTTP; ``files`` is path → (status, body), ``headers`` path → more of them."""

    url: str
    files: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)


@pytest.fixture
def http() -> Iterator[HttpServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            status, body = files.get(self.path, (404, b"no such file"))
            self.send_response(status)
            # One file promises more than it sends: a connection that breaks half way.
            promised = len(body) + (1000 if self.path.endswith("/broken.csv") else 0)
            self.send_header("Content-Length", str(promised))
            for name, value in http.headers.get(self.path, {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)
            self.close_connection = promised != len(body)

        do_GET = do_HEAD = answer

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http = HttpServer(f"http://127.0.0.1:{server.server_port}")
    files = http.files
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield http
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Finished:
    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """What the kubelet would show: the last line of the log."""
        return self.err.strip().splitlines()[-1] if self.err.strip() else ""


def run_module(module: str, *arguments: str, cwd: Path, env: dict[str, str]) -> Finished:
    return _run([sys.executable, "-m", module, *arguments], cwd, env)


def run_script(script: Path, *arguments: str, cwd: Path, env: dict[str, str]) -> Finished:
    return _run([sys.executable, str(script), *arguments], cwd, env)


def _run(command: list[str], cwd: Path, env: dict[str, str]) -> Finished:
    done = subprocess.run(command, check=False, cwd=cwd, env=env, capture_output=True, text=True, timeout=PATIENCE)
    return Finished(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def mlflow_server(mlflow_server: MlflowServer) -> str:
    """The address of the session's one."""
    return mlflow_server.url


@dataclass
class Server:
    """A model server in a process of its own, as a pod runs it."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(PATIENCE)


Serve = Callable[..., Server]


@contextlib.contextmanager
def serving(folder: Path, mlflow_server: str) -> Iterator[Serve]:
    """Start servers of models, each until it is ready; all are ended in the end."""
    started: list[Server] = []

    def start(model: str, *arguments: str) -> Server:
        port = free_port()
        log = folder / f"serve-{port}.log"
        command = [
            *(sys.executable, "-m", "tandem.runtime.serve", "--model", model),
            *("--host", "127.0.0.1", "--port", str(port), *arguments),
        ]
        environment = pod_environment(folder, MLFLOW_TRACKING_URI=mlflow_server, MLFLOW_DISABLE_TELEMETRY="true")
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
        server = Server(process, f"http://127.0.0.1:{port}", log)
        started.append(server)
        until(lambda: process.poll() is not None or answers(f"{server.url}/health"), f"the server of {model}")
        assert process.poll() is None, log.read_text()
        return server

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
            server.process.wait(PATIENCE)


@pytest.fixture
def serve(mlflow_server: str, tmp_path: Path) -> Iterator[Serve]:
    """Start a server of a model and wait until it is ready; all are ended with the test."""
    with serving(tmp_path, mlflow_server) as start:
        yield start


@dataclass
class Iris:
    """A run that existed before the script was started, and what the script left in it."""

    run_id: str
    experiment_id: str
    finished: Finished
    version: str


@pytest.fixture(scope="session")
def iris(mlflow_server: str, tmp_path_factory: pytest.TempPathFactory) -> Iris:
    """examples/iris/train.py in a run that was made for it, as the operator does; its model registered as iris/1."""
    client = MlflowClient(mlflow_server)
    experiment = client.create_experiment("default/iris")
    run_id = client.create_run(experiment, tags={"tandem.dev/run": "1"}).info.run_id
    folder = tmp_path_factory.mktemp("train")
    variables = {
        "MLFLOW_TRACKING_URI": mlflow_server,
        "MLFLOW_EXPERIMENT_ID": experiment,
        "MLFLOW_RUN_ID": run_id,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    finished = run_script(IRIS / "train.py", cwd=folder, env=pod_environment(folder, **variables))
    return Iris(run_id, experiment, finished, registered(client, "iris", run_id, experiment))


def registered(client: MlflowClient, name: str, run_id: str, experiment_id: str) -> str:
    """Register the model that the run logged; the number of the version."""
    [model] = client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
    with contextlib.suppress(MlflowException):  # there is one already
        client.create_registered_model(name)
    version = client.create_model_version(name, f"models:/{model.model_id}", run_id, model_id=model.model_id)
    return str(version.version)
