"""A real Prometheus, from its Debian package: taken apart in the cache, so that nothing is installed or started."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cluster import paths
from cluster.lock import exclusive
from tests.contract.runtime.conftest import PATIENCE, answers, free_port, until

PACKAGE = "prometheus"
SCRAPES_EVERY = "250ms"


def program() -> str:
    """That of this machine, or the one in the cache; a machine that can have neither fails the tests, and says why."""
    installed = shutil.which(PACKAGE)
    if installed is not None:
        return installed
    folder = paths.cache() / PACKAGE
    with exclusive(paths.cache() / f"{PACKAGE}.lock", "another download of Prometheus"):
        if not (folder / "usr/bin" / PACKAGE).exists():
            _fetch(folder)
    return str(folder / "usr/bin" / PACKAGE)


def _fetch(folder: Path) -> None:
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.fail(
            f"no {PACKAGE} on the PATH, and no apt-get to fetch Debian's package: install Prometheus, run again"
        )
    partial = folder.with_name(f"{PACKAGE}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    fetched = subprocess.run(["apt-get", "download", PACKAGE], check=False, cwd=partial, capture_output=True, text=True)
    found = list(partial.glob("*.deb"))
    if not found:
        pytest.fail(f"`apt-get download {PACKAGE}` failed (as root, `apt-get update` first): {fetched.stderr.strip()}")
    subprocess.run(["dpkg-deb", "--extract", found[0].name, "."], check=True, cwd=partial)
    found[0].unlink()
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


@contextmanager
def scraping(folder: Path, *targets: str) -> Iterator[str]:
    """A Prometheus that scrapes these (host:port); its address."""
    port = free_port()
    scrape = {"job_name": "app", "static_configs": [{"targets": list(targets)}]}
    configuration = {"global": {"scrape_interval": SCRAPES_EVERY}, "scrape_configs": [scrape]}
    file = folder / "prometheus.yml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    command = [
        *(program(), f"--config.file={file}", f"--storage.tsdb.path={folder}/tsdb"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"),
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    address = f"http://127.0.0.1:{port}"
    try:
        until(lambda: process.poll() is not None or answers(f"{address}/-/ready"), "Prometheus")
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        yield address
    finally:
        process.terminate()
        process.wait(PATIENCE)
