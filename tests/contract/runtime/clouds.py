"""Google Cloud Storage and Azure's blob store as servers on this machine: fsouza/fake-gcs-server, and Azurite."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from obstore.store import AzureStore

from cluster import paths
from cluster.embedded import parts
from cluster.embedded.parts import Part
from cluster.lock import exclusive
from tests.contract.runtime.conftest import free_port, until

if TYPE_CHECKING:
    from obstore.store import AzureConfig

HERE = Path(__file__).parent
# Azurite's own account, which its documentation names.
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass
class Cloud:
    """A store with an empty bucket at ``root``. ``secret``: what a Secret for it holds.

    ``nowhere``: a bucket that is not there. ``denied``: a URI and a Secret that does not suffice for it.
    """

    root: str
    nowhere: str
    secret: Mapping[str, str]
    denied: tuple[str, Mapping[str, str]]
    put: Callable[[str, bytes], object]


@contextmanager
def google() -> Iterator[Cloud]:
    source = HERE / "gcs"
    version = parts.pinned("gcs", "github.com/fsouza/fake-gcs-server", source)
    built = parts.ensure(Part("gcs", version, "a minute or two the first time", module=source))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = subprocess.Popen([built.binary("gcs"), str(port)])

    def post(path: str, body: bytes, kind: str) -> None:
        request = urllib.request.Request(f"{url}{path}", body, {"Content-Type": kind}, method="POST")
        urllib.request.urlopen(request, timeout=30).close()

    def put(name: str, body: bytes) -> None:
        path = f"/upload/storage/v1/b/acme/o?uploadType=media&name={quote(name, safe='')}"
        post(path, body, "application/octet-stream")

    # What object_store reads of a service account's file for servers like this one.
    nobody = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    account = json.dumps({"gcs_base_url": url, "disable_oauth": True, **nobody})
    try:
        until(lambda: server.poll() is not None or _listens(url), "the Google store")
        assert server.poll() is None
        post("/storage/v1/b", json.dumps({"name": "acme"}).encode(), "application/json")
        secret = {"gcloud-application-credentials.json": account}
        yield Cloud("gs://acme", "gs://none", secret, ("gs://private", secret), put)
    finally:
        server.terminate()
        server.wait(30)


@contextmanager
def azure() -> Iterator[Cloud]:
    program = [*_azurite(), "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    quiet = subprocess.DEVNULL
    server = subprocess.Popen([*program, "--blobHost=127.0.0.1", f"--blobPort={port}"], stdout=quiet, stderr=quiet)
    endpoint = f"{url}/{_ACCOUNT}"
    secret = {"AZURE_STORAGE_ENDPOINT": endpoint, "AZURE_STORAGE_ACCOUNT_KEY": _KEY}
    wrong = {**secret, "AZURE_STORAGE_ACCOUNT_KEY": base64.b64encode(b"hunter2" * 9).decode()}
    root, nowhere = (f"abfs://{name}@{_ACCOUNT}.dfs.core.windows.net" for name in ("box", "none"))
    try:
        until(lambda: server.poll() is not None or _listens(url), "Azurite")
        assert server.poll() is None
        _make_container(endpoint, "box")
        config: AzureConfig = {"endpoint": endpoint, "account_key": _KEY}
        store = AzureStore.from_url(root.replace("abfs:", "abfss:"), config=config, client_options={"allow_http": True})
        yield Cloud(root, nowhere, secret, (root, wrong), store.put)
    finally:
        server.terminate()
        server.wait(30)


def _listens(url: str) -> bool:
    """Whatever it answers."""
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _make_container(endpoint: str, name: str) -> None:
    """Signed with the account's key: obstore makes no containers."""
    date, version = formatdate(usegmt=True), "2021-08-06"
    head = f"PUT{chr(10) * 12}x-ms-date:{date}\nx-ms-version:{version}\n"
    words = f"{head}/{_ACCOUNT}/{_ACCOUNT}/{name}\nrestype:container"
    signature = base64.b64encode(hmac.new(base64.b64decode(_KEY), words.encode(), hashlib.sha256).digest()).decode()
    headers = {
        "x-ms-date": date,
        "x-ms-version": version,
        "Content-Type": "",
        "Authorization": f"SharedKey {_ACCOUNT}:{signature}",
    }
    request = urllib.request.Request(f"{endpoint}/{name}?restype=container", b"", headers, method="PUT")
    urllib.request.urlopen(request, timeout=30).close()


def _azurite() -> list[str]:
    """Azurite's command, in the cache; a machine without Node has none."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Azure's store is not tried here: Azurite needs node and npm")
    source = HERE / "azurite"
    lock = hashlib.sha256((source / "package-lock.json").read_bytes()).hexdigest()[:12]
    place = paths.cache() / f"azurite-{lock}"
    with exclusive(paths.cache() / "azurite.lock", "another installation of Azurite"):
        if not (place / ".complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(source, place)
            quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            subprocess.run([npm, "ci", *quiet], check=True, cwd=place, env={**os.environ, "CI": "true"})
            (place / ".complete").touch()
    return [node, str(place / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js")]
