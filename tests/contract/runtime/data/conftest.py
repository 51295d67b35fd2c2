"""Stores with the same data in them, and a pod that fetches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.runtime.conftest import Repository
from tests.contract.runtime.data.pod import IRIS, MORE, Pod
from tests.contract.runtime.stores import Bucket, OciRegistry, git_http_backend, guarded_server, oci_registry, s3_server


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path)


@pytest.fixture(scope="session")
def buckets() -> Iterator[Callable[[str], Bucket]]:
    with s3_server() as made:
        yield made


@pytest.fixture(scope="session")
def bucket(buckets: Callable[[str], Bucket]) -> Bucket:
    bucket = buckets("acme-data")
    bucket.put({"iris/iris.csv": IRIS, "iris/2026/more.csv": MORE, "iris/": b"", "iris-old/x.csv": b"no"})
    return bucket


@pytest.fixture(scope="session")
def git_server(repository: Repository) -> Iterator[str]:
    with guarded_server(git_http_backend(repository.path.parent)) as guarded:
        yield f"{guarded.url.replace('http', 'git+http')}/{repository.path.name}/.git"


@pytest.fixture(scope="session")
def registry() -> Iterator[OciRegistry]:
    with oci_registry() as running:
        yield running
