"""One real cluster with Tandem on it for the whole session, and a restricted namespace for each test.

Names: the cluster is `e2e` (TANDEM_E2E_CLUSTER chooses another one, which is then never taken down). One that is up
already is used as it is; TANDEM_KEEP_CLUSTER=1 leaves it up for the next session.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import count
from typing import Any, Final

import pytest

from cluster.choose import cluster
from demo.kubectl import Kubectl
from demo.mlflow import Mlflow
from demo.setup import SYSTEM, Site, set_up
from demo.stage import namespace_object
from tests.e2e import fed as fed_data
from tests.e2e import governed as governed_runs
from tests.e2e import interrupted as interrupted_runs
from tests.e2e import kept as kept_data
from tests.e2e import rolled, scaled
from tests.e2e import switched as switched_apps
from tests.e2e.beside import Scenario, Scenarios
from tests.e2e.diagnosis import diagnosis
from tests.e2e.judged import Judged, judgements
from tests.e2e.mistaken import World, everything_wrong

# The story first, while what bad input comes to takes its time; then what kills what the others need.
ORDER = (
    "test_story",
    "test_bad_input",
    "test_configuration",
    "test_interruptions",
    "test_data_change",
    "test_governed",
    "test_kept_data",
    "test_switches",
    "test_judgement",
    "test_autoscaling",
    "test_faults",
    "test_rollouts",
)
# By the fixture that gives what was seen.
AFTER_THE_STORY: Final[dict[str, Scenario[Any]]] = {
    "interrupted": interrupted_runs.INTERRUPTED,
    "governed": governed_runs.GOVERNED,
    "busy": scaled.BUSY,
    "kept": kept_data.KEPT,
    "switched": switched_apps.SWITCHED,
}
OWN_CLUSTER = "e2e"
_DIAGNOSIS: Final = pytest.StashKey[tuple[str, ...]]()
_numbers = count(1)


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A cluster with Tandem and MLflow on it, Available."""
    named = os.environ.get("TANDEM_E2E_CLUSTER", "")
    stays = bool(named) or os.environ.get("TANDEM_KEEP_CLUSTER", "") not in ("", "0")
    try:
        found = set_up(named or OWN_CLUSTER)
        yield found
        if request.session.testsfailed:
            request.config.stash[_DIAGNOSIS] = tuple(diagnosis(found.kubectl.within(SYSTEM)))
    finally:  # also one that has not come up whole
        if not stays:
            cluster(OWN_CLUSTER).down()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash.get(_DIAGNOSIS, ()):
        terminalreporter.write_line(line)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else -1)


@pytest.fixture(scope="session")
def world(site: Site) -> Iterator[World]:
    """Every mistake that people make, made."""
    with everything_wrong(site) as found:
        yield found


@pytest.fixture(scope="session")
def scenarios(site: Site) -> Iterator[Scenarios]:
    """What goes on beside the tests."""
    with Scenarios(site) as found:
        yield found


@pytest.fixture(scope="session")
def busy(scenarios: Scenarios) -> scaled.Facts:
    return scenarios.facts(scaled.BUSY)


@pytest.fixture(scope="session")
def fed(scenarios: Scenarios) -> fed_data.Facts:
    return scenarios.facts(fed_data.FED)


@pytest.fixture(scope="session")
def governed(scenarios: Scenarios) -> governed_runs.Facts:
    return scenarios.facts(governed_runs.GOVERNED)


@pytest.fixture(scope="session")
def interrupted(scenarios: Scenarios) -> interrupted_runs.Facts:
    return scenarios.facts(interrupted_runs.INTERRUPTED)


@pytest.fixture(scope="session")
def kept(scenarios: Scenarios) -> kept_data.Facts:
    return scenarios.facts(kept_data.KEPT)


@pytest.fixture(scope="session")
def switched(scenarios: Scenarios) -> switched_apps.Facts:
    return scenarios.facts(switched_apps.SWITCHED)


@pytest.fixture(scope="session")
def judged(site: Site) -> Iterator[Judged]:
    """Revisions that are judged, while others are tested."""
    with judgements(site) as found:
        yield found


@pytest.fixture(scope="session")
def rolling(scenarios: Scenarios) -> None:
    """It has begun, beside the test that asks for this."""
    scenarios.begin(rolled.ROLLED)


@pytest.fixture(scope="session", autouse=True)
def mistakes_are_made_first(request: pytest.FixtureRequest) -> None:
    """Where any test asks for them."""
    for fixture in ("world", "judged"):
        if asked_for(fixture, request):
            request.getfixturevalue(fixture)
    if asked_for("fed", request):
        request.getfixturevalue("scenarios").begin(fed_data.FED)


@pytest.fixture(autouse=True)
def the_rest_begins_after_the_story(request: pytest.FixtureRequest) -> None:
    """Which has enough beside it."""
    for fixture, scenario in AFTER_THE_STORY.items():
        if request.path.stem != "test_story" and asked_for(fixture, request):
            request.getfixturevalue("scenarios").begin(scenario)


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
