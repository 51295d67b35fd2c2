"""One real cluster with Tandem on it for the whole session, and a restricted namespace for each test.

Names: the cluster is `e2e` (TANDEM_E2E_CLUSTER chooses another one, which is then never taken down). One that is up
already is used as it is; TANDEM_KEEP_CLUSTER=1 leaves it up for the next session.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import count

import pytest

from demo.kubectl import Kubectl
from demo.mlflow import Mlflow
from demo.setup import SYSTEM, Site, set_up
from demo.stage import namespace_object
from tests.e2e import fed as feeds
from tests.e2e import governed as governments
from tests.e2e import interrupted as interruptions
from tests.e2e.judged import Judged, judgements
from tests.e2e.mistaken import World, everything_wrong
from tests.e2e.rolled import Seen, rollouts
from tests.e2e.scaled import Facts, under_load

# The story first, while what bad input comes to takes its time; then what kills what the others need.
ORDER = (
    "test_story",
    "test_bad_input",
    "test_configuration",
    "test_interruptions",
    "test_data_change",
    "test_governed",
    "test_judgement",
    "test_autoscaling",
    "test_faults",
    "test_rollouts",
)
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else -1)


@pytest.fixture(scope="session")
def world(site: Site) -> Iterator[World]:
    """Every mistake that people make, made."""
    with everything_wrong(site) as found:
        yield found


@pytest.fixture(scope="session")
def load(site: Site) -> Iterator[Future[Facts]]:
    """An app under load, while others are tested."""
    with under_load(site) as facts:
        yield facts


@pytest.fixture(scope="session")
def busy(load: Future[Facts]) -> Facts:
    """What was seen of it."""
    return load.result()


@pytest.fixture(scope="session")
def interrupting(site: Site) -> Iterator[Future[interruptions.Facts]]:
    """Runs that are interrupted, while others are tested."""
    with interruptions.interruptions(site) as facts:
        yield facts


@pytest.fixture(scope="session")
def interrupted(interrupting: Future[interruptions.Facts]) -> interruptions.Facts:
    """What came of them."""
    return interrupting.result()


@pytest.fixture(scope="session")
def feeding(site: Site) -> Iterator[Future[feeds.Facts]]:
    """Data that change, while others are tested."""
    with feeds.feeding(site) as facts:
        yield facts


@pytest.fixture(scope="session")
def fed(feeding: Future[feeds.Facts]) -> feeds.Facts:
    """What came of it."""
    return feeding.result()


@pytest.fixture(scope="session")
def governing(site: Site) -> Iterator[Future[governments.Facts]]:
    """Runs that their spec holds to something, while others are tested."""
    with governments.governing(site) as facts:
        yield facts


@pytest.fixture(scope="session")
def governed(governing: Future[governments.Facts]) -> governments.Facts:
    """What came of it."""
    return governing.result()


@pytest.fixture(scope="session")
def judged(site: Site) -> Iterator[Judged]:
    """Revisions that are judged, while others are tested."""
    with judgements(site) as found:
        yield found


@pytest.fixture(scope="session")
def rolling(site: Site) -> Iterator[Future[Seen]]:
    """An app that is rolled out and back; it kills the operator, so nothing else may do so meanwhile."""
    with rollouts(site) as seen:
        yield seen


@pytest.fixture(scope="session", autouse=True)
def mistakes_are_made_first(request: pytest.FixtureRequest) -> None:
    """Where any test asks for them."""
    for begins_first in ("world", "feeding", "judged"):
        if asked_for(begins_first, request):
            request.getfixturevalue(begins_first)


@pytest.fixture(autouse=True)
def the_rest_begins_after_the_story(request: pytest.FixtureRequest) -> None:
    """Which has enough beside it."""
    for begins_then in ("interrupting", "governing", "load"):
        if request.path.stem != "test_story" and asked_for(begins_then, request):
            request.getfixturevalue(begins_then)


def asked_for(fixture: str, request: pytest.FixtureRequest) -> bool:
    return any(fixture in getattr(item, "fixturenames", ()) for item in request.session.items)


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
