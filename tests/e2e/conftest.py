"""One real cluster with Tandem on it for the whole session, and a restricted namespace for each test.

Names: the cluster is `e2e` (TANDEM_E2E_CLUSTER chooses another one, which is then never taken down). One that is up
already is used as it is; TANDEM_KEEP_CLUSTER=1 leaves it up for the next session.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import count

import pytest

from demo.kubectl import Kubectl
from demo.mlflow import Mlflow
from demo.setup import SYSTEM, Site, set_up
from demo.stage import namespace_object

OWN_CLUSTER = "e2e"
_numbers = count(1)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A cluster with Tandem and MLflow on it, Available."""
    named = os.environ.get("TANDEM_E2E_CLUSTER", "")
    found = set_up(named or OWN_CLUSTER)
    yield found
    if not named and os.environ.get("TANDEM_KEEP_CLUSTER", "") in ("", "0"):
        found.cluster.down()


@pytest.fixture(scope="session")
def system(site: Site) -> Kubectl:
    """kubectl where the operator, the drift controller and MLflow run."""
    return site.kubectl.within(SYSTEM)


@pytest.fixture(scope="session")
def mlflow(site: Site) -> Mlflow:
    """MLflow's REST API: `mlflow("registered-models/get", name="iris")`."""
    return site.mlflow


@pytest.fixture
def namespace(site: Site, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own, Pod Security `restricted`; it goes when the test is over."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.originalname.removeprefix("test_").lower())
    name = f"{words[:40].strip('-')}-{os.getpid()}-{next(_numbers)}"
    site.kubectl.apply(namespace_object(name))
    yield name
    site.kubectl.run("delete", "namespace", name, "--wait=false")


@pytest.fixture
def kubectl(site: Site, namespace: str) -> Kubectl:
    """kubectl in the test's own namespace."""
    return site.kubectl.within(namespace)
