"""The real parts that data come from: an S3 server, a Git server that asks for a password, a web server that does."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from cluster import paths
from cluster.embedded import parts
from cluster.embedded.parts import Part
from cluster.lock import exclusive
from tests.contract.runtime.conftest import ROOT, answers, free_port, until

ME = {"username": "me", "password": "hunter2"}
HEADER = f"Basic {base64.b64encode(b'me:hunter2').decode()}"


@dataclass
class Bucket:
    """A bucket of moto's server; ``secret`` is what a Secret for it holds."""

    name: str
    url: str

    @property
    def secret(self) -> dict[str, str]:
        return {
            "AWS_ACCESS_KEY_ID": "test-key-id",
            "AWS_SECRET_ACCESS_KEY": "hunter2-secret",
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
        }

    def put(self, files: Mapping[str, bytes], acl: str = "private") -> None:
        for key, body in files.items():
            _put(f"{self.url}/{self.name}/{quote(key)}", body, {"x-amz-acl": acl})

    def deny_everybody(self) -> None:
        resources = [f"arn:aws:s3:::{self.name}", f"arn:aws:s3:::{self.name}/*"]
        statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": resources}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        _put(f"{self.url}/{self.name}?policy", json.dumps(policy).encode(), {})

    def admit_everybody(self) -> None:
        """Who has the key, that is."""
        _send("DELETE", f"{self.url}/{self.name}?policy", None, {})


def _put(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    _send("PUT", url, body, headers)


def _send(method: str, url: str, body: bytes | None, headers: Mapping[str, str]) -> None:
    signed = "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
    kind = {"Content-Type": "application/octet-stream"}  # urllib would call it a form
    request = urllib.request.Request(url, body, {**kind, **headers, "Authorization": signed}, method=method)
    urllib.request.urlopen(request, timeout=30).close()


@contextmanager
def s3_server(host: str = "127.0.0.1") -> Iterator[Callable[[str], Bucket]]:
    """Makes buckets of one server, which is a process of its own and listens at this address."""
    port = free_port()
    command = [str(_servers()), "-m", "moto.server", "-H", host, "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://{host}:{port}"

    def made(name: str) -> Bucket:
        _put(f"{url}/{name}", b"", {})
        return Bucket(name, url)

    try:
        until(lambda: server.poll() is not None or answers(f"{url}/moto-api/data.json"), "the S3 server")
        assert server.poll() is None
        yield made
    finally:
        server.terminate()
        server.wait(30)


def _servers() -> Path:
    """The Python of an environment with moto and asyncssh: libraries of moto and of kubernetes exclude each other."""
    lock = ROOT / "requirements" / "s3.txt"
    place = paths.cache() / f"s3-{sys.version_info.minor}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python = place / "bin" / "python"
    with exclusive(paths.cache() / "s3.lock", "another environment of the S3 server"):
        if not (place / ".complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)]
            subprocess.run(install, check=True)
            (place / ".complete").touch()
    return python


@dataclass
class Guarded:
    """A server that answers 401 without ``HEADER``; ``seen``: the Authorization header of each request, or ''."""

    url: str
    seen: list[str] = field(default_factory=list)


@contextmanager
def guarded_server(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[Guarded]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            guarded.seen.append(self.headers.get("Authorization", ""))
            if self.headers.get("Authorization") != HEADER:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="data"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            answer(self)

        do_POST = do_GET

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    guarded = Guarded(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield guarded
    server.shutdown()
    thread.join()
    server.server_close()


def git_http_backend(root: Path) -> Callable[[BaseHTTPRequestHandler], None]:
    """Git's own server side, as CGI: what nginx or Apache would run."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        path, _, query = request.path.partition("?")
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=True,
            env={
                **os.environ,
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": "safe.directory",
                "GIT_CONFIG_VALUE_0": "*",
                "REQUEST_METHOD": request.command,
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "CONTENT_TYPE": request.headers.get("Content-Type", ""),
                "HTTP_CONTENT_ENCODING": request.headers.get("Content-Encoding", ""),
                "GIT_PROTOCOL": request.headers.get("Git-Protocol", ""),
            },
        )
        head, _, rest = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        request.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(rest)))
        request.end_headers()
        request.wfile.write(rest)

    return answer


@dataclass
class Ssh:
    """An SSH server of Git repositories; ``secret`` is what a Secret for it holds."""

    port: int
    secret: dict[str, str]

    def url(self, repository: Path) -> str:
        return f"ssh://git@127.0.0.1:{self.port}{repository}/.git"


@contextmanager
def ssh_server(folder: Path) -> Iterator[Ssh]:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")], check=True)
    (folder / "key.pub").rename(folder / "authorized")
    program = Path(__file__).with_name("ssh_server.py")
    server = subprocess.Popen([str(_servers()), str(program), str(folder)])
    known = folder / "known_hosts"
    try:
        until(lambda: server.poll() is not None or known.exists(), "the SSH server")
        assert server.poll() is None
        port = int(known.read_text().partition("]:")[2].split()[0])
        keys = {"ssh-privatekey": (folder / "key").read_text(), "known_hosts": known.read_text()}
        yield Ssh(port, keys)
    finally:
        server.terminate()
        server.wait(30)


@dataclass
class OciRegistry:
    """go-containerregistry's registry; what is below private/ wants ``ME``."""

    host: str

    def push(self, name: str, files: Mapping[str, bytes], annotate: Mapping[str, str] | None = None) -> str:
        """As `oras push` does: a layer for each file, by its title; the digest of the manifest."""
        empty = self._blob(name, b"{}")
        layers = []
        for title, body in files.items():
            told = {**({"org.opencontainers.image.title": title} if title else {}), **(annotate or {})}
            layers.append({"mediaType": "application/octet-stream", **self._blob(name, body), "annotations": told})
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", **empty},
            "layers": layers,
        }
        body = json.dumps(manifest).encode()
        self._send("PUT", f"/v2/{name}/manifests/v1", body, str(manifest["mediaType"]))
        return f"sha256:{hashlib.sha256(body).hexdigest()}"

    def _blob(self, name: str, body: bytes) -> dict[str, object]:
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        self._send("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", body, "application/octet-stream")
        return {"digest": digest, "size": len(body)}

    def _send(self, method: str, path: str, body: bytes, kind: str) -> None:
        headers = {"Content-Type": kind, "Authorization": HEADER}
        request = urllib.request.Request(f"http://{self.host}{path}", body, headers, method=method)
        urllib.request.urlopen(request, timeout=30).close()


@contextmanager
def oci_registry() -> Iterator[OciRegistry]:
    source = Path(__file__).parent / "registry"
    version = parts.pinned("registry", "github.com/google/go-containerregistry", source)
    built = parts.ensure(Part("registry", version, "half a minute the first time", module=source))
    port = free_port()
    environment = {**os.environ, "PASSWORD": ME["password"]}
    server = subprocess.Popen([built.binary("registry"), str(port)], env=environment)
    try:
        until(lambda: server.poll() is not None or answers(f"http://127.0.0.1:{port}/v2/"), "the registry")
        assert server.poll() is None
        yield OciRegistry(f"127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait(30)
