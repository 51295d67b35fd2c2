"""Whole clusters for tests; theirs have names of their own, so that a developer's cluster is never touched."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import images
from cluster.embedded.backend import EmbeddedCluster
from tests.cluster.talking import Kubectl, kubectl_of

PAGE = "tandem-cluster-test:1"


@pytest.fixture(scope="session")
def page() -> str:
    """An image with a web server and a page, built here."""
    images.build(PAGE, context=Path(__file__).parent / "image")
    return PAGE


@pytest.fixture(scope="session")
def cluster(page: str) -> Iterator[EmbeddedCluster]:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("the embedded cluster needs root on Linux")
    started = EmbeddedCluster("test")
    started.up()
    started.load_image(page)
    yield started
    started.down()


@pytest.fixture
def kubectl(cluster: EmbeddedCluster) -> Kubectl:
    return kubectl_of(cluster)
